//! How a parent and its worker wake each other: two words in the memory that they share.
//!
//! ```text
//!  asleep:  the worker says that it will sleep ── fence ── looks for a task
//!           the parent hands a task over       ── fence ── looks whether the worker sleeps
//!  bell:    the parent sets the bell           ── fence ── looks for results
//!           the worker leaves a result         ── fence ── looks at the bell
//! ```
//! Of two that each write one thing and then read the other's, at least one sees what the other wrote; so nobody sleeps while
//! something lies before it. `tests/loom.rs` runs this file in all interleavings.

use crate::sync::{AtomicU32, Ordering, fence, store_and_fence};
use crate::system;
use std::time::Duration;

/// Whether a worker sleeps, or is about to: 1, and who hands it something wakes it.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Asleep(AtomicU32);

impl Asleep {
    /// The worker sleeps until `look` finds something; it looks again after `limit`, woken or not.
    pub(crate) fn sleep_until<T>(&self, limit: Option<Duration>, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            store_and_fence(&self.0, 1);
            if let Some(found) = look() {
                self.0.store(0, Ordering::Relaxed);
                return found;
            }
            system::sleep_while(&self.0, 1, limit);
        }
    }

    /// Whether the worker sleeps, or is about to, and is to be woken by whoever asks. Asked after a `fence` behind what it may
    /// sleep for.
    pub(crate) fn take(&self) -> bool {
        // A line that the worker looks at is not taken away from it for nothing.
        self.0.load(Ordering::Relaxed) != 0 && self.0.swap(0, Ordering::AcqRel) != 0
    }

    /// Wakes the worker, which was taken out of its sleep.
    pub(crate) fn wake(&self) {
        system::wake(&self.0);
    }

    /// Wakes the worker if it sleeps, for something that was just put before it.
    pub(crate) fn call(&self) {
        fence(Ordering::SeqCst);
        if self.take() {
            self.wake();
        }
    }
}

/// Whether a worker rings for its next result, and for whom.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct DoorbellWord(AtomicU32);

/// For nobody: somebody looks for results anyway, or it has been rung.
pub(crate) const QUIET: u32 = 0;
/// For the supervisor, by the socket.
pub(crate) const ARMED: u32 = 1;
/// For a thread of the parent that sleeps on the word, a futex; if there is none any more, for the supervisor.
pub(crate) const LISTENED: u32 = 2;

impl DoorbellWord {
    /// The word that listeners sleep on.
    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.0
    }

    /// Sets bells. Who turns them on looks for results afterwards: those that came before were not rung for.
    pub(crate) fn set_all<'a>(bells: impl Iterator<Item = &'a Self>, value: u32) {
        for Self(bell) in bells {
            let before = bell.load(Ordering::Relaxed);
            // A line that the worker looks at is not taken away from it for nothing, nor a bell from who sleeps on it.
            if before != value && !(before == LISTENED && value == ARMED) {
                bell.store(value, Ordering::Relaxed);
            }
        }
        fence(Ordering::SeqCst);
    }

    /// The worker has left a result, by `sync::store_and_fence`: tells for whom it is to ring, if it is. It does so once.
    pub(crate) fn take(&self) -> u32 {
        match self.0.load(Ordering::Relaxed) {
            QUIET => QUIET,
            _ => self.0.swap(QUIET, Ordering::AcqRel),
        }
    }

    /// Wakes a thread that sleeps on it; false if there is none.
    pub(crate) fn wake_listener(&self) -> bool {
        system::wake_one(&self.0)
    }

    /// It will not ring any more: whoever listens to it, or is about to, turns to others.
    pub(crate) fn silence(&self) {
        self.0.store(QUIET, Ordering::Relaxed);
        system::wake(&self.0);
    }
}
