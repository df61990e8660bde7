//! Idle workers: who sleeps, who looks, and who wakes whom.
//!
//! The rule that no task is left lying while a worker sleeps:
//!
//! 1. A worker that is about to sleep enters the list, then calls `TaskQueue::announce_sleep`, which fails if there are
//!    tasks. Only then it sleeps.
//! 2. The push that replaces the announcement wakes one sleeper, unless some worker is looking for work right then: that
//!    one will find the task, or, if it stops looking, will see it by rule 1.
//! 3. A worker that was woken, or was looking, owes the others: once it has a task it renews the announcement, or, if
//!    more tasks are there, wakes the next.
//!
//! The list is last in, first out: warm workers work, cold ones may retire.

use crate::sync::{AtomicUsize, Condvar, Mutex, Ordering};
use crossbeam_utils::CachePadded;
use std::sync::Arc;
use std::time::Instant;

/// The list of sleepers, and how many there are.
pub(crate) struct Idle {
    sleepers: Mutex<Vec<Arc<Bed>>>,
    /// The length of the list, for a look without the lock.
    asleep: AtomicUsize,
    /// How many sleep or were not started, for a look by every worker after every input of a chunk: on a line that changes
    /// rarely. A hint, which no model needs to see.
    free: CachePadded<std::sync::atomic::AtomicUsize>,
    /// One worker at a time looks for work before it sleeps; more would only burn processors.
    looking: AtomicUsize,
}

/// Where one worker sleeps.
pub(crate) struct Bed {
    called: Mutex<bool>,
    call: Condvar,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self { called: Mutex::new(false), call: Condvar::new() }
    }

    /// Sleeps until called, or `deadline`; whether it was called.
    pub(crate) fn sleep(&self, deadline: Option<Instant>) -> bool {
        let mut called = self.called.lock();
        while !*called {
            match deadline {
                None => self.call.wait(&mut called),
                Some(deadline) => {
                    if self.call.wait_until(&mut called, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        std::mem::take(&mut *called)
    }

    fn wake(&self) {
        *self.called.lock() = true;
        self.call.notify_one();
    }
}

impl Idle {
    /// Of a pool whose workers were not started.
    pub(crate) fn new(workers: usize) -> Self {
        let free = CachePadded::new(workers.into());
        Self { sleepers: Mutex::new(Vec::new()), asleep: AtomicUsize::new(0), free, looking: AtomicUsize::new(0) }
    }

    /// How many sleep or were not started: a hint.
    pub(crate) fn free(&self) -> &std::sync::atomic::AtomicUsize {
        &self.free
    }

    /// So many workers were alive, and so many are now.
    pub(crate) fn note_alive(&self, before: usize, now: usize) {
        self.free.fetch_add(before.wrapping_sub(now), Ordering::Relaxed);
    }

    /// Enters the list.
    pub(crate) fn enter(&self, bed: &Arc<Bed>) {
        let mut sleepers = self.sleepers.lock();
        sleepers.push(bed.clone());
        // ORDERING: SeqCst, with the load in `asleep`: a push that counts on a worker that is looking, and does not wake
        // this one, has the looking worker see it here (rule 3).
        self.asleep.store(sleepers.len(), Ordering::SeqCst);
        self.free.fetch_add(1, Ordering::Relaxed);
    }

    /// Leaves the list; false if somebody has taken the worker off it, to wake it.
    pub(crate) fn leave(&self, bed: &Arc<Bed>) -> bool {
        let mut sleepers = self.sleepers.lock();
        let Some(place) = sleepers.iter().position(|other| Arc::ptr_eq(other, bed)) else {
            return false;
        };
        sleepers.remove(place);
        self.asleep.store(sleepers.len(), Ordering::SeqCst);
        self.free.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// How many are on the list.
    pub(crate) fn asleep(&self) -> usize {
        self.asleep.load(Ordering::SeqCst)
    }

    /// Wakes the one that fell asleep last; false if none sleeps.
    pub(crate) fn wake_one(&self) -> bool {
        let bed = {
            let mut sleepers = self.sleepers.lock();
            let bed = sleepers.pop();
            self.asleep.store(sleepers.len(), Ordering::SeqCst);
            bed
        };
        match bed {
            Some(bed) => {
                self.free.fetch_sub(1, Ordering::Relaxed);
                bed.wake();
                true
            }
            None => false,
        }
    }

    /// Wakes all.
    pub(crate) fn wake_all(&self) {
        while self.wake_one() {}
    }

    /// Runs `look` unless another worker is looking already.
    pub(crate) fn look(&self, look: impl FnOnce() -> bool) -> bool {
        if self.looking.compare_exchange(0, 1, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return false;
        }
        let found = look();
        // ORDERING: a push that still sees the worker looking does not wake. The worker then sees the push when it calls
        // `TaskQueue::announce_sleep`: that changes the word which the push has changed before it looked here, and whoever
        // changes it second sees what the other did before.
        self.looking.store(0, Ordering::SeqCst);
        found
    }

    /// Whether a worker is looking. Call it after a fence.
    pub(crate) fn is_somebody_looking(&self) -> bool {
        self.looking.load(Ordering::SeqCst) != 0
    }
}
