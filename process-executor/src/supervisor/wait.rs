//! How long the supervisor sleeps.

use std::time::Duration;

/// Shortens `wait` to another time, if that is sooner; `None` is never.
pub(super) fn sooner(wait: &mut Option<Duration>, other: Option<Duration>) {
    *wait = match (*wait, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
}
