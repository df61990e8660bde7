//! When a duration that somebody gave is over. Any duration may be given, also one beyond the end of the clock.
//!
//! `wasm32-unknown-unknown` has no clock, and std's ends the program there. So whoever needs the time without being given a
//! limit asks [`now`], and does without it. Whoever was given a limit that cannot be kept refuses: a wait with a limit is over
//! at once, as if its limit were zero, and a task with a limit on its run is not accepted.

use std::time::{Duration, Instant};

/// Returns the moment that comes `limit` from now; `None` for one beyond the clock's end, which never comes.
///
/// A sum of an `Instant` and a `Duration` panics there, so all deadlines are made by this.
///
/// ```
/// use executor_core::task::deadline_after;
/// use std::time::Duration;
///
/// assert!(deadline_after(Duration::from_secs(1)).is_some());
/// assert!(deadline_after(Duration::MAX).is_none());
/// ```
#[must_use]
pub fn deadline_after(limit: Duration) -> Option<Instant> {
    now()?.checked_add(limit)
}

/// Whether there is a clock.
pub(crate) const HAS_CLOCK: bool = !cfg!(all(target_family = "wasm", target_os = "unknown"));

/// Returns the time, if there is a clock.
#[inline]
pub(crate) fn now() -> Option<Instant> {
    HAS_CLOCK.then(Instant::now)
}

/// Returns whether a wait with this limit is a look that does not wait.
#[inline]
pub(crate) fn is_over_at_once(limit: Duration) -> bool {
    !HAS_CLOCK || limit.is_zero()
}

/// Returns whether the deadline of a limit that somebody gave has passed. `None` is one beyond the clock's end.
pub(crate) fn has_passed(deadline: Option<Instant>) -> bool {
    now().is_none_or(|now| deadline.is_some_and(|deadline| deadline <= now))
}
