//! rayon's `spawn`; the result comes back through a oneshot channel.

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{Peer, WORKERS, noop};

/// A rayon pool of its own, never the global one.
pub(crate) struct RayonSpawn(ThreadPool);

impl RayonSpawn {
    pub(crate) fn new() -> Self {
        Self(pool())
    }
}

impl Peer for RayonSpawn {
    type Handle = oneshot::Receiver<u64>;

    fn submit(&self, input: u64) -> Self::Handle {
        let (sender, receiver) = oneshot::channel();
        self.0.spawn(move || {
            let _ = sender.send(noop(input));
        });
        receiver
    }

    fn wait(&self, handle: Self::Handle) -> u64 {
        handle.recv().expect("the task sends")
    }
}

/// The rayon pool of every row that has rayon as its peer.
pub(crate) fn pool() -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(WORKERS).build().expect("the workers start")
}
