//! How a `map` ends early: its limit expires, it is dropped, its input fails, its executor is shut down.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use executor_core::{Executor, ExecutorExt, MapOptions, Shutdown, TaskError};
use futures::executor::block_on;

use super::support::{NOW, SHORT, assert_cancelled, assert_timed_out};
use crate::case::{Case, Needs};
use crate::gate::{Gate, Log};
use crate::stage::Stage;
use crate::step;
use crate::subject::Subject;
use crate::tasks::{self, Tracked, alive};

/// Capacity for the items that are held back.
const QUEUED: Needs = Needs::CONCURRENT.queue(6);

pub(crate) const CASES: &[Case] = &[
    Case::new("map_end.limit_expires", &["M6", "M7"], Needs::CONCURRENT, limit_expires),
    Case::new("map_end.limit_keeps_earlier_results", &["M6", "M7"], Needs::CONCURRENT.workers(2), limit_keeps_earlier),
    Case::new("map_end.limit_cancels_the_rest", &["M7"], QUEUED, limit_cancels_the_rest),
    Case::new("map_end.limit_spares_what_is_done", &["M6", "M7"], Needs::ANY, limit_spares_what_is_done),
    Case::new("map_end.limit_counts_right", &["M6", "M7"], Needs::CONCURRENT.workers(2), limit_counts_right),
    Case::new("map_end.limit_of_a_stream", &["M6"], Needs::CONCURRENT, limit_of_a_stream),
    Case::new("map_end.limit_leaves_the_executor", &["M7"], Needs::CONCURRENT, limit_leaves_the_executor),
    Case::new("map_end.drop_cancels_the_rest", &["M9", "H49"], QUEUED, drop_cancels_the_rest),
    Case::new("map_end.drop_unread_cancels", &["M10", "H49"], QUEUED, drop_unread_cancels),
    Case::new("map_end.drop_waits_for_nobody", &["M9", "H54"], Needs::CONCURRENT, drop_waits_for_nobody),
    Case::new("map_end.drop_frees_inputs", &["M9", "E3"], Needs::ANY, drop_frees_inputs),
    Case::new("map_end.input_panic_goes_on_in_its_place", &["M21"], Needs::ANY, input_panics),
    Case::new("map_end.input_panics_at_once", &["M21"], Needs::ANY, input_panics_at_once),
    Case::new("map_end.after_shutdown_is_refused", &["M22", "H47"], Needs::ANY, after_shutdown),
    Case::new("map_end.no_inputs_after_shutdown", &["M22"], Needs::ANY, no_inputs_after_shutdown),
    Case::new("map_end.shutdown_midway_is_never_silent", &["M19", "H47"], Needs::ANY, shutdown_midway),
    Case::new("map_end.shutdown_midway_cancelling", &["M19", "S5", "H55"], QUEUED, shutdown_midway_cancelling),
    Case::new("map_end.cancelled_chunk", &["M5", "H50", "S5"], QUEUED, cancelled_chunk),
];

fn limit_expires(subject: &Subject) {
    let stage = Stage::new(subject);
    for limit in [NOW, SHORT] {
        let gate = stage.gate(&format!("{limit:?}"));
        let options = MapOptions::new().timeout(limit);
        let mut map = stage.pool().map_with(options, tasks::pass, [gate.clone()]);
        assert_timed_out(map.next().expect("the expiry is an item"));
        assert!(map.next().is_none(), "and the last one");
        gate.open();
    }
}

/// The limit is one for the whole map, counted from the call.
fn limit_keeps_earlier(subject: &Subject) {
    let stage = Stage::workers(subject, 2);
    let (free, held) = (stage.gate("free"), stage.gate("held"));
    free.open();
    let inputs = [(free.clone(), 1), (held.clone(), 2), (free, 3)];
    let options = MapOptions::new().timeout(10 * SHORT).chunk_size(1);
    let outcomes: Vec<_> = stage.pool().map_with(options, tasks::pass_then, inputs).collect();
    let (expiry, results) = outcomes.split_last().expect("at least the expiry");
    assert!(expiry.as_ref().unwrap_err().is_timed_out());
    // If the machine stands still for the whole limit, not even the first result is there in time.
    assert!(results.len() <= 1);
    assert!(results.iter().all(|result| matches!(result, Ok(1))));
    held.open();
}

/// Makes a map with a limit, lets the limit pass after `until` returns, and hands the map to `read`. Repeats that until
/// `read` finds what it expects: if the machine stands still, an item that ended in time may not be known to have ended.
fn read_late<T>(mut read: impl FnMut(Duration) -> Option<T>) -> T {
    let mut limit = SHORT;
    loop {
        step(format!("reading a map after its limit of {limit:?}"));
        if let Some(found) = read(limit) {
            return found;
        }
        limit *= 2;
    }
}

fn let_pass(limit: Duration, since: Instant) {
    thread::sleep((limit + Duration::from_millis(1)).saturating_sub(since.elapsed()));
}

/// A late reader finds what is done, as with [`executor_core::as_completed`].
fn limit_spares_what_is_done(subject: &Subject) {
    let stage = Stage::workers(subject, 1);
    for options in [MapOptions::new(), MapOptions::new().unordered(), MapOptions::new().chunk_size(3)] {
        let mut results = read_late(|limit| {
            let map = stage.pool().map_with(options.timeout(limit), tasks::double, [1, 2, 3]);
            let begun = Instant::now();
            // The only worker begins this when it has finished those.
            assert_eq!(stage.pool().submit(tasks::double, 4).unwrap().result().unwrap(), 8);
            let_pass(limit, begun);
            map.collect::<Result<Vec<_>, _>>().ok()
        });
        // Unordered, they come in the order in which they were seen to be done.
        results.sort_unstable();
        assert_eq!(results, [2, 4, 6]);
        let mut results = read_late(|limit| {
            let map = stage.pool().map_with(options.timeout(limit), tasks::double, [1, 2, 3]);
            let begun = Instant::now();
            assert_eq!(stage.pool().submit(tasks::double, 4).unwrap().result().unwrap(), 8);
            let_pass(limit, begun);
            block_on(futures::StreamExt::collect::<Vec<_>>(map)).into_iter().collect::<Result<Vec<_>, _>>().ok()
        });
        results.sort_unstable();
        assert_eq!(results, [2, 4, 6]);
    }
}

fn limit_counts_right(subject: &Subject) {
    let stage = Stage::workers(subject, 2);
    let (in_order, as_completed) = (MapOptions::new(), MapOptions::new().unordered());
    // The position of the held item, and how many others are delivered.
    let shapes = [
        ("in order", in_order, 3, 3),
        ("in order, behind the held one", in_order, 0, 0),
        ("in order, around the held one", in_order, 1, 1),
        ("as completed", as_completed, 3, 3),
        ("as completed, the held one first", as_completed, 0, 3),
    ];
    for (name, options, place, delivered) in shapes {
        let text = read_late(|limit| {
            let (free, held) =
                (stage.gate(&format!("{name} {limit:?} free")), stage.gate(&format!("{name} {limit:?} held")));
            free.open();
            let mut inputs = vec![(free.clone(), 1), (free.clone(), 2), (free.clone(), 3)];
            inputs.insert(place, (held.clone(), 4));
            let options = options.chunk_size(1).timeout(limit);
            let map = stage.pool().map_with(options, tasks::pass_then, inputs);
            let begun = Instant::now();
            free.wait_arrivals(3);
            held.wait_arrivals(1);
            let_pass(limit, begun);
            let mut outcomes: Vec<_> = map.collect();
            held.open();
            let expiry = outcomes.pop().expect("at least the expiry").expect_err("one is held");
            (outcomes.len() == delivered).then(|| expiry.to_string())
        });
        let counts = format!("{delivered} results delivered, {} inputs outstanding", 4 - delivered);
        assert!(text.ends_with(&counts), "{name}: {text}");
    }
}

fn noted(log: &Log, count: u64) -> Vec<(Log, String)> {
    (0..count).map(|number| (log.clone(), number.to_string())).collect()
}

fn limit_cancels_the_rest(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    let options = MapOptions::new().timeout(SHORT).chunk_size(1).buffer(6);
    let mut map = stage.pool().map_with(options, tasks::note, noted(&log, 6));
    assert_timed_out(map.next().expect("the expiry is an item"));
    occupied.release();
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(log.lines(), Vec::<String>::new(), "nothing had begun, so nothing ran");
    assert!(map.next().is_none());
}

fn limit_of_a_stream(subject: &Subject) {
    let stage = Stage::new(subject);
    let gate = stage.gate("held");
    let options = MapOptions::new().timeout(SHORT);
    let map = stage.pool().map_with(options, tasks::pass, [gate.clone()]);
    step("waiting for the limit of a stream");
    let outcomes: Vec<_> = block_on(futures::StreamExt::collect(map));
    assert_eq!(outcomes.len(), 1);
    outcomes.into_iter().for_each(assert_timed_out);
    gate.open();
}

fn limit_leaves_the_executor(subject: &Subject) {
    let stage = Stage::new(subject);
    let gate = stage.gate("held");
    let options = MapOptions::new().timeout(NOW);
    stage.pool().map_with(options, tasks::pass, [gate.clone()]).for_each(assert_timed_out);
    gate.open();
    assert_eq!(stage.pool().submit(tasks::double, 2).unwrap().result().unwrap(), 4);
}

fn note_and_hold((log, number, gate): (Log, u64, Gate)) {
    log.write(&number.to_string());
    if number > 0 {
        gate.pass();
    }
}

/// As many items begin as there are workers; the others have not begun when the map is dropped.
fn drop_cancels_the_rest(subject: &Subject) {
    let stage = Stage::workers(subject, 1);
    let (log, gate) = (stage.log("ran"), stage.gate("held"));
    let inputs: Vec<_> = (0..6).map(|number| (log.clone(), number, gate.clone())).collect();
    let options = MapOptions::new().chunk_size(1).buffer(6);
    let mut map = stage.pool().map_with(options, note_and_hold, inputs);
    assert!(map.next().expect("six items").is_ok());
    gate.wait_arrivals(1);
    let begun = log.lines().len();
    drop(map);
    gate.open();
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!((begun, log.lines().len()), (2, 2));
}

/// In Python all of them would run.
fn drop_unread_cancels(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    let options = MapOptions::new().chunk_size(1).buffer(6);
    drop(stage.pool().map_with(options, tasks::note, noted(&log, 6)));
    drop(stage.pool().map_with(MapOptions::new().chunk_size(3).buffer(6), tasks::note, noted(&log, 6)));
    occupied.release();
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(log.lines(), Vec::<String>::new());
}

fn drop_waits_for_nobody(subject: &Subject) {
    let stage = Stage::new(subject);
    let gate = stage.gate("held");
    let map = stage.pool().map(tasks::pass, [gate.clone()]);
    gate.wait_arrivals(1);
    step("dropping a map whose item is running");
    drop(map);
    gate.open();
}

fn drop_frees_inputs(subject: &Subject) {
    let (stage, probe) = (Stage::new(subject), Arc::new(()));
    let inputs: Vec<_> = (0..30).map(|number| Tracked::new(&probe, number)).collect();
    let mut map = stage.pool().map_with(MapOptions::new().buffer(4), tasks::echo::<Tracked>, inputs);
    assert_eq!(map.next().unwrap().unwrap().number, 0);
    drop(map);
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(alive(&probe), 0);
}

/// The results of the inputs before it come first, then the panic goes on in its place, then the map has ended.
fn input_panics(subject: &Subject) {
    let stage = Stage::new(subject);
    for options in [MapOptions::new(), MapOptions::new().buffer(2), MapOptions::new().chunk_size(2)] {
        let inputs = (0..10).inspect(|number| assert!(*number < 5, "the input fails, on purpose"));
        let mut map = stage.pool().map_with(options, tasks::double, inputs);
        for number in 0..5 {
            assert_eq!(map.next().unwrap().unwrap(), 2 * number);
        }
        assert!(catch_unwind(AssertUnwindSafe(|| map.next())).is_err());
        assert!(map.next().is_none());
    }
    assert_eq!(stage.pool().submit(tasks::double, 2).unwrap().result().unwrap(), 4, "the executor is unharmed");
}

fn input_panics_at_once(subject: &Subject) {
    let stage = Stage::new(subject);
    let inputs = (0..10).inspect(|_| panic!("the input fails, on purpose"));
    let mut map = stage.pool().map(tasks::double, inputs);
    assert!(catch_unwind(AssertUnwindSafe(|| map.next())).is_err(), "from the step, not from the call");
    assert!(map.next().is_none());
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(outcome: Option<Result<T, TaskError>>) {
    assert!(matches!(outcome, Some(Err(TaskError::Refused(_)))), "expected a refusal, got {outcome:?}");
}

fn after_shutdown(subject: &Subject) {
    let stage = Stage::new(subject);
    stage.pool().shutdown(Shutdown::wait());
    let mut map = stage.pool().map(tasks::double, 0..5);
    assert_refused(map.next());
    assert!(map.next().is_none());
}

fn no_inputs_after_shutdown(subject: &Subject) {
    let stage = Stage::new(subject);
    stage.pool().shutdown(Shutdown::wait());
    assert!(stage.pool().map(tasks::double, Vec::new()).next().is_none());
}

/// The result is never silently short: what was submitted comes, then an error says that the rest does not.
fn shutdown_midway(subject: &Subject) {
    let stage = Stage::new(subject);
    let options = MapOptions::new().chunk_size(1).buffer(3);
    let mut map = stage.pool().map_with(options, tasks::double, 0..50);
    assert_eq!(map.next().unwrap().unwrap(), 0);
    stage.pool().shutdown(Shutdown::wait());
    let mut outcomes: Vec<_> = map.by_ref().collect();
    assert_refused(outcomes.pop());
    let results: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert!((2..=3).contains(&results.len()), "what was in the buffer: {results:?}");
    assert!(results.iter().zip(1..).all(|(result, number)| *result == 2 * number));
    assert!(map.next().is_none());
}

fn shutdown_midway_cancelling(subject: &Subject) {
    let stage = Stage::new(subject);
    let occupied = stage.occupy();
    let pool: &dyn Executor = stage.pool();
    let map = pool.map_with(MapOptions::new().chunk_size(1).buffer(4), tasks::double, 0..50);
    pool.shutdown(Shutdown::no_wait().cancel_futures());
    step("reading a map whose executor cancelled what was queued");
    let mut outcomes: Vec<_> = map.collect();
    occupied.release();
    assert_refused(outcomes.pop());
    assert_eq!(outcomes.len(), 4);
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().is_err_and(TaskError::is_cancelled)));
}

/// All items of a chunk that never began have the same outcome.
fn cancelled_chunk(subject: &Subject) {
    let stage = Stage::new(subject);
    let occupied = stage.occupy();
    let options = MapOptions::new().chunk_size(3).buffer(6);
    let map = stage.pool().map_with(options, tasks::double, 0..6);
    stage.pool().shutdown(Shutdown::no_wait().cancel_futures());
    let outcomes: Vec<_> = map.collect();
    occupied.release();
    assert_eq!(outcomes.len(), 6);
    outcomes.into_iter().for_each(assert_cancelled);
}
