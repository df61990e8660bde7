//! The transport over ipc-channel, on both sides: inputs and replies may contain its channels and its shared memory.

mod feeder;
mod mailbox;
pub(crate) mod message;
pub(crate) mod transport;
pub(crate) mod worker;
