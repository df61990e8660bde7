//! The `threadpool` crate's `execute`; the result comes back through a oneshot channel.

use threadpool::ThreadPool;

use super::{Peer, WORKERS, noop};

/// A fixed-size pool behind one locked channel.
pub(crate) struct Threadpool(ThreadPool);

impl Threadpool {
    pub(crate) fn new() -> Self {
        Self(ThreadPool::new(WORKERS))
    }
}

// One pool is shared by the threads of `producers_4`; `ThreadPool` is `Sync` since Rust 1.72 made `mpsc::Sender` so.
impl Peer for Threadpool {
    type Handle = oneshot::Receiver<u64>;

    fn submit(&self, input: u64) -> Self::Handle {
        let (sender, receiver) = oneshot::channel();
        self.0.execute(move || {
            let _ = sender.send(noop(input));
        });
        receiver
    }

    fn wait(&self, handle: Self::Handle) -> u64 {
        handle.recv().expect("the task sends")
    }
}
