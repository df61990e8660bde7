//! When the pool, or a worker, has nothing left to do.

use super::Dispatch;
use super::entry::Entry;
use super::preparation::Preparation;
use super::seat::SeatState;
use super::whereabouts::Whereabouts;
use crate::protocol::layout::SLOTS;
use std::time::{Duration, Instant};

impl Dispatch {
    /// Takes all tasks that have not begun, from the queue and from the workers, for the caller to cancel.
    pub(crate) fn take_unbegun(&mut self) -> Vec<Entry> {
        if self.preparation == Preparation::UnderWay {
            self.preparation = Preparation::ToBeCancelled;
        }
        for index in 0..self.seats.len() {
            self.take_back(index, SLOTS);
        }
        let (begun, unbegun): (Vec<_>, Vec<_>) = self.take_back_queue().into_iter().partition(|entry| entry.begun);
        self.queue.extend(begun);
        unbegun
    }

    /// Empties the queue. Tombstones are dropped; what has not begun is for the caller to cancel.
    pub(crate) fn take_back_queue(&mut self) -> Vec<Entry> {
        let mut taken = Vec::new();
        for entry in std::mem::take(&mut self.queue) {
            match entry.whereabouts() {
                Whereabouts::Revoked => self.tombstones.push(entry),
                Whereabouts::Queued => {
                    entry.move_to(Whereabouts::Withdrawn);
                    taken.push(entry);
                }
                _ => taken.push(entry),
            }
        }
        self.revoked = 0;
        taken
    }

    /// Returns when a worker without a task is to end: at once (zero), after a while, or not by itself.
    ///
    /// `in_hand` tasks came back and are not finished; they may have to run again.
    pub(crate) fn wants_to_leave(
        &self,
        index: usize,
        keep_alive: Option<Duration>,
        now: Instant,
        in_hand: usize,
    ) -> Option<Duration> {
        let seat = self.seats[index].as_ref()?;
        if seat.state == SeatState::Starting || seat.lost {
            // A worker that starts is welcomed first, and told then; a lost one hears nothing any more.
            return None;
        }
        let over = self.is_drained() && in_hand == 0 && !self.has_work_in_flight();
        if over || self.stopping || seat.state == SeatState::Leaving || seat.dealt >= self.most_tasks {
            return Some(Duration::ZERO);
        }
        Some(keep_alive?.saturating_sub(now - seat.idle_since?))
    }

    /// Returns whether nothing is left to do, and no worker is left.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_drained() && !self.starting && self.tombstones.is_empty() && self.seats.iter().all(Option::is_none)
    }

    /// Returns whether no task waits here, and none will come from outside.
    pub(crate) fn is_drained(&self) -> bool {
        self.closed && self.entering == 0 && self.preparation == Preparation::None && self.queue.is_empty()
    }
}
