//! Maps: taken to their end, dropped midway, and with limits.

use std::cell::RefCell;
use std::iter;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::Arc;

use executor_core::{ExecutorExt, MapOptions, TaskError};

use fastrand::Rng;

use crate::actor::Actor;
use crate::entry::Entry;
use crate::home;
use crate::load::Load;
use crate::panics::StrayPanic;
use crate::remote;
use crate::tasks::{finish, task};
use crate::values::{Argument, Value};
use crate::work::Work;

/// The books of the inputs that the map has taken so far, in their order.
type Taken = Rc<RefCell<Vec<Arc<Entry>>>>;

/// A lazy input; one item in ten panics, and where that costs no more than the item, some end their process.
fn inputs(
    actor: &mut Actor,
    origin: &'static str,
    count: usize,
    taken: &Taken,
) -> impl Iterator<Item = Argument> + use<> {
    let taken = Rc::clone(taken);
    let mut rng = remote::is_remote().then(|| actor.rng.fork());
    let deadly = actor.deadly;
    (0..count).map(move |index| {
        let entry = home::open_books(origin);
        entry.item();
        taken.borrow_mut().push(Arc::clone(&entry));
        let work = match index {
            _ if index % 10 == 7 => Work::Panic,
            _ if deadly && index % 100 == 53 => Work::Abort,
            _ => Work::Nothing,
        };
        let load = rng.as_mut().map_or(Load::NONE, |rng| small_load(rng, entry.number()));
        Argument::new(&entry, work, load)
    })
}

/// Mostly none, so that maps do not take all the time.
fn small_load(rng: &mut Rng, number: u64) -> Load {
    if rng.u8(..10) == 0 { Load::random(rng, number) } else { Load::NONE }
}

/// One result for each input, in order, unless the executor is shut down on the way.
pub(crate) fn whole(actor: &mut Actor) {
    let (taken, count) = (Taken::default(), actor.rng.usize(0..300));
    let mut results = 0;
    let mut refused = false;
    let pool = actor.pool();
    for outcome in pool.map(task, inputs(actor, "map", count, &taken)) {
        assert!(!refused, "a result came after the refusal, which ends a map");
        if let Err(TaskError::Refused(_)) = outcome {
            refused = true;
            continue;
        }
        finish_item(&taken, results, outcome);
        results += 1;
    }
    assert!(refused || results == count, "a map of {count} inputs gave {results} results and no refusal");
    // What was taken from the iterator and then refused did not run; without a refusal everything has to.
    settle(actor, &taken, refused);
}

/// Dropped after a few results: what has not begun is cancelled, and nothing leaks.
pub(crate) fn midway(actor: &mut Actor) {
    let (taken, count) = (Taken::default(), actor.rng.usize(1..300));
    let options = MapOptions::new().chunk_size(actor.rng.usize(1..20)).buffer(actor.rng.usize(1..100));
    let stop_after = actor.rng.usize(..count);
    let pool = actor.pool();
    let results = pool.map_with(options, task, inputs(actor, "map midway", count, &taken));
    for (index, outcome) in results.take(stop_after).enumerate() {
        if matches!(outcome, Err(TaskError::Refused(_))) {
            break;
        }
        finish_item(&taken, index, outcome);
    }
    settle(actor, &taken, true);
}

/// Unordered and with a limit for the whole: a value says itself whose it is, an error does not.
pub(crate) fn limited(actor: &mut Actor) {
    let (taken, count) = (Taken::default(), actor.rng.usize(0..300));
    let options = MapOptions::new().unordered().timeout(actor.moment());
    let mut results = 0;
    let mut ended = false;
    let pool = actor.pool();
    for outcome in pool.map_with(options, task, inputs(actor, "map with limits", count, &taken)) {
        assert!(!ended, "a result came after the error that ends a map");
        match outcome {
            Ok(value) => value.entry().note_value(value.entry()),
            // The limit of the whole, and not of an item.
            Err(error) => ended = error.info().is_none(),
        }
        results += 1;
    }
    assert!(ended || results == count, "a map of {count} inputs gave {results} results and no error of its own");
    settle(actor, &taken, true);
}

/// The results of the inputs before the panic come first, then the panic, then nothing.
pub(crate) fn panicking_input(actor: &mut Actor) {
    let (taken, count) = (Taken::default(), actor.rng.usize(0..100));
    let panicking = iter::once_with(|| panic::panic_any(StrayPanic));
    let source = inputs(actor, "map whose input panics", count, &taken).chain(panicking);
    let pool = actor.pool();
    let mut map = pool.map(task, source);
    let mut results = 0;
    let refused = loop {
        match panic::catch_unwind(AssertUnwindSafe(|| map.next())) {
            Ok(Some(Err(TaskError::Refused(_)))) => break true,
            Ok(Some(outcome)) => finish_item(&taken, results, outcome),
            Ok(None) => panic!("the map ended without the panic of its input"),
            Err(payload) => {
                assert!(payload.is::<StrayPanic>(), "the map panicked with something else than its input");
                break false;
            }
        }
        results += 1;
    };
    assert!(refused || results == count, "{results} results before the panic after {count} inputs");
    assert!(map.next().is_none(), "a result came after the end of the map");
    drop(map);
    settle(actor, &taken, refused);
}

/// Of a chunk that did not run the first item says why, the others that they were abandoned.
fn finish_item(taken: &Taken, index: usize, outcome: Result<Value, TaskError>) {
    let entry = Arc::clone(&taken.borrow()[index]);
    match outcome {
        Err(TaskError::Abandoned(_)) => entry.cancelled(),
        outcome => finish(&entry, outcome),
    }
}

/// Hands the books over; those of a map that ended early are excused from having run.
fn settle(actor: &mut Actor, taken: &Taken, ended_early: bool) {
    let entries = taken.take();
    if ended_early {
        entries.iter().for_each(|entry| entry.may_be_skipped());
    }
    actor.keep(entries);
}
