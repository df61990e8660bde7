//! The workers of a pool as its lock guards them: who is alive, and who waits for their end.

use crate::sync::thread;
use std::task::Waker;

/// Which workers there are.
pub(super) struct Workers {
    /// Indices without a worker.
    pub(super) free: Vec<usize>,
    pub(super) alive: usize,
    /// Those of the living that take no more tasks, and only have their exit hook to run.
    pub(super) retiring: usize,
    pub(super) threads: Vec<thread::JoinHandle<()>>,
    /// Async waiters for the end.
    pub(super) wakers: Vec<Waker>,
    /// A shutdown did not wait to the end, so that dropping the handle does not wait either.
    pub(super) abandoned: bool,
}

impl Workers {
    /// Returns the record of a pool that has started none of its `count` workers.
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: (0..count).rev().collect(),
            alive: 0,
            retiring: 0,
            threads: Vec::new(),
            wakers: Vec::new(),
            abandoned: false,
        }
    }

    /// Returns how many workers take tasks.
    pub(super) fn at_work(&self) -> usize {
        self.alive - self.retiring
    }

    /// Records the worker that runs on `thread`, and forgets threads that have ended.
    pub(super) fn add(&mut self, thread: thread::JoinHandle<()>) {
        self.threads.retain(|thread| !is_finished(thread));
        self.threads.push(thread);
        self.alive += 1;
    }

    /// Records the end of a worker.
    pub(super) fn remove(&mut self, index: usize, retired: bool) {
        self.free.push(index);
        self.alive -= 1;
        self.retiring -= usize::from(retired);
    }
}

#[cfg(not(any(loom, shuttle)))]
fn is_finished(thread: &thread::JoinHandle<()>) -> bool {
    thread.is_finished()
}

/// A model keeps its threads until they are joined.
#[cfg(any(loom, shuttle))]
fn is_finished(_thread: &thread::JoinHandle<()>) -> bool {
    false
}
