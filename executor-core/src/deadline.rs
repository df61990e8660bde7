//! Deadlines: the moments at which limits end. A limit may be of any length, also beyond the end of the clock.
//!
//! `wasm32-unknown-unknown` has no clock, and std's ends the program there. So code that needs the time without a limit asks
//! [`now`], and does without. A limit that cannot be kept is refused: a wait with a limit is over at once, as if the limit were
//! zero, and a task with a limit on its run is not accepted.

use std::time::{Duration, Instant};

/// Returns the moment that comes `limit` from now; `None` if it is beyond the end of the clock and never comes.
///
/// Adding a `Duration` to an `Instant` panics in that case, so all deadlines are made here.
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

/// False where there is no clock.
pub(crate) const HAS_CLOCK: bool = !cfg!(all(target_family = "wasm", target_os = "unknown"));

/// Returns the time, if there is a clock.
#[inline]
pub(crate) fn now() -> Option<Instant> {
    HAS_CLOCK.then(Instant::now)
}

/// Returns whether a wait with this limit only looks.
#[inline]
pub(crate) fn is_over_at_once(limit: Duration) -> bool {
    !HAS_CLOCK || limit.is_zero()
}

/// Returns whether a deadline has passed. `None` is one beyond the end of the clock.
pub(crate) fn has_passed(deadline: Option<Instant>) -> bool {
    now().is_none_or(|now| deadline.is_some_and(|deadline| deadline <= now))
}
