//! Cancelling: in one step, exact until the very start, and never twice.

use std::sync::{Arc, Barrier};
use std::thread;

use executor_core::{ExecutorExt, Future, Promise, Shutdown};

use super::support::{Counter, assert_cancelled, done};
use crate::case::{Case, Needs};
use crate::stage::Stage;
use crate::subject::Subject;
use crate::tasks::{self, Bomb, Tracked, alive};

const ROUNDS: usize = 300;

pub(crate) const CASES: &[Case] = &[
    Case::new("cancel.pending_is_done_at_once", &["F2", "F17", "H1"], Needs::ANY, pending),
    Case::new("cancel.running_or_finished_is_refused", &["F3"], Needs::ANY, running_or_finished),
    Case::new("cancel.again_returns_true", &["F4"], Needs::ANY, again),
    Case::new("cancel.from_any_shared_handle", &["F2", "F4"], Needs::ANY, from_any_shared_handle),
    Case::new("cancel.or_start_wins_never_both", &["F2", "F16", "H2"], Needs::ANY, or_start_wins_never_both),
    Case::new("cancel.or_result_wins_never_both", &["F14", "H2"], Needs::ANY, or_result_wins_never_both),
    Case::new("cancel.queued_task_never_runs", &["F2", "S6", "H3"], Needs::CONCURRENT.queue(8), queued_task_never_runs),
    Case::new("cancel.running_task_is_left_alone", &["F3"], Needs::CONCURRENT, running_task_is_left_alone),
    Case::new("cancel.finished_task_is_left_alone", &["F3"], Needs::ANY, finished_task_is_left_alone),
    Case::new("cancel.frees_the_argument", &["E3"], Needs::CONCURRENT.queue(1), frees_the_argument),
    Case::new(
        "cancel.argument_whose_drop_panics_is_contained",
        &["H11"],
        Needs::CONCURRENT.queue(1).in_process(),
        argument_bomb,
    ),
    Case::new("cancel.spares_the_neighbours", &["F2"], Needs::CONCURRENT.queue(6), spares_the_neighbours),
    Case::new("cancel.dropping_a_future_does_not", &["E5"], Needs::CONCURRENT.queue(1), dropping_a_future_does_not),
    Case::new("cancel.on_drop_cancels_the_task", &[], Needs::CONCURRENT.queue(1), on_drop),
    Case::new("cancel.on_drop_detached_leaves_the_task", &["E5"], Needs::CONCURRENT.queue(1), on_drop_detached),
    Case::new("cancel.on_drop_spares_a_running_task", &["F3"], Needs::CONCURRENT, on_drop_spares_a_running_task),
];

fn pending(_: &Subject) {
    let (promise, future) = Promise::<u64>::new();
    assert!(future.cancel());
    assert!(future.is_done() && future.is_cancelled() && !future.is_running(), "in one step");
    assert!(promise.is_cancelled());
    assert_cancelled(future.result());
}

fn running_or_finished(_: &Subject) {
    let (promise, future) = Promise::new();
    assert!(promise.start());
    assert!(!future.cancel());
    assert!(future.is_running() && !promise.is_cancelled(), "nothing changed");
    promise.set_result(4).expect("the refused cancel changed nothing");
    assert!(!future.cancel());
    assert!(!future.is_cancelled());
    assert_eq!(future.result().unwrap(), 4);
}

fn again(_: &Subject) {
    let (_promise, future) = Promise::<u64>::new();
    let called = Counter::default();
    let count = called.clone();
    future.add_done_callback(move |_| count.add());
    assert!(future.cancel());
    assert!(future.cancel());
    assert_eq!(called.get(), 1, "the callbacks are not repeated");
}

fn from_any_shared_handle(_: &Subject) {
    let (_promise, future) = Promise::<u64>::new();
    let future = future.share();
    let other = future.clone();
    assert!(other.cancel());
    assert!(future.is_cancelled() && future.cancel());
    assert!(future.result().unwrap_err().is_cancelled());
}

fn or_start_wins_never_both(_: &Subject) {
    for _ in 0..ROUNDS {
        let (promise, future) = Promise::<u64>::new();
        let (cancelled, started) = at_once(|| future.cancel(), || promise.start());
        assert_ne!(cancelled, started, "exactly one of them");
        assert_eq!(future.is_cancelled(), cancelled);
    }
}

fn or_result_wins_never_both(_: &Subject) {
    for _ in 0..ROUNDS {
        let (promise, future) = Promise::new();
        let (cancelled, completed) = at_once(|| future.cancel(), move || promise.set_result(1).is_ok());
        assert_ne!(cancelled, completed, "exactly one of them");
        assert_eq!(future.result().is_ok(), completed, "and the outcome is the winner's");
    }
}

/// Runs both at the same moment.
fn at_once<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    let ready = Barrier::new(2);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            ready.wait();
            b()
        });
        ready.wait();
        let a = a();
        (a, other.join().unwrap())
    })
}

/// Python's process pool marks prefetched tasks as running; here nothing runs until a worker begins it.
fn queued_task_never_runs(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    let queue = |n: usize| stage.pool().submit(tasks::note, (log.clone(), n.to_string())).unwrap();
    let queued: Vec<_> = (0..8).map(queue).collect();
    assert!(queued.iter().all(Future::cancel), "all of them, also those next in line");
    assert!(queued.iter().all(Future::is_done));
    occupied.release();
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(log.lines(), Vec::<String>::new());
}

fn running_task_is_left_alone(subject: &Subject) {
    let stage = Stage::new(subject);
    let gate = stage.gate("inside");
    let future = stage.pool().submit(tasks::pass_then, (gate.clone(), 6)).unwrap();
    gate.wait_arrivals(1);
    assert!(!future.cancel());
    assert!(future.is_running());
    gate.open();
    assert_eq!(future.result().unwrap(), 6);
}

fn finished_task_is_left_alone(subject: &Subject) {
    let stage = Stage::new(subject);
    let future = stage.pool().submit(tasks::double, 3).unwrap();
    future.wait();
    assert!(!future.cancel());
    assert_eq!(future.result().unwrap(), 6);
}

/// The entry is discarded at the latest when the executor ends.
fn frees_the_argument(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, probe) = (stage.occupy(), Arc::new(()));
    let future = stage.pool().submit(tasks::echo::<Tracked>, Tracked::new(&probe, 1)).unwrap();
    assert!(future.cancel());
    occupied.release();
    stage.pool().shutdown(Shutdown::wait());
    assert_cancelled(future.result());
    assert_eq!(alive(&probe), 0);
}

/// Neither the cancelling call nor the thread that drops the entry notices.
fn argument_bomb(subject: &Subject) {
    let stage = Stage::new(subject);
    let occupied = stage.occupy();
    let future = stage.pool().submit(tasks::echo::<Bomb>, Bomb).unwrap();
    assert!(future.cancel());
    occupied.release();
    assert!(future.result().is_err_and(|error| error.is_cancelled()));
    assert_eq!(stage.pool().submit(tasks::double, 2).unwrap().result().unwrap(), 4);
}

fn spares_the_neighbours(subject: &Subject) {
    let stage = Stage::new(subject);
    let occupied = stage.occupy();
    let queued: Vec<_> = (0..6).map(|n| stage.pool().submit(tasks::double, n).unwrap()).collect();
    assert!(queued.iter().skip(1).step_by(2).all(Future::cancel));
    occupied.release();
    for (n, future) in queued.into_iter().enumerate() {
        match n % 2 {
            0 => assert_eq!(future.result().unwrap(), 2 * n as u64),
            _ => assert_cancelled(future.result()),
        }
    }
}

fn dropping_a_future_does_not(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    drop(stage.pool().submit(tasks::note, (log.clone(), "detached".to_owned())).unwrap());
    occupied.release();
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(log.lines(), ["detached"]);
}

fn on_drop(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    let guarded = stage.pool().submit(tasks::note, (log.clone(), "guarded".to_owned())).unwrap().cancel_on_drop();
    assert!(!guarded.is_done(), "the guard lends the future's methods");
    drop(guarded);
    occupied.release();
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(log.lines(), Vec::<String>::new());
}

fn on_drop_detached(subject: &Subject) {
    let stage = Stage::new(subject);
    let occupied = stage.occupy();
    let future = stage.pool().submit(tasks::double, 8).unwrap().cancel_on_drop().detach();
    occupied.release();
    assert_eq!(future.result().unwrap(), 16);
    drop(done(1).cancel_on_drop());
}

fn on_drop_spares_a_running_task(subject: &Subject) {
    let stage = Stage::new(subject);
    let (inside, log) = (stage.gate("inside"), stage.log("ran"));
    let guarded = stage.pool().submit(tasks::note_then_pass, (log.clone(), "begun".to_owned(), inside.clone()));
    let guarded = guarded.unwrap().cancel_on_drop();
    inside.wait_arrivals(1);
    drop(guarded);
    inside.open();
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(log.lines(), ["begun"]);
}
