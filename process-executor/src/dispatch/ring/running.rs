//! What the supervisor sees of the task that a worker runs.

use super::{InFlight, Ring, index};
use crate::dispatch::entry::Entry;
use crate::protocol::layout::{FREE, QUEUED, RUNNING, SKIPPED};
use process_core::system;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The task that a worker runs.
pub(crate) struct RunningTask<'a> {
    pub(crate) entry: &'a Entry,
    /// When the task, or its item, began; 0 if it has not, or is not timed.
    begun: u64,
    /// Items that are over.
    pub(crate) items: u32,
}

impl RunningTask<'_> {
    /// Returns how long the task, or its item, has been running, if it has begun.
    pub(crate) fn ran(&self) -> Option<Duration> {
        let began = Some(self.begun).filter(|begun| *begun > 0)?;
        Some(Duration::from_nanos(system::monotonic_nanoseconds().saturating_sub(began)))
    }

    /// Returns how long the task may run: `default`, unless it has a limit of its own.
    pub(crate) fn limit(&self, default: Option<Duration>) -> Option<Duration> {
        self.entry.task.run_limit().or(default)
    }
}

impl Ring {
    /// Returns the task that runs, or is about to.
    pub(crate) fn running(&self) -> Option<RunningTask<'_>> {
        for number in self.oldest..self.next {
            let slot = self.shared.slot(number);
            let task = self.in_flight[index(number)].as_ref();
            // ORDERING: Acquire, with the Release in `Running::end_item`, `TaskLoop::run` and `Running::note_time`. The count is read
            // first, so the time is that of this item or of a later one.
            let items = slot.items.load(Ordering::Acquire);
            let begun = match slot.state.load(Ordering::Acquire) {
                RUNNING => slot.begun.load(Ordering::Acquire),
                QUEUED => task.filter(|task| task.began).map(|_| 0)?,
                _ => continue,
            };
            return Some(RunningTask { entry: &task?.entry, begun, items });
        }
        None
    }

    /// Returns whether the memory was overwritten: a slot in use is in a state in which it cannot be.
    pub(crate) fn is_corrupted(&self) -> bool {
        (self.oldest..self.next).any(|number| {
            let state = self.shared.slot(number).state.load(Ordering::Relaxed);
            state == FREE || state > SKIPPED
        })
    }

    /// Returns how soon a task in flight could be due to be ended, if it begins now: at once if it was stopped, else when its limit
    /// has passed.
    pub(crate) fn first_due(&self, default: Option<Duration>) -> Option<Duration> {
        let due = |task: &InFlight| match &task.entry {
            entry if entry.stopping => Some(Duration::ZERO),
            entry if entry.timed => entry.task.run_limit().or(default),
            _ => None,
        };
        (self.oldest..self.next).filter_map(|number| self.in_flight[index(number)].as_ref().and_then(due)).min()
    }

    /// Returns the number of the slot that the worker is at, to see whether it moves.
    pub(crate) fn position(&self) -> u64 {
        self.oldest
    }
}
