//! Tasks that were dealt are taken back: what waits behind a task that takes long goes to a worker that has nothing to do.

use super::Dispatch;
use super::wakes::Wakes;
use crate::dispatch::next_wakeup::STUCK_TICK;
use crate::dispatch::seat::Seat;
use crate::protocol::layout::SLOTS;

/// Tasks that take more than this, in nanoseconds, begin in order even if another worker has one ahead.
const DEAR: u32 = 50_000;

impl Dispatch {
    /// Moves what waits behind a dear task to a worker that has nothing to do, so that tasks begin in order.
    pub(super) fn advance_older(&mut self, wakes: &mut Wakes) {
        loop {
            if !self.seats.iter().flatten().any(|seat| seat.is_free(self.most_tasks)) {
                return;
            }
            let functions = &self.functions;
            let victim = self.seats.iter().position(|seat| {
                seat.as_ref().is_some_and(|seat| seat.ring.depth() > 1 && seat.ring.youngest_cost(functions) >= DEAR)
            });
            let Some(victim) = victim else { return };
            if !self.take_back(victim, 1) {
                return;
            }
            let Some(entry) = self.queue.pop_front() else { return };
            match self.choose(&entry) {
                Some(index) => self.put(index, entry, wakes),
                None => return self.queue.push_front(entry),
            }
        }
    }

    /// Takes tasks that have not begun back from a ring to the front of the queue.
    pub(crate) fn take_back(&mut self, index: usize, most: usize) -> bool {
        let Some(seat) = self.seats[index].as_mut() else { return false };
        let back = seat.ring.take_back(most);
        seat.dealt -= back.len() as u64;
        let any = !back.is_empty();
        // Youngest first, so that the oldest ends up in front.
        for entry in back {
            self.put_back(entry);
        }
        any
    }

    /// Takes back the task that a worker was to begin, and queues it again. Returns false if the worker has begun it.
    pub(crate) fn take_back_next(&mut self, index: usize) -> bool {
        let Some(seat) = self.seats[index].as_mut() else { return false };
        let Some(entry) = seat.ring.take_back_next() else { return false };
        seat.dealt -= 1;
        if !entry.begun {
            self.note_queued();
        }
        self.put_back(entry);
        true
    }

    /// Returns whether a worker has taken a task, and not yet noted when.
    pub(crate) fn is_at_a_beginning(&self, index: usize) -> bool {
        let running = self.seats[index].as_ref().and_then(|seat| seat.ring.running());
        running.is_some_and(|running| running.ran().is_none())
    }

    /// Moves what waits in a worker that seems stuck with one task to workers that have nothing to do, or could be started.
    pub(crate) fn rescue(&mut self, index: usize, wakes: &mut Wakes) {
        if self.has_free_hands() && self.take_back(index, SLOTS) {
            if let Some(seat) = self.seats[index].as_mut() {
                seat.stuck = true;
            }
            self.deal(wakes);
        }
    }

    /// Returns whether workers have tasks.
    pub(crate) fn has_work_in_flight(&self) -> bool {
        self.seats.iter().flatten().any(|seat| seat.ring.depth() > 0)
    }

    /// Returns whether a worker has nothing to do, or could be started, and so could take over what waits in others.
    pub(crate) fn has_free_hands(&self) -> bool {
        let is_free = |seat: &Seat| seat.is_free(self.most_tasks);
        self.seats.iter().any(|seat| seat.as_ref().map_or(!self.stopping, is_free))
    }

    /// Returns how many workers have nothing to do and nothing to come, or could be started.
    pub(crate) fn count_idle(&self) -> usize {
        let is_free = |seat: &Seat| seat.is_free(self.most_tasks);
        let is_idle = |seat: &&Option<Seat>| seat.as_ref().map_or(!self.stopping, is_free);
        if self.has_no_backlog() { self.seats.iter().filter(is_idle).count() } else { 0 }
    }

    /// Tells workers that run chunks whether others have nothing to do. Called before the lock is released.
    pub(crate) fn ask_for_rests(&mut self) {
        if !self.has_chunks {
            return;
        }
        let wanted = self.has_no_backlog() && self.has_free_hands();
        self.has_chunks = false;
        for seat in self.seats.iter_mut().flatten() {
            seat.ring.want_rests(wanted);
            self.has_chunks |= seat.ring.depth() > 0;
        }
    }

    /// Has the supervisor look in time whether workers are stuck, if others could take over what waits in them.
    pub(super) fn watch_those_behind(&mut self, wakes: &mut Wakes) {
        let any_behind = || self.seats.iter().flatten().any(|seat| seat.ring.has_some_behind());
        if self.has_free_hands() && any_behind() {
            wakes.supervisor |= self.next_wakeup.must_call(Some(STUCK_TICK));
        }
    }
}
