//! Operations on many futures at once: `as_completed` and `wait`.

use executor_core::{ReturnWhen, as_completed, wait};

use crate::actor::Actor;
use crate::tasks::finish;

/// Every future comes once, done.
pub(crate) fn as_completed_all(actor: &mut Actor) {
    let some = actor.take_some();
    let count = some.len();
    let mut come = 0;
    for (entry, future) in as_completed(some) {
        assert!(future.is_done(), "as_completed gave a future that is not done");
        finish(&entry, future.result());
        come += 1;
    }
    assert_eq!(come, count, "as_completed gave another number of futures than it was given");
}

/// Takes a few, adds one, takes one with a limit, and leaves: nothing may be lost.
pub(crate) fn as_completed_midway(actor: &mut Actor) {
    let some = actor.take_some();
    let mut count = some.len();
    let mut set = as_completed(some);
    for (entry, future) in set.by_ref().take(count / 3) {
        count -= 1;
        finish(&entry, future.result());
    }
    if let Some(late) = actor.take() {
        count += 1;
        set.push(late);
    }
    let limit = actor.moment();
    if let Ok(Some((entry, future))) = set.next_timeout(limit) {
        count -= 1;
        finish(&entry, future.result());
    }
    assert_eq!(set.len(), count, "as_completed lost or doubled a future");
    if actor.rng.bool() {
        let rest = set.into_rest();
        assert_eq!(rest.len(), count, "into_rest lost or doubled a future");
        actor.held.extend(rest);
    }
}

/// Waits under any of the conditions, with and without a limit; what comes back is what was given.
pub(crate) fn wait_some(actor: &mut Actor) {
    let some = actor.take_some();
    let count = some.len();
    let limit = actor.rng.bool().then(|| actor.moment());
    let sorted = match actor.rng.u8(..4) {
        0 => wait(some, limit, ReturnWhen::FirstCompleted),
        1 => wait(some, limit, ReturnWhen::FirstException),
        2 => wait(some, limit, |outcome: &Result<_, _>| outcome.is_ok()),
        _ => wait(some, limit, ReturnWhen::AllCompleted),
    };
    assert_eq!(sorted.done.len() + sorted.not_done.len(), count, "wait lost or doubled a future");
    assert!(sorted.done.iter().all(|(_, future)| future.is_done()), "wait called a future done that is not");
    assert!(count == 0 || limit.is_some() || !sorted.done.is_empty(), "wait without a limit came back with nothing");
    actor.held.extend(sorted.done);
    actor.held.extend(sorted.not_done);
}
