//! A large input is moved to shared memory when its task could be dealt, and not before: while it waits it costs no descriptor.
//!
//! The thread that released the lock does it, with the task at the front of the queue in its hands. Nothing is dealt meanwhile.

use super::Dispatch;
use super::entry::Entry;
use super::preparation::Preparation;
use super::wakes::Wakes;
use super::whereabouts::Whereabouts;

impl Dispatch {
    /// Deals a large task whose input is in shared memory now.
    pub(crate) fn end_preparing(&mut self, entry: Entry, wakes: &mut Wakes) {
        self.give_up_preparing(entry, wakes);
        self.deal(wakes);
    }

    /// Puts a task that was taken out to be prepared back as it is.
    pub(crate) fn give_up_preparing(&mut self, entry: Entry, wakes: &mut Wakes) {
        let is_over = self.leave_preparing(&entry, wakes);
        self.requeue_prepared(entry, is_over, wakes);
    }

    /// Notes that the task that was taken out to be prepared is here again. Returns whether it was revoked meanwhile, or is to be
    /// cancelled.
    fn leave_preparing(&mut self, entry: &Entry, wakes: &mut Wakes) -> bool {
        wakes.supervisor |= self.closed;
        let preparation = std::mem::take(&mut self.preparation);
        if preparation == Preparation::ToBeCancelled && entry.is_at(Whereabouts::Preparing) {
            entry.move_to(Whereabouts::Withdrawn);
        }
        matches!(entry.whereabouts(), Whereabouts::Revoked | Whereabouts::Withdrawn)
    }

    /// Puts the task back at the front, unless it is over.
    fn requeue_prepared(&mut self, entry: Entry, is_over: bool, wakes: &mut Wakes) {
        if is_over {
            self.tombstone(entry);
            // Its input is large, and the next thread that collects may be long in coming.
            wakes.supervisor = true;
        } else {
            self.put_back(entry);
        }
    }

    /// Puts a large task back for which there was no shared memory, to wait until a task in flight is over. Returns it if none is
    /// in flight.
    pub(crate) fn put_off_preparing(&mut self, entry: Entry, wakes: &mut Wakes) -> Option<Entry> {
        let is_over = self.leave_preparing(&entry, wakes);
        if is_over || self.has_work_in_flight() {
            self.requeue_prepared(entry, is_over, wakes);
            return None;
        }
        self.note_unqueued(&entry);
        wakes.capacity_freed = true;
        entry.move_to(Whereabouts::InHand);
        self.deal(wakes);
        Some(entry)
    }
}
