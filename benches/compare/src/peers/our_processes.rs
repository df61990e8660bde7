//! `ProcessPoolExecutor` through its concrete type, over each of its transports.

use executor_core::{ExecutorExt, Future};
use process_executor::{ProcessPoolExecutor, TransportKind};

use super::{Peer, WORKERS, noop};

/// What the transports' contenders are called; the first is the default and the one that is measured against peers.
pub(crate) const TRANSPORTS: &[(&str, TransportKind)] =
    &[("ours", TransportKind::SharedMemory), ("ours over ipc-channel", TransportKind::IpcChannel)];

/// Our pool.
pub(crate) struct OurProcesses(pub(crate) ProcessPoolExecutor);

impl OurProcesses {
    pub(crate) fn new(transport: TransportKind) -> Self {
        Self(pool(WORKERS, transport))
    }
}

impl Peer for OurProcesses {
    type Handle = Future<u64>;

    fn submit(&self, input: u64) -> Self::Handle {
        self.0.submit(noop, input).expect("the pool is open")
    }

    fn wait(&self, handle: Self::Handle) -> u64 {
        handle.result().expect("the task returns")
    }
}

/// A pool with a fixed number of workers.
pub(crate) fn pool(workers: usize, transport: TransportKind) -> ProcessPoolExecutor {
    ProcessPoolExecutor::builder().workers(workers).transport(transport).build().expect("the workers start")
}
