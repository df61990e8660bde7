//! `rusty_pool`'s `evaluate`, which brings its own handle.

use rusty_pool::{Builder, JoinHandle, ThreadPool};

use super::{Peer, WORKERS, noop};

/// A pool whose core and maximum sizes are equal, so that it neither grows nor shrinks.
pub(crate) struct RustyPool(ThreadPool);

impl RustyPool {
    pub(crate) fn new() -> Self {
        Self(Builder::new().core_size(WORKERS).max_size(WORKERS).build())
    }
}

impl Peer for RustyPool {
    type Handle = JoinHandle<u64>;

    fn submit(&self, input: u64) -> Self::Handle {
        self.0.evaluate(move || noop(input))
    }

    fn wait(&self, handle: Self::Handle) -> u64 {
        handle.await_complete()
    }
}
