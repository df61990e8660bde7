//! A future's states, as seen through a promise.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use executor_core::{
    ExecutorExt, Future, MapOptions, Promise, ReturnWhen, SharedFuture, TaskError, TaskOptions, as_completed, wait,
};

use super::support::{LONG, NOW, SHORT, assert_cancelled, cancelled, done, failed, pairs};
use crate::case::{Case, Needs};
use crate::stage::Stage;
use crate::subject::Subject;
use crate::tasks;

pub(crate) const CASES: &[Case] = &[
    Case::new("future.new_is_pending", &["F1", "F5"], Needs::ANY, new_is_pending),
    Case::new("future.start_makes_it_running", &["F16", "F5"], Needs::ANY, start_makes_it_running),
    Case::new("future.done_is_not_running", &["F5"], Needs::ANY, done_is_not_running),
    Case::new("future.completes_without_start", &["F15"], Needs::ANY, completes_without_start),
    Case::new("future.start_again_changes_nothing", &["F18"], Needs::ANY, start_again_changes_nothing),
    Case::new("future.start_after_cancel_is_refused", &["F17", "H1"], Needs::ANY, start_after_cancel_is_refused),
    Case::new("future.completing_a_cancelled_one_is_refused", &["F14", "H2"], Needs::ANY, completing_cancelled_refused),
    Case::new("future.abandoned_promise_is_an_error", &["H55"], Needs::ANY, abandoned_promise_is_an_error),
    Case::new("future.limits_expire_without_harm", &["F8", "H8"], Needs::ANY, limits_expire_without_harm),
    Case::new("future.no_time_still_reads_what_is_done", &["F8"], Needs::ANY, no_time_still_reads_what_is_done),
    Case::new("future.completion_wakes_a_waiter", &["F11"], Needs::ANY, completion_wakes_a_waiter),
    Case::new("future.completion_wakes_every_waiter", &["F13"], Needs::ANY, completion_wakes_every_waiter),
    Case::new("future.cancel_wakes_a_waiter", &["F12", "F9"], Needs::ANY, cancel_wakes_a_waiter),
    Case::new("future.abandoning_wakes_a_waiter", &["H55", "F11"], Needs::ANY, abandoning_wakes_a_waiter),
    Case::new("future.ids_are_distinct", &[], Needs::ANY, ids_are_distinct),
    Case::new("future.handles_cross_threads", &[], Needs::ANY, handles_cross_threads),
    Case::new("future.debug_shows_the_state_only", &["F29"], Needs::ANY, debug_shows_the_state_only),
    Case::new("future.longest_limits_do_not_overflow", &["F8", "H8"], Needs::ANY, longest_limits_do_not_overflow),
];

/// Asserts the answers to a future's three questions; a pending one answers no to each.
#[track_caller]
fn assert_state<T: Send + 'static>(future: &Future<T>, running: bool, done: bool, cancelled: bool) {
    let state = (future.is_running(), future.is_done(), future.is_cancelled());
    assert_eq!(state, (running, done, cancelled), "(running, done, cancelled)");
}

fn new_is_pending(_: &Subject) {
    let (_promise, future) = Promise::<u64>::new();
    assert_state(&future, false, false, false);
}

fn start_makes_it_running(_: &Subject) {
    let (promise, future) = Promise::<u64>::new();
    assert!(promise.start());
    assert_state(&future, true, false, false);
}

fn done_is_not_running(_: &Subject) {
    let (promise, future) = Promise::new();
    assert!(promise.start());
    promise.set_result(1).expect("a running future takes a result");
    assert_state(&future, false, true, false);
    assert_state(&failed::<u64>(), false, true, false);
    assert_state(&cancelled::<u64>().1, false, true, true);
}

fn completes_without_start(_: &Subject) {
    let (promise, future) = Promise::new();
    promise.set_result(7).expect("a pending future takes a result");
    assert_eq!(future.result().unwrap(), 7);
}

/// Python logs and raises; here the call returns once more that the work is wanted.
fn start_again_changes_nothing(_: &Subject) {
    let (promise, future) = Promise::new();
    assert!(promise.start());
    assert!(promise.start());
    assert_state(&future, true, false, false);
    promise.set_result(1).expect("the second start changed nothing");
    assert_eq!(future.result().unwrap(), 1);
}

/// Python needs this call to tell the waiters; here they have known since `cancel`.
fn start_after_cancel_is_refused(_: &Subject) {
    let (promise, future) = cancelled::<u64>();
    assert!(promise.is_cancelled());
    assert!(!promise.start());
    assert_state(&future, false, true, true);
}

fn completing_cancelled_refused(_: &Subject) {
    let (promise, future) = cancelled::<String>();
    assert_eq!(promise.set_result("late".to_owned()), Err("late".to_owned()), "the value comes back");
    assert_cancelled(future.result());

    let (promise, future) = cancelled::<String>();
    let late = failed::<u64>().result().expect_err("an abandoned promise is an error");
    assert!(promise.set_exception(late).is_err(), "the error comes back");
    assert_cancelled(future.result());
}

fn abandoned_promise_is_an_error(_: &Subject) {
    let (promise, future) = Promise::<u64>::new();
    assert!(promise.start());
    drop(promise);
    assert!(matches!(future.result(), Err(TaskError::Abandoned(_))));
    assert!(matches!(failed::<u64>().result(), Err(TaskError::Abandoned(_))), "never started");
}

fn limits_expire_without_harm(_: &Subject) {
    for limit in [NOW, SHORT] {
        let (promise, future) = Promise::new();
        assert!(!future.wait_timeout(limit));
        assert!(future.exception_timeout(limit).is_err());
        let future = future.result_timeout(limit).expect_err("nobody completes it yet");
        assert!(promise.start());
        let future = future.result_timeout(limit).expect_err("running is not done either");
        promise.set_result(5).expect("nothing else completes it");
        assert_eq!(future.result().unwrap(), 5, "the handle that came back is whole");
    }
}

fn no_time_still_reads_what_is_done(_: &Subject) {
    let future = done(5);
    assert!(future.wait_timeout(NOW));
    assert!(future.exception_timeout(NOW).expect("it is done").is_none());
    assert_eq!(future.result_timeout(NOW).expect("it is done").unwrap(), 5);
    assert_cancelled(cancelled::<u64>().1.result_timeout(NOW).expect("a cancelled future is done"));
}

fn completion_wakes_a_waiter(_: &Subject) {
    // Many rounds, so that the completion comes before, while and after the waiter falls asleep.
    for round in 0..300_u64 {
        let (promise, future) = Promise::new();
        let waiter = thread::spawn(move || future.result());
        if round % 2 == 0 {
            thread::yield_now();
        }
        promise.set_result(round).expect("nothing else completes it");
        assert_eq!(waiter.join().unwrap().unwrap(), round);
    }
}

fn completion_wakes_every_waiter(_: &Subject) {
    let waits: [fn(&SharedFuture<u64>); 4] = [
        |future| future.wait(),
        |future| assert_eq!(*future.result().unwrap(), 9),
        |future| assert!(future.wait_timeout(LONG)),
        |future| assert!(future.exception().is_none()),
    ];
    let (promise, future) = Promise::new();
    let (future, ready) = (future.share(), Barrier::new(waits.len() + 1));
    thread::scope(|scope| {
        for wait in waits {
            let (future, ready) = (future.clone(), &ready);
            scope.spawn(move || {
                ready.wait();
                wait(&future);
            });
        }
        ready.wait();
        promise.set_result(9).expect("nothing else completes it");
    });
}

fn cancel_wakes_a_waiter(_: &Subject) {
    for _ in 0..100 {
        let (_promise, future) = Promise::<u64>::new();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| future.exception().expect("it is cancelled, not successful").is_cancelled());
            assert!(future.cancel());
            assert!(waiter.join().unwrap());
        });
        assert_cancelled(future.result());
    }
}

fn abandoning_wakes_a_waiter(_: &Subject) {
    for _ in 0..100 {
        let (promise, future) = Promise::<u64>::new();
        let waiter = thread::spawn(move || future.result());
        drop(promise);
        assert!(waiter.join().unwrap().is_err());
    }
}

fn ids_are_distinct(_: &Subject) {
    let (_promises, futures) = pairs::<u64>(100);
    let ids: HashSet<_> = futures.iter().map(Future::id).collect();
    assert_eq!(ids.len(), futures.len());
    let shared = done(1).share();
    assert_eq!(shared.id(), shared.clone().id(), "clones are the same task");
}

fn handles_cross_threads(_: &Subject) {
    fn everywhere<T: Send + Sync + Unpin + Debug>(_: &T) {}
    let (promise, future) = Promise::<u64>::new();
    everywhere(&future);
    everywhere(&promise);
    everywhere(&future.share());
}

/// Prints the state and the kind of outcome, never a value: values may be huge, or secret.
fn debug_shows_the_state_only(_: &Subject) {
    let secret = "pass phrase".to_owned();
    let (promise, future) = Promise::new();
    let pending = format!("{future:?}");
    promise.set_result(secret.clone()).expect("nothing else completes it");
    let finished = format!("{future:?}");
    assert_ne!(pending, finished, "the text shows the state");
    assert!(!finished.contains(&secret), "{finished}");
}

/// A limit beyond the clock's end is no limit, and no panic.
fn longest_limits_do_not_overflow(subject: &Subject) {
    const LONGEST: Duration = Duration::MAX;
    let stage = Stage::new(subject);
    let options = TaskOptions::new().run_timeout(LONGEST).queue_timeout(LONGEST);
    let submit = || stage.pool().submit_with(options.clone(), tasks::double, 2).unwrap();
    assert!(submit().wait_timeout(LONGEST));
    assert!(submit().exception_timeout(LONGEST).is_ok());
    assert!(submit().result_timeout(LONGEST).is_ok());
    assert!(submit().share().result_timeout(LONGEST).is_ok());
    assert_eq!(wait([submit()], Some(LONGEST), ReturnWhen::AllCompleted).done.len(), 1);
    assert_eq!(wait([submit()], Some(LONGEST), ReturnWhen::FirstCompleted).done.len(), 1);
    assert!(as_completed([submit()]).next_timeout(LONGEST).unwrap().is_some());
    assert!(as_completed([submit()]).timeout(LONGEST).all(|step| step.is_ok()));
    let mapped = stage.pool().map_with(MapOptions::new().timeout(LONGEST), tasks::double, 0..5);
    assert_eq!(mapped.map(Result::unwrap).sum::<u64>(), 20);
    assert!(stage.pool().shutdown_timeout(LONGEST).is_ok());
}
