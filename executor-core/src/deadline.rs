//! When a duration that somebody gave is over. Any duration may be given, also one beyond the end of the clock.

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
    Instant::now().checked_add(limit)
}
