//! `procspawn`'s pool, the only other process pool in Rust with any use.

use procspawn::Pool;

use super::{Peer, WORKERS, noop};

/// Its pool; `procspawn::init` has to come first in `main`.
pub(crate) struct ProcspawnPool(Pool);

impl ProcspawnPool {
    pub(crate) fn new() -> Self {
        Self(Pool::new(WORKERS).expect("the workers start"))
    }
}

impl Peer for ProcspawnPool {
    type Handle = procspawn::JoinHandle<u64>;

    fn submit(&self, input: u64) -> Self::Handle {
        self.0.spawn(input, noop)
    }

    fn wait(&self, handle: Self::Handle) -> u64 {
        handle.join().expect("the task returns")
    }
}
