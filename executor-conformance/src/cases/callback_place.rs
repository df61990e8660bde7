//! Callbacks of an executor's futures: they may call the executor, and hold up no other task.

use std::sync::Arc;

use executor_core::{Executor, ExecutorExt, Shutdown};
use parking_lot::Mutex;

use super::support::Counter;
use crate::case::{Case, Needs};
use crate::gate::Gates;
use crate::stage::Stage;
use crate::subject::{Config, Subject};
use crate::{step, tasks};

pub(crate) const CASES: &[Case] = &[
    Case::new("callback_place.every_outcome_of_a_task", &["F20"], Needs::ANY, every_outcome_of_a_task),
    Case::new("callback_place.before_result_returns", &["F26", "H13"], Needs::ANY, before_result_returns),
    Case::new("callback_place.panic_spares_the_worker", &["F23", "H11"], Needs::ANY, panic_spares_the_worker),
    Case::new("callback_place.may_submit", &["F27", "H29"], Needs::ANY, may_submit),
    Case::new("callback_place.may_shut_down", &["S18", "H10"], Needs::CONCURRENT, may_shut_down),
    Case::new("callback_place.may_drop_the_executor", &["S18", "H10"], Needs::CONCURRENT, may_drop_the_executor),
    Case::new(
        "callback_place.slow_one_holds_up_nobody",
        &["H10"],
        Needs::CONCURRENT.workers(2),
        slow_one_holds_up_nobody,
    ),
    Case::new("callback_place.of_cancelled_at_shutdown", &["F20", "S5"], Needs::CONCURRENT.queue(3), of_cancelled),
    Case::new("callback_place.may_wait_for_a_task", &["F27", "H10", "H32"], Needs::ANY, may_wait_for_a_task),
];

fn every_outcome_of_a_task(subject: &Subject) {
    let stage = Stage::new(subject);
    let seen = Arc::new(Mutex::new(Vec::new()));
    for number in [2, 3] {
        let future = stage.pool().submit(tasks::double_even, number).unwrap();
        let notes = Arc::clone(&seen);
        future.add_done_callback(move |outcome| notes.lock().push((number, outcome.is_ok())));
        future.wait();
    }
    assert_eq!(*seen.lock(), [(2, true), (3, false)]);
}

fn before_result_returns(subject: &Subject) {
    let stage = Stage::new(subject);
    for number in 0..100 {
        let (future, ran) = (stage.pool().submit(tasks::double, number).unwrap(), Counter::default());
        let count = ran.clone();
        future.add_done_callback(move |_| count.add());
        future.result().unwrap();
        assert_eq!(ran.get(), 1);
    }
}

fn panic_spares_the_worker(subject: &Subject) {
    let stage = Stage::workers(subject, 1);
    for number in 0..5 {
        let future = stage.pool().submit(tasks::double, number).unwrap();
        future.add_done_callback(|_| panic!("a callback that fails, on purpose"));
        assert_eq!(future.result().unwrap(), 2 * number);
    }
}

fn may_submit(subject: &Subject) {
    let pool: Arc<dyn Executor> = Arc::from(subject.build(&Config::default()));
    let (own, second) = (Arc::clone(&pool), Arc::new(Mutex::new(None)));
    let slot = Arc::clone(&second);
    let first = pool.submit(tasks::double, 4).unwrap();
    first.add_done_callback(move |outcome| {
        *slot.lock() = Some(own.submit(tasks::double, *outcome.as_ref().unwrap()).unwrap());
    });
    first.wait();
    let second = second.lock().take().expect("the callback ran before the wait was over");
    assert_eq!(second.result().unwrap(), 16);
}

/// The completing thread may be one that the shutdown would wait for: then the wait becomes a request.
fn may_shut_down(subject: &Subject) {
    let gates = Gates::new();
    let gate = gates.gate("inside");
    let pool: Arc<dyn Executor> = Arc::from(subject.build(&Config::default()));
    let future = pool.submit(tasks::pass, gate.clone()).unwrap();
    let own = Arc::clone(&pool);
    future.add_done_callback(move |_| own.shutdown(Shutdown::wait()));
    gate.open();
    step("waiting for a task whose callback shuts down");
    future.result().unwrap();
    assert!(pool.submit(tasks::double, 1).is_err(), "the shutdown took place");
    step("shutting down again, from outside");
    pool.shutdown(Shutdown::wait());
}

fn may_drop_the_executor(subject: &Subject) {
    let gates = Gates::new();
    let gate = gates.gate("inside");
    let pool: Arc<dyn Executor> = Arc::from(subject.build(&Config::default()));
    let future = pool.submit(tasks::pass, gate.clone()).unwrap();
    future.add_done_callback(move |_| drop(pool));
    gate.open();
    step("waiting for a task whose callback drops the executor");
    future.result().unwrap();
}

/// One future's callback waits for another task of the same executor.
fn slow_one_holds_up_nobody(subject: &Subject) {
    let stage = Stage::workers(subject, 2);
    let (slow, other) = (stage.gate("slow"), stage.gate("other"));
    let first = stage.pool().submit(tasks::pass, slow.clone()).unwrap();
    let inside = other.clone();
    first.add_done_callback(move |_| inside.pass());
    slow.open();
    other.wait_arrivals(1);
    step("another task ends while the callback is inside");
    assert_eq!(stage.pool().submit(tasks::double, 2).unwrap().result().unwrap(), 4);
    other.open();
    first.result().unwrap();
}

fn of_cancelled(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, called) = (stage.occupy(), Counter::default());
    for number in 0..3 {
        let count = called.clone();
        let future = stage.pool().submit(tasks::double, number).unwrap();
        future.add_done_callback(move |outcome| {
            assert!(outcome.as_ref().unwrap_err().is_cancelled());
            count.add();
        });
    }
    stage.pool().shutdown(Shutdown::no_wait().cancel_futures());
    occupied.release();
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(called.get(), 3);
}

/// The only worker may be the one that runs the callback: it then runs the awaited task itself.
fn may_wait_for_a_task(subject: &Subject) {
    let config = Config { workers: Some(1), ..Config::default() };
    let pool: Arc<dyn Executor> = Arc::from(subject.build(&config));
    let (own, read) = (Arc::clone(&pool), Arc::new(Mutex::new(None)));
    let slot = Arc::clone(&read);
    let first = pool.submit(tasks::double, 4).unwrap();
    first.add_done_callback(move |_| *slot.lock() = own.submit(tasks::double, 5).unwrap().result().ok());
    step("waiting for a task whose callback waits for another");
    first.wait();
    assert_eq!(*read.lock(), Some(10));
}
