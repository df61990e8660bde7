//! The counters: tasks that wait, the capacity that they take, and the statistics.

use super::Dispatch;
use super::entry::Entry;
use super::seat::SeatState;
use super::wakes::Wakes;
use executor_core::Stats;

impl Dispatch {
    /// Counts a submitted task against the capacity, unless it was `entered` before.
    pub(crate) fn admit(&mut self, entered: bool) {
        if entered {
            self.entering -= 1;
        } else {
            self.capacity.used += 1;
        }
    }

    /// Frees the capacity of a task that goes no further.
    pub(crate) fn free_capacity(&mut self, wakes: &mut Wakes) {
        self.capacity.release(1);
        wakes.capacity_freed = true;
    }

    /// Counts a task that counted as begun, and is queued again.
    pub(crate) fn note_queued(&mut self) {
        self.stats.queued += 1;
        self.capacity.used += 1;
    }

    /// Counts a task that leaves the queue, unless it counted as begun there.
    pub(crate) fn note_unqueued(&mut self, entry: &Entry) {
        if !entry.begun {
            self.count_unqueued(1);
        }
    }

    /// Counts that many tasks as waiting no longer; they give their capacity back.
    pub(super) fn count_unqueued(&mut self, tasks: usize) {
        self.stats.queued = self.stats.queued.saturating_sub(tasks);
        self.capacity.release(tasks);
    }

    /// Returns the statistics, with those of the workers there are now.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.stats;
        let seats = || self.seats.iter().flatten();
        stats.workers = seats().count();
        let busy = seats().filter(|seat| seat.ring.has_tasks()).count();
        stats.idle = seats().filter(|seat| seat.state == SeatState::Ready).count().saturating_sub(busy);
        stats.running = busy;
        stats.bytes_sent += seats().map(|seat| seat.ring.bytes_sent()).sum::<u64>();
        stats
    }
}
