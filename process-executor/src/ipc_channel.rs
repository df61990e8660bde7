//! The transport over ipc-channel, on both sides: inputs and replies may contain its channels and its shared memory.

pub(crate) mod feeder;
pub(crate) mod message;
pub(crate) mod worker;
