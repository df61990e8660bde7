//! Tasks in a ring that have not begun, and those that are to stop.

use super::{InFlight, Ring, index};
use crate::dispatch::entry::Entry;
use crate::dispatch::functions::FunctionTable;
use crate::protocol::layout::{DONE, QUEUED, REVOKED, RUNNING};
use std::sync::atomic::Ordering;

impl Ring {
    /// Revokes a slot that the worker has not begun. The slot stays taken until the worker has passed it by.
    pub(super) fn revoke(&self, number: u64) -> bool {
        let slot = self.shared.slot(number);
        // ORDERING: AcqRel, with the swap in `TaskLoop::run`: one of the two has the slot, and sees it as the other left it.
        slot.state.compare_exchange(QUEUED, REVOKED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Revokes a task that does not count as begun. The oldest counts as begun from the moment it is the oldest, so that all
    /// who ask get the same answer. Its tombstone stays until the worker has passed it by.
    pub(crate) fn revoke_unbegun(&self, number: u64) -> bool {
        let waits = |task: &InFlight| !task.began && !task.entry.begun;
        self.in_flight[index(number)].as_ref().is_some_and(waits) && self.revoke(number)
    }

    /// Counts the oldest task as begun. Returns false if it was counted before, or there is none.
    pub(crate) fn begin_oldest(&mut self) -> bool {
        let oldest = (self.oldest..self.next).find_map(|number| {
            let task = self.in_flight[index(number)].as_ref()?;
            (!task.is_tombstone()).then_some(number)
        });
        let Some(task) = oldest.and_then(|number| self.in_flight[index(number)].as_mut()) else { return false };
        !std::mem::replace(&mut task.began, true)
    }

    /// Returns whether there are tasks that have not begun, and could be taken back.
    pub(crate) fn has_some_behind(&self) -> bool {
        let mut youngest_first = (self.oldest..self.next).rev();
        self.depth() > 1
            && youngest_first.any(|number| self.in_flight[index(number)].as_ref().is_some_and(InFlight::waits))
    }

    /// Returns what the youngest task in flight is expected to cost.
    pub(crate) fn youngest_cost(&self, functions: &FunctionTable) -> u32 {
        let youngest = (self.oldest..self.next).rev().find_map(|number| self.in_flight[index(number)].as_ref());
        youngest.map_or(0, |task| functions.get(task.entry.function).estimate)
    }

    /// Takes back the youngest tasks that have not begun, youngest first, to be dealt anew. The worker passes their slots by.
    pub(crate) fn take_back(&mut self, most: usize) -> Vec<Entry> {
        let mut back = Vec::new();
        for number in (self.oldest..self.next).rev() {
            if back.len() == most {
                break;
            }
            // Else it is a tombstone, or a slot from which a task was taken back before.
            if !self.in_flight[index(number)].as_ref().is_some_and(InFlight::waits) {
                continue;
            }
            match self.take_back_at(number) {
                Some(entry) => back.push(entry),
                None => break,
            }
        }
        back
    }

    /// Takes back the task that counts as begun, if the worker has not begun it after all.
    pub(crate) fn take_back_next(&mut self) -> Option<Entry> {
        let counts = |task: &InFlight| task.began && !task.is_tombstone();
        let mut numbers = self.oldest..self.next;
        let next = numbers.find(|number| self.in_flight[index(*number)].as_ref().is_some_and(counts))?;
        self.take_back_at(next)
    }

    /// Takes a task out of a slot, unless it has begun.
    fn take_back_at(&mut self, number: u64) -> Option<Entry> {
        if !self.revoke(number) {
            return None;
        }
        let task = self.in_flight[index(number)].take()?;
        self.load = self.load.saturating_sub(u64::from(task.cost));
        self.free_blocks.extend(task.block);
        self.clear(number, &task);
        Some(task.entry)
    }

    /// Returns whether a task has begun.
    pub(crate) fn has_begun(&self, number: u64) -> bool {
        let began = self.in_flight[index(number)].as_ref().is_some_and(|task| task.began);
        // ORDERING: Acquire, with the Release in `Slot::leave`: what a task that is over has written is seen.
        began || matches!(self.shared.slot(number).state.load(Ordering::Acquire), RUNNING | DONE)
    }

    /// Raises the flag of a task; with `end_worker`, notes that its worker is to be ended.
    pub(crate) fn ask_to_stop(&mut self, number: u64, end_worker: bool) {
        let Some(task) = self.in_flight[index(number)].as_mut() else { return };
        task.entry.stopping |= end_worker;
        task.asked_to_stop = true;
        // ORDERING: Release, with the Acquire in `is_stop_requested` in the worker: the task sees what was done before.
        self.shared.slot(number).stop.store(1, Ordering::Release);
    }
}
