//! How inputs and replies cross between a pool and its workers.
//!
//! | | shared memory | ipc-channel |
//! | --- | --- | --- |
//! | an input is encoded | by the thread that submits it | by the feeder of the worker that is to have it |
//! | a worker is given | tasks ahead, up to the size of its ring | one task at a time |
//! | an input lies | in its slot, in a block, or in memory of its own | in a message |
//! | the reply of a call lies | there, too | in a message |
//! | the outcomes of a chunk lie | in a block | in a block |
//! | values may contain | shared buffers | these, and channels and shared memory of ipc-channel |
//!
//! Either way each task has a slot of the worker's ring, which says where the task is.

use crate::dispatch::relay::Relay;
use crate::link::Link;
use crate::pool::Pool;
use crate::worker;
use process_core::Entry;
use rustix::fd::OwnedFd;
use std::sync::Arc;
use std::{fmt, io};

/// How inputs and replies cross. See [the table](self).
pub(crate) trait Transport: fmt::Debug + Sync {
    /// Returns where its workers begin.
    fn entry(&self) -> Entry;

    /// Opens what a worker that is about to be started needs beside the shared memory and the socket.
    fn open(&self) -> io::Result<Opened>;
}

/// Starts the relay for the worker in that seat, behind that link.
pub(crate) type StartRelay = dyn FnOnce(&Arc<Pool>, usize, &Arc<Link>) -> io::Result<Arc<dyn Relay>>;

/// What was opened for one worker.
#[derive(Default)]
pub(crate) struct Opened {
    /// The worker's ends, which it is started with.
    pub(crate) worker_ends: Vec<OwnedFd>,
    /// How the parent's ends are put to use, once there is a process.
    pub(crate) start_relay: Option<Box<StartRelay>>,
}

/// All that a worker needs is the memory that it shares with its parent.
#[derive(Debug)]
pub(crate) struct SharedMemory;

impl Transport for SharedMemory {
    fn entry(&self) -> Entry {
        worker::entry::<worker::shared_memory::SharedMemory>
    }

    fn open(&self) -> io::Result<Opened> {
        Ok(Opened::default())
    }
}
