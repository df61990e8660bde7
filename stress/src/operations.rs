//! What an actor may do, and how often.

use std::sync::Arc;

use crate::actor::{Actor, Operation};
use crate::entry::Entry;
use crate::tasks::finish;
use crate::watchdog::{STEPS, step};
use crate::{mapping, mischief, remote, sets};

const OPERATIONS: &[Operation] = &[
    ("submit", 20, Actor::submit),
    ("submit_with limits", 4, Actor::submit_with),
    ("try_submit", 8, Actor::try_submit),
    ("submit_async", 4, Actor::submit_async),
    ("submit_async dropped", 2, Actor::submit_async_dropped),
    ("spawn", 8, Actor::spawn),
    ("submit nested", 3, Actor::submit_nested),
    ("result", 6, Actor::result),
    ("result_timeout", 4, Actor::result_timeout),
    ("await", 3, Actor::await_result),
    ("exception", 2, Actor::exception),
    ("cancel", 6, Actor::cancel),
    ("stop", 3, Actor::stop),
    ("add_done_callback", 8, Actor::add_done_callback),
    ("drop", 5, Actor::drop_future),
    ("share", 3, Actor::share),
    ("cancel_on_drop", 2, Actor::cancel_on_drop),
    ("swap", 4, Actor::swap),
    ("as_completed", 2, sets::as_completed_all),
    ("as_completed left midway", 2, sets::as_completed_midway),
    ("wait", 3, sets::wait_some),
    ("map", 1, mapping::whole),
    ("map dropped midway", 1, mapping::midway),
    ("map with limits", 1, mapping::limited),
    ("map whose input panics", 1, mapping::panicking_input),
    ("stats", 1, Actor::stats),
    ("rest", 1, Actor::rest),
];

/// The operations of this program: those that only processes have come last.
fn operations() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().chain(remote::is_remote().then_some(mischief::OPERATIONS).into_iter().flatten())
}

/// The names of the operations, as the board numbers them.
pub(crate) fn names() -> Vec<&'static str> {
    operations().map(|(name, ..)| *name).collect()
}

/// So many random operations; then takes most of what is left, drops the rest, and hands over the books.
pub(crate) fn act(mut actor: Actor, count: usize) -> Vec<Arc<Entry>> {
    let weights: u32 = operations().map(|(_, weight, _)| weight).sum();
    for _ in 0..count {
        let mut ticket = actor.rng.u32(..weights);
        let drawn = |(_, (_, weight, _)): &(usize, &Operation)| {
            let drawn = ticket < *weight;
            ticket = ticket.saturating_sub(*weight);
            drawn
        };
        let (number, operation) =
            operations().enumerate().find(drawn).expect("the ticket is below the sum of the weights");
        actor.board.note(actor.lane, STEPS.len() + number);
        operation.2(&mut actor);
    }
    actor.board.note(actor.lane, step::LEFTOVERS);
    for (entry, future) in std::mem::take(&mut actor.held) {
        if actor.rng.u8(..8) > 0 {
            finish(&entry, future.result());
        }
    }
    actor.board.note(actor.lane, step::FINISHED);
    actor.entries
}
