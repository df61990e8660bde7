//! `wait` over several futures.

use std::collections::HashSet;
use std::sync::{Arc, Barrier};
use std::thread;

use executor_core::{ExecutorExt, FirstError, Future, Promise, ReturnWhen, Shutdown, TaskError, wait};

use super::support::{LONG, NOW, SHORT, cancelled, done, failed, pairs};
use crate::case::{Case, Needs};
use crate::stage::Stage;
use crate::subject::Subject;
use crate::{step, tasks};

pub(crate) const CASES: &[Case] = &[
    Case::new("waiting.splits_its_input", &["W1"], Needs::ANY, splits_its_input),
    Case::new("waiting.for_all_ends_with_the_last", &["W2"], Needs::ANY, for_all),
    Case::new("waiting.for_the_first_ends_with_any", &["W3"], Needs::ANY, for_the_first),
    Case::new("waiting.for_the_first_of_some_done", &["W4"], Needs::ANY, for_the_first_of_some_done),
    Case::new("waiting.for_the_first_failure", &["W5"], Needs::ANY, for_the_first_failure),
    Case::new("waiting.for_a_failure_that_is_there", &["W6"], Needs::ANY, for_a_failure_that_is_there),
    Case::new("waiting.for_a_failure_that_never_comes", &["W7"], Needs::ANY, for_a_failure_that_never_comes),
    Case::new("waiting.for_an_error_the_task_returned", &["W5"], Needs::ANY, for_an_error_the_task_returned),
    Case::new("waiting.for_a_condition_of_ones_own", &["W3"], Needs::ANY, for_a_condition_of_ones_own),
    Case::new("waiting.limit_expires", &["W8"], Needs::ANY, limit_expires),
    Case::new("waiting.cancelled_is_done", &["W9", "S17", "H1"], Needs::ANY, cancelled_is_done),
    Case::new("waiting.cancel_ends_the_wait", &["W9", "W7", "H1"], Needs::CONCURRENT.queue(2), cancel_ends_the_wait),
    Case::new("waiting.for_nothing_returns_at_once", &["W11"], Needs::ANY, for_nothing),
    Case::new("waiting.keeps_the_keys", &["W1"], Needs::ANY, keeps_the_keys),
    Case::new("waiting.for_futures_of_two_executors_works", &["W10"], Needs::ANY, for_futures_of_two_executors),
    Case::new("waiting.many_at_the_same_moment_are_counted", &["W13"], Needs::ANY, many_at_the_same_moment),
    Case::new("waiting.repeatedly_leaves_nothing_behind", &["W14"], Needs::ANY, repeatedly),
    Case::new("waiting.in_opposite_orders_does_not_block", &["W15", "H29"], Needs::ANY, in_opposite_orders),
    Case::new("waiting.for_tasks", &["W2", "W3"], Needs::CONCURRENT.workers(2), for_tasks),
    Case::new("waiting.for_a_task_that_fails", &["W5"], Needs::CONCURRENT.workers(2), for_a_task_that_fails),
    Case::new(
        "waiting.after_cancelling_the_rest",
        &["W9", "S17"],
        Needs::CONCURRENT.queue(4),
        after_cancelling_the_rest,
    ),
];

fn ids<T: Send + 'static>(futures: &[Future<T>]) -> HashSet<executor_core::TaskId> {
    futures.iter().map(Future::id).collect()
}

/// Completes a promise from another thread, so that the waiter may sleep first.
fn later<T: Send + 'static>(promise: Promise<T>, value: T) {
    thread::spawn(move || {
        let _ = promise.set_result(value);
    });
}

fn splits_its_input(_: &Subject) {
    let (mut promises, futures) = pairs::<u64>(5);
    let all = ids(&futures);
    promises.remove(3).set_result(1).expect("nothing else completes it");
    let split = wait(futures, Some(NOW), ReturnWhen::AllCompleted);
    let (done, rest) = (ids(&split.done), ids(&split.not_done));
    assert_eq!((done.len(), rest.len()), (1, 4));
    assert!(done.is_disjoint(&rest));
    assert_eq!(&done | &rest, all);
}

/// Failures and cancels are completions too.
fn for_all(_: &Subject) {
    let (mut promises, mut futures) = pairs::<u64>(3);
    drop(promises.pop());
    assert!(futures[1].cancel());
    futures.extend([done(1), failed()]);
    later(promises.remove(0), 5);
    let split = wait(futures, None, ReturnWhen::AllCompleted);
    assert_eq!((split.done.len(), split.not_done.len()), (5, 0));
}

fn for_the_first(_: &Subject) {
    let outcomes: [fn(Promise<u64>); 2] =
        [|promise| later(promise, 1), |promise| drop(thread::spawn(|| drop(promise)))];
    for complete in outcomes {
        let (mut promises, futures) = pairs::<u64>(3);
        let first = futures[1].id();
        complete(promises.remove(1));
        let split = wait(futures, None, ReturnWhen::FirstCompleted);
        assert_eq!(ids(&split.done), HashSet::from([first]));
        assert_eq!(split.not_done.len(), 2);
    }
}

fn for_the_first_of_some_done(_: &Subject) {
    let (_promises, mut futures) = pairs::<u64>(2);
    let (_promise, cancelled) = cancelled();
    futures.extend([done(1), failed(), cancelled]);
    let split = wait(futures, None, ReturnWhen::FirstCompleted);
    assert_eq!((split.done.len(), split.not_done.len()), (3, 2), "all that are there");
}

fn for_the_first_failure(_: &Subject) {
    let (mut promises, futures) = pairs::<u64>(4);
    promises.remove(0).set_result(1).expect("nothing else completes it");
    let failing = promises.remove(1);
    thread::spawn(move || drop(failing));
    let split = wait(futures, None, ReturnWhen::FirstException);
    assert_eq!((split.done.len(), split.not_done.len()), (2, 2), "the success before it is done too");
}

fn for_a_failure_that_is_there(_: &Subject) {
    let (_promises, mut futures) = pairs::<u64>(2);
    futures.push(failed());
    let split = wait(futures, None, ReturnWhen::FirstException);
    assert_eq!((split.done.len(), split.not_done.len()), (1, 2));
}

/// Successes and cancels do not count; without a failure it waits for all.
fn for_a_failure_that_never_comes(_: &Subject) {
    let (promises, mut futures) = pairs::<u64>(3);
    let (_promise, cancelled) = cancelled();
    futures.extend([done(1), cancelled]);
    let split = wait(futures, Some(SHORT), ReturnWhen::FirstException);
    assert_eq!((split.done.len(), split.not_done.len()), (2, 3), "it waited for a failure");
    promises.into_iter().for_each(|promise| later(promise, 2));
    let split = wait(split.done.into_iter().chain(split.not_done), None, ReturnWhen::FirstException);
    assert_eq!((split.done.len(), split.not_done.len()), (5, 0));
}

fn for_an_error_the_task_returned(_: &Subject) {
    let (mut promises, mut futures) = pairs::<Result<u64, String>>(2);
    futures.push(done(Ok(1)));
    let blind = wait(futures, Some(NOW), ReturnWhen::FirstException);
    assert_eq!(blind.done.len(), 1);
    promises.remove(0).set_result(Err("no".to_owned())).expect("nothing else completes it");
    let futures = blind.done.into_iter().chain(blind.not_done);
    let split = wait(futures, Some(LONG), FirstError);
    assert_eq!((split.done.len(), split.not_done.len()), (2, 1), "an inner error ends the wait");

    let (_promises, mut futures) = pairs::<Result<u64, String>>(1);
    futures.push(failed());
    assert_eq!(wait(futures, Some(LONG), FirstError).not_done.len(), 1, "an outer error too");
}

fn for_a_condition_of_ones_own(_: &Subject) {
    let (mut promises, mut futures) = pairs::<u64>(2);
    futures.push(done(3));
    later(promises.remove(0), 8);
    let big = |outcome: &Result<u64, TaskError>| outcome.as_ref().is_ok_and(|value| *value > 5);
    let split = wait(futures, None, big);
    assert_eq!((split.done.len(), split.not_done.len()), (2, 1));
}

fn limit_expires(_: &Subject) {
    for limit in [NOW, SHORT] {
        let (_promises, mut futures) = pairs::<u64>(2);
        futures.push(done(1));
        let split = wait(futures, Some(limit), ReturnWhen::AllCompleted);
        assert_eq!((split.done.len(), split.not_done.len()), (1, 2), "an answer, not an error");
    }
}

fn cancelled_is_done(_: &Subject) {
    let (_promise, future) = cancelled::<u64>();
    let split = wait([future], None, ReturnWhen::AllCompleted);
    assert_eq!(split.done.len(), 1, "although nobody has passed over it");
}

/// In Python this wait goes on until a worker passes over the cancelled futures.
fn cancel_ends_the_wait(subject: &Subject) {
    for when in [ReturnWhen::AllCompleted, ReturnWhen::FirstException] {
        let (stage, ready) = (Stage::new(subject), Arc::new(Barrier::new(2)));
        let occupied = stage.occupy();
        let queued: Vec<_> = (0..2).map(|number| stage.pool().submit(tasks::double, number).unwrap()).collect();
        let go = Arc::clone(&ready);
        let waiter = thread::spawn(move || {
            go.wait();
            wait(queued, None, when).done.iter().filter(|future| future.is_cancelled()).count()
        });
        ready.wait();
        stage.pool().shutdown(Shutdown::no_wait().cancel_futures());
        step("waiting for a wait to end");
        assert_eq!(waiter.join().unwrap(), 2);
        occupied.release();
    }
}

fn for_nothing(_: &Subject) {
    for when in [ReturnWhen::AllCompleted, ReturnWhen::FirstCompleted, ReturnWhen::FirstException] {
        let split = wait(Vec::<Future<u64>>::new(), None, when);
        assert!(split.done.is_empty() && split.not_done.is_empty());
    }
}

fn keeps_the_keys(_: &Subject) {
    let (_promises, futures) = pairs::<u64>(1);
    let members = futures.into_iter().chain([done(4)]).zip(["pending", "done"]).map(|(future, key)| (key, future));
    let split = wait(members.collect::<Vec<_>>(), Some(NOW), ReturnWhen::AllCompleted);
    assert_eq!(split.done[0].0, "done");
    assert_eq!(split.not_done[0].0, "pending");
}

fn for_futures_of_two_executors(subject: &Subject) {
    let (first, second) = (Stage::new(subject), Stage::new(subject));
    let mut futures = Vec::new();
    for number in 0..4 {
        futures.push(first.pool().submit(tasks::double, number).unwrap());
        futures.push(second.pool().submit(tasks::double, number).unwrap());
    }
    let split = wait(futures, None, ReturnWhen::AllCompleted);
    let sum: u64 = split.done.into_iter().map(|future| future.result().unwrap()).sum();
    assert_eq!((sum, split.not_done.len()), (24, 0));
}

fn many_at_the_same_moment(_: &Subject) {
    for _ in 0..20 {
        let (mut promises, futures) = pairs::<u64>(100);
        let ready = Barrier::new(5);
        thread::scope(|scope| {
            while !promises.is_empty() {
                let (share, ready) = (promises.split_off(promises.len() - 25), &ready);
                scope.spawn(move || {
                    ready.wait();
                    share.into_iter().for_each(|promise| promise.set_result(1).expect("nothing else completes it"));
                });
            }
            ready.wait();
            let split = wait(futures, None, ReturnWhen::AllCompleted);
            assert_eq!((split.done.len(), split.not_done.len()), (100, 0));
        });
    }
}

/// A wait that has ended leaves nothing behind: later waits, and the completion, work as on a fresh future.
fn repeatedly(_: &Subject) {
    let (mut promises, mut futures) = pairs::<u64>(3);
    for _ in 0..2_000 {
        let split = wait(futures, Some(NOW), ReturnWhen::FirstCompleted);
        assert!(split.done.is_empty());
        futures = split.not_done;
    }
    later(promises.remove(0), 1);
    assert_eq!(wait(futures, None, ReturnWhen::FirstCompleted).done.len(), 1);
}

fn in_opposite_orders(_: &Subject) {
    for _ in 0..100 {
        let (promises, futures) = pairs::<u64>(4);
        let shared: Vec<_> = futures.into_iter().map(Future::share).collect();
        let reversed: Vec<_> = shared.iter().rev().cloned().collect();
        thread::scope(|scope| {
            scope.spawn(|| shared.iter().for_each(|future| future.wait()));
            scope.spawn(|| reversed.iter().for_each(|future| future.wait()));
            promises.into_iter().for_each(|promise| promise.set_result(1).expect("nothing else completes it"));
        });
    }
}

fn for_tasks(subject: &Subject) {
    let stage = Stage::workers(subject, 2);
    let gate = stage.gate("held");
    let held = stage.pool().submit(tasks::pass_then, (gate.clone(), 1)).unwrap();
    let free = stage.pool().submit(tasks::double, 4).unwrap();
    step("waiting for the first");
    let split = wait([held, free], None, ReturnWhen::FirstCompleted);
    assert_eq!((split.done.len(), split.not_done.len()), (1, 1));
    gate.open();
    step("waiting for all");
    let split = wait(split.done.into_iter().chain(split.not_done), None, ReturnWhen::AllCompleted);
    assert_eq!((split.done.len(), split.not_done.len()), (2, 0));
}

fn for_a_task_that_fails(subject: &Subject) {
    let stage = Stage::workers(subject, 2);
    let (held, failing) = (stage.gate("held"), stage.gate("failing"));
    let held_one = stage.pool().submit(tasks::pass_then, (held.clone(), 1)).unwrap();
    let failing_one = stage.pool().submit(tasks::pass_then_panic, failing.clone()).unwrap();
    failing.wait_arrivals(1);
    failing.open();
    let split = wait([held_one, failing_one], None, ReturnWhen::FirstException);
    assert_eq!((split.done.len(), split.not_done.len()), (1, 1));
    held.open();

    let returning = stage.gate("returning");
    let held_one = stage.pool().submit(tasks::checked_double, 2).unwrap();
    let returning_one = stage.pool().submit(tasks::pass_then_err, returning.clone()).unwrap();
    returning.open();
    assert!(wait([held_one, returning_one], None, FirstError).not_done.len() <= 1);
}

/// Python hangs here: the cancelled futures were never "notified".
fn after_cancelling_the_rest(subject: &Subject) {
    let stage = Stage::new(subject);
    let occupied = stage.occupy();
    let queued: Vec<_> = (0..4).map(|number| stage.pool().submit(tasks::double, number).unwrap()).collect();
    stage.pool().shutdown(Shutdown::no_wait().cancel_futures());
    step("waiting for cancelled futures while every worker is busy");
    let split = wait(queued, None, ReturnWhen::AllCompleted);
    assert!(split.done.iter().all(Future::is_cancelled));
    assert_eq!(split.done.len(), 4);
    occupied.release();
}
