//! Linux, one file for each need.

pub(super) mod beginning;
pub(super) mod descriptors;
pub(super) mod futex;
pub(super) mod machine;
pub(super) mod mapping;
pub(super) mod memory;
pub(super) mod modules;
pub(super) mod processes;
pub(super) mod sockets;
