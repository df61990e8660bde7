//! `ThreadPoolExecutor` through its concrete type: `submit` of a function and its argument.

use executor_core::{ExecutorExt, Future};
use thread_executor::ThreadPoolExecutor;

use super::{Peer, WORKERS, noop};

/// Our pool.
pub(crate) struct Ours(pub(crate) ThreadPoolExecutor);

impl Ours {
    pub(crate) fn new() -> Self {
        Self(pool(WORKERS))
    }
}

impl Peer for Ours {
    type Handle = Future<u64>;

    fn submit(&self, input: u64) -> Self::Handle {
        self.0.submit(noop, input).expect("the pool is open")
    }

    fn wait(&self, handle: Self::Handle) -> u64 {
        handle.result().expect("the task returns")
    }
}

/// A pool with a fixed number of workers.
pub(crate) fn pool(workers: usize) -> ThreadPoolExecutor {
    ThreadPoolExecutor::with_workers(workers).expect("the workers start")
}
