//! `stop`: the strongest request there is, and the flag that a running task can read.

use executor_core::{ExecutorExt, Promise, Stop, is_stop_requested};

use super::support::{assert_cancelled, done};
use crate::case::{Case, Needs};
use crate::stage::Stage;
use crate::subject::Subject;
use crate::tasks;

/// Needs two tasks that run at the same time.
const TWO: Needs = Needs::CONCURRENT.workers(2).in_process();

pub(crate) const CASES: &[Case] = &[
    Case::new("stop.pending_is_cancelled", &["H4"], Needs::ANY, pending_is_cancelled),
    Case::new("stop.running_is_asked", &["H4"], Needs::ANY, running_is_asked),
    Case::new("stop.done_is_left_alone", &["H4", "F3"], Needs::ANY, done_is_left_alone),
    Case::new("stop.queued_task_is_cancelled", &["H4"], Needs::CONCURRENT.queue(1), queued_task_is_cancelled),
    Case::new("stop.running_task_hears_of_it", &["H4"], Needs::CONCURRENT.in_process(), running_task_hears_of_it),
    Case::new("stop.is_for_one_task_only", &["H4"], TWO, is_for_one_task_only),
    Case::new("stop.is_forgotten_by_the_next_task", &["H4"], Needs::CONCURRENT.in_process(), is_forgotten_by_the_next),
    Case::new("stop.nobody_asks_outside_a_task", &["H4"], Needs::ANY, nobody_asks_outside_a_task),
];

fn pending_is_cancelled(_: &Subject) {
    let (promise, future) = Promise::<u64>::new();
    assert!(matches!(future.stop(), Stop::Cancelled));
    assert!(promise.is_cancelled());
    assert_cancelled(future.result());
}

fn running_is_asked(_: &Subject) {
    let (promise, future) = Promise::new();
    assert!(promise.start());
    assert!(!promise.is_stop_requested());
    assert!(matches!(future.stop(), Stop::Requested));
    assert!(promise.is_stop_requested());
    assert!(future.is_running(), "a request, not an outcome");
    promise.set_result(2).expect("the task decides how it ends");
    assert_eq!(future.result().unwrap(), 2);
}

fn done_is_left_alone(_: &Subject) {
    let future = done(3);
    assert!(matches!(future.stop(), Stop::Done));
    assert_eq!(future.result().unwrap(), 3);
}

fn queued_task_is_cancelled(subject: &Subject) {
    let stage = Stage::new(subject);
    let occupied = stage.occupy();
    let future = stage.pool().submit(tasks::double, 1).unwrap();
    assert!(matches!(future.stop(), Stop::Cancelled));
    assert_cancelled(future.result());
    occupied.release();
}

fn running_task_hears_of_it(subject: &Subject) {
    let stage = Stage::new(subject);
    let gate = stage.gate("inside");
    let future = stage.pool().submit(tasks::until_stopped, gate.clone()).unwrap();
    gate.wait_arrivals(1);
    assert!(matches!(future.stop(), Stop::Requested));
    assert!(future.result().unwrap(), "the task saw the request and ended by itself");
}

fn is_for_one_task_only(subject: &Subject) {
    let stage = Stage::new(subject);
    let (asked, spared) = (stage.gate("asked"), stage.gate("spared"));
    let first = stage.pool().submit(tasks::until_stopped, asked.clone()).unwrap();
    let second = stage.pool().submit(tasks::until_stopped, spared.clone()).unwrap();
    asked.wait_arrivals(1);
    spared.wait_arrivals(1);
    first.stop();
    assert!(first.result().unwrap());
    spared.open();
    assert!(!second.result().unwrap());
}

fn is_forgotten_by_the_next(subject: &Subject) {
    let stage = Stage::workers(subject, 1);
    let gate = stage.gate("inside");
    let stopped = stage.pool().submit(tasks::until_stopped, gate.clone()).unwrap();
    gate.wait_arrivals(1);
    stopped.stop();
    assert!(stopped.result().unwrap());
    let next = stage.pool().submit(|()| is_stop_requested(), ()).unwrap();
    assert!(!next.result().unwrap(), "the request was for the task before");
}

fn nobody_asks_outside_a_task(_: &Subject) {
    assert!(!is_stop_requested());
}
