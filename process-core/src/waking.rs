//! How a parent and a child that works for it wake each other: two words in memory that they share.
//!
//! ```text
//!  asleep:  the worker says that it will sleep ── fence ── looks for a task
//!           the parent hands a task over       ── fence ── looks whether the worker sleeps
//!  bell:    the parent sets the bell           ── fence ── looks for results
//!           the worker leaves a result         ── fence ── looks at the bell
//! ```
//! Of two processes that each write one thing and then read the other's, at least one sees what the other wrote; so none sleeps
//! while there is something for it. `tests/loom.rs` runs this file in all interleavings.

use crate::sync::{AtomicU32, Ordering, fence, store_and_fence};
use crate::system;
use std::time::Duration;

/// The word that is 1 while a worker sleeps, or is about to: then the process that has something for it wakes it.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Asleep(AtomicU32);

impl Asleep {
    /// Sleeps until `look` finds something; looks again after `limit`, woken or not. For the worker.
    pub fn sleep_until<T>(&self, limit: Option<Duration>, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            store_and_fence(&self.0, 1);
            if let Some(found) = look() {
                self.0.store(0, Ordering::Relaxed);
                return found;
            }
            system::sleep_while(&self.0, 1, limit);
        }
    }

    /// Returns whether the worker sleeps, or is about to, and the caller has to wake it. To be called after a `fence` behind
    /// what it may sleep for.
    #[inline]
    #[must_use]
    pub fn take(&self) -> bool {
        // No needless write: it would take the cache line from the worker.
        // ORDERING: AcqRel, with the store of `sleep_until`; the fence of the caller orders the load.
        self.0.load(Ordering::Relaxed) != 0 && self.0.swap(0, Ordering::AcqRel) != 0
    }

    /// Wakes the worker, after [`take`](Self::take) has said so.
    pub fn wake(&self) {
        system::wake(&self.0);
    }

    /// Wakes the worker if it sleeps, for something that was just stored.
    pub fn call(&self) {
        // ORDERING: SeqCst, with the fence of `sleep_until`: it sees what was stored, or we see that it sleeps.
        fence(Ordering::SeqCst);
        if self.take() {
            self.wake();
        }
    }
}

/// The word that says whether a worker rings for its next result, and for whom.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct DoorbellWord(AtomicU32);

/// The worker rings for nobody: a thread of the parent looks for results anyway, or the bell has rung.
pub const QUIET: u32 = 0;
/// The worker rings by the socket, for the thread that looks after all workers.
pub const ARMED: u32 = 1;
/// The worker wakes a thread of the parent that sleeps on the word; if there is none any more, it rings by the socket.
pub const LISTENED: u32 = 2;

impl DoorbellWord {
    /// Returns the word that listeners sleep on.
    #[inline]
    #[must_use]
    pub fn word(&self) -> &AtomicU32 {
        &self.0
    }

    /// Sets bells. After they were turned on the caller looks for results: those that came before were not rung for.
    pub fn set_all<'a>(bells: impl Iterator<Item = &'a Self>, value: u32) {
        for Self(bell) in bells {
            let before = bell.load(Ordering::Relaxed);
            // No needless write: it would take the cache line from the worker. A bell that a thread sleeps on stays its own.
            if before != value && !(before == LISTENED && value == ARMED) {
                bell.store(value, Ordering::Relaxed);
            }
        }
        // ORDERING: SeqCst, with the fence of `store_and_fence`: the worker sees the bell, or we see its result.
        fence(Ordering::SeqCst);
    }

    /// Returns for whom the worker has to ring, if it has, once. To be called after it has left a result by
    /// [`store_and_fence`].
    #[inline]
    pub fn take(&self) -> u32 {
        match self.0.load(Ordering::Relaxed) {
            QUIET => QUIET,
            // ORDERING: AcqRel, with the stores of `set_all`, which the fence there publishes.
            _ => self.0.swap(QUIET, Ordering::AcqRel),
        }
    }

    /// Wakes a thread that sleeps on it; false if there is none.
    #[must_use]
    pub fn wake_listener(&self) -> bool {
        system::wake_one(&self.0)
    }

    /// Ends it: it does not ring any more, and threads that listen to it, or are about to, turn to others.
    pub fn silence(&self) {
        self.0.store(QUIET, Ordering::Relaxed);
        system::wake(&self.0);
    }
}
