//! What changes when a task leaves the queue: the counters and the capacity. It is all that tasks know of the pool.

use crate::capacity::Capacity;
use crate::counters::Counters;
use executor_core::task::{Dequeued, TaskOwner};
use std::task::Waker;

/// The pool as its queued tasks know it.
pub(crate) struct Backlog {
    pub(crate) counters: Counters,
    /// The bound of the queue, if it has one.
    pub(crate) capacity: Option<Capacity>,
}

impl Backlog {
    pub(crate) fn new(queue_capacity: Option<usize>) -> Self {
        Self { counters: Counters::new(), capacity: queue_capacity.map(Capacity::new) }
    }

    /// Frees the permit of a task that has left the queue.
    pub(crate) fn release_permit(&self) {
        if let Some(capacity) = &self.capacity {
            executor_core::task::wake_all(capacity.release());
        }
    }
}

impl TaskOwner for Backlog {
    fn task_dequeued(&self, how: Dequeued) -> Vec<Waker> {
        self.counters.add_dequeued(how);
        self.capacity.as_ref().map_or_else(Vec::new, Capacity::release)
    }
}
