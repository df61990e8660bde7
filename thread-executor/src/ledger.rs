//! What a task's leaving of the queue touches: the counters and the room. It is all that tasks know of the pool.

use crate::counters::Counters;
use crate::room::Room;
use executor_core::task::{Dequeued, TaskOwner};
use std::task::Waker;

/// The pool as its queued tasks know it.
pub(crate) struct Ledger {
    pub(crate) counters: Counters,
    /// The bound of the queue, if it has one.
    pub(crate) room: Option<Room>,
}

impl Ledger {
    pub(crate) fn new(queue_capacity: Option<usize>) -> Self {
        Self { counters: Counters::new(), room: queue_capacity.map(Room::new) }
    }

    /// A place in the queue is free.
    pub(crate) fn release_room(&self) {
        if let Some(room) = &self.room {
            crate::wake_all(room.release());
        }
    }
}

impl TaskOwner for Ledger {
    fn task_dequeued(&self, how: Dequeued) -> Vec<Waker> {
        match how {
            Dequeued::Cancelled => self.counters.add_cancelled(),
            Dequeued::Expired => self.counters.add_expired(),
        }
        self.room.as_ref().map_or_else(Vec::new, Room::release)
    }
}
