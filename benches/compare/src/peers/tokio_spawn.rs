//! tokio's `spawn` on a multi-thread runtime, its `JoinHandle`s awaited by the thread that spawned.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::{Peer, WORKERS, noop};

/// A runtime with as many workers as the pools have.
pub(crate) struct TokioSpawn(Runtime);

impl TokioSpawn {
    pub(crate) fn new() -> Self {
        Self(runtime())
    }
}

impl Peer for TokioSpawn {
    type Handle = JoinHandle<u64>;

    fn submit(&self, input: u64) -> Self::Handle {
        self.0.spawn(async move { noop(input) })
    }

    fn wait(&self, handle: Self::Handle) -> u64 {
        self.0.block_on(handle).expect("the task returns")
    }

    fn collect(&self, handles: Vec<Self::Handle>) -> u64 {
        collect_inside(&self.0, handles)
    }
}

/// The runtime of every row that has tokio in it.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(WORKERS)
        // While other peers take their turn no thread may retire and be started again inside the timed part.
        .thread_keep_alive(Duration::from_secs(3600))
        .build()
        .expect("the runtime starts")
}

/// Enters the runtime once for all handles: entering it for each would charge tokio for what nobody would write.
pub(crate) fn collect_inside(runtime: &Runtime, handles: Vec<JoinHandle<u64>>) -> u64 {
    runtime.block_on(async {
        let mut sum = 0_u64;
        for handle in handles {
            sum = sum.wrapping_add(handle.await.expect("the task returns"));
        }
        sum
    })
}
