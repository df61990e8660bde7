//! tokio's `spawn_blocking`, limited to as many blocking threads as the pools have workers.

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::{Peer, noop, tokio_spawn};

/// The same runtime as for `spawn`; here its blocking threads do the work.
pub(crate) struct TokioBlocking(Runtime);

impl TokioBlocking {
    pub(crate) fn new() -> Self {
        Self(tokio_spawn::runtime())
    }
}

impl Peer for TokioBlocking {
    type Handle = JoinHandle<u64>;

    fn submit(&self, input: u64) -> Self::Handle {
        self.0.spawn_blocking(move || noop(input))
    }

    fn wait(&self, handle: Self::Handle) -> u64 {
        self.0.block_on(handle).expect("the task returns")
    }

    fn collect(&self, handles: Vec<Self::Handle>) -> u64 {
        tokio_spawn::collect_inside(&self.0, handles)
    }
}
