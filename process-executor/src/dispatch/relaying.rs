//! Tasks that are handed to the relay of a worker, and those that come back from it.

use super::Dispatch;
use super::entry::Entry;
use super::relay::Relay;
use super::wakes::Wakes;
use super::whereabouts::Whereabouts;
use std::sync::Arc;

impl Dispatch {
    /// Hands a task to the relay of a worker that has no task.
    pub(super) fn load_relay(&mut self, index: usize, relay: Arc<dyn Relay>, entry: Entry, wakes: &mut Wakes) {
        let Some(seat) = self.seats[index].as_mut() else { return self.queue.push_front(entry) };
        seat.ring.expect_one();
        seat.dealt += 1;
        seat.idle_since = None;
        entry.move_to(Whereabouts::InHand);
        self.note_unqueued(&entry);
        self.entering += 1;
        wakes.capacity_freed = true;
        relay.load(entry);
        wakes.relays.push(relay);
    }

    /// Notes that a relay no longer holds the task that it was given.
    pub(crate) fn unload_relay(&mut self, wakes: &mut Wakes) {
        self.entering -= 1;
        wakes.supervisor |= self.closed;
    }

    /// Queues a task again whose worker was gone before it began.
    pub(crate) fn return_unbegun(&mut self, entry: Entry, wakes: &mut Wakes) {
        if !entry.begun {
            self.note_queued();
        }
        self.put_back(entry);
        wakes.supervisor = true;
        self.deal(wakes);
    }
}
