//! `as_completed`: futures in the order in which they end.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;

use executor_core::{ExecutorExt, Future, Promise, Shutdown, TaskError, as_completed};
use futures::executor::block_on;

use super::support::{LONG, NOW, SHORT, cancelled, done, failed, pairs};
use crate::case::{Case, Needs};
use crate::stage::Stage;
use crate::subject::Subject;
use crate::{step, tasks};

pub(crate) const CASES: &[Case] = &[
    Case::new("completed.in_order_of_completion", &["A1", "A8", "H7"], Needs::ANY, in_order_of_completion),
    Case::new("completed.done_ones_first", &["A1"], Needs::ANY, done_ones_first),
    Case::new("completed.each_once", &["A2"], Needs::ANY, each_once),
    Case::new("completed.of_nothing_ends_at_once", &["A2"], Needs::ANY, of_nothing),
    Case::new("completed.limit_is_for_all_together", &["A3"], Needs::ANY, limit_is_for_all_together),
    Case::new("completed.limit_says_how_many", &["A3"], Needs::ANY, limit_says_how_many),
    Case::new("completed.no_time_yields_the_done_ones", &["A4"], Needs::ANY, no_time_yields_the_done_ones),
    Case::new("completed.limit_of_one_step", &["A3", "A4"], Needs::ANY, limit_of_one_step),
    Case::new("completed.yielded_is_let_go", &["A5"], Needs::ANY, yielded_is_let_go),
    Case::new("completed.failures_are_yielded", &["A6"], Needs::ANY, failures_are_yielded),
    Case::new("completed.cancelled_are_yielded", &["A9", "H1"], Needs::CONCURRENT.queue(3), cancelled_are_yielded),
    Case::new("completed.abandoned_midway", &["A7"], Needs::ANY, abandoned_midway),
    Case::new("completed.rest_is_handed_back", &["A7"], Needs::ANY, rest_is_handed_back),
    Case::new("completed.more_while_iterating", &["A10"], Needs::ANY, more_while_iterating),
    Case::new("completed.keeps_the_keys", &["A1"], Needs::ANY, keeps_the_keys),
    Case::new("completed.from_other_threads", &["A1", "W13"], Needs::ANY, from_other_threads),
    Case::new("completed.as_a_stream", &["A1"], Needs::ANY, as_a_stream),
    Case::new("completed.of_tasks", &["A1"], Needs::ANY, of_tasks),
    Case::new("completed.of_tasks_in_their_order", &["A1"], Needs::CONCURRENT.workers(2), of_tasks_in_their_order),
];

fn complete(promise: Promise<u64>, value: u64) {
    promise.set_result(value).expect("nothing else completes it");
}

fn values(futures: impl IntoIterator<Item = Future<u64>>) -> Vec<u64> {
    futures.into_iter().map(|future| future.result().unwrap()).collect()
}

/// The order counts from the call, not from the first step as in Python.
fn in_order_of_completion(_: &Subject) {
    let (promises, futures) = pairs(3);
    let completed = as_completed(futures);
    let [a, b, c] = <[_; 3]>::try_from(promises).expect("three promises");
    complete(c, 3);
    complete(a, 1);
    complete(b, 2);
    assert_eq!(values(completed), [3, 1, 2]);
}

fn done_ones_first(_: &Subject) {
    let (mut promises, mut futures) = pairs(1);
    futures.extend([done(1), done(2)]);
    let mut completed = as_completed(futures);
    let first: HashSet<_> = values(completed.by_ref().take(2)).into_iter().collect();
    assert_eq!(first, HashSet::from([1, 2]));
    complete(promises.remove(0), 3);
    assert_eq!(values(completed), [3]);
}

fn each_once(_: &Subject) {
    let completed = as_completed((0..50).map(done));
    assert_eq!(completed.len(), 50);
    let mut seen = values(completed);
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
}

fn of_nothing(_: &Subject) {
    let mut completed = as_completed(Vec::<Future<u64>>::new());
    assert!(completed.is_empty());
    assert!(completed.next().is_none());
    assert!(as_completed(Vec::<Future<u64>>::new()).timeout(NOW).next().is_none(), "nothing is unfinished");
}

fn limit_is_for_all_together(_: &Subject) {
    let (_promises, mut futures) = pairs(2);
    futures.push(done(1));
    let mut timed = as_completed(futures).timeout(SHORT);
    assert_eq!(timed.next().unwrap().unwrap().result().unwrap(), 1);
    let unfinished = timed.next().unwrap().unwrap_err();
    assert_eq!((unfinished.unfinished, unfinished.total, unfinished.rest.len()), (2, 3, 2));
    assert!(timed.next().is_none(), "one error ends it");
    assert_eq!(as_completed([done(1), done(2)]).timeout(LONG).filter(Result::is_ok).count(), 2);
}

fn limit_says_how_many(_: &Subject) {
    let (_promises, mut futures) = pairs(3);
    futures.extend((0..7).map(done));
    let error = as_completed(futures).timeout(SHORT).find_map(Result::err).expect("three are never done");
    let text = error.to_string();
    assert!(text.contains('3') && text.contains("10"), "{text}");
}

fn no_time_yields_the_done_ones(_: &Subject) {
    let (_promises, mut futures) = pairs(1);
    futures.extend([done(1), done(2)]);
    let mut timed = as_completed(futures).timeout(NOW);
    assert!(timed.next().unwrap().is_ok());
    assert!(timed.next().unwrap().is_ok());
    assert_eq!(timed.next().unwrap().unwrap_err().unfinished, 1);
}

fn limit_of_one_step(_: &Subject) {
    let (mut promises, mut futures) = pairs(1);
    futures.push(done(1));
    let mut completed = as_completed(futures);
    assert!(completed.next_timeout(NOW).unwrap().is_some());
    assert!(completed.next_timeout(NOW).is_err());
    assert!(completed.next_timeout(SHORT).is_err(), "an expired step ends nothing");
    complete(promises.remove(0), 2);
    assert_eq!(completed.next_timeout(LONG).unwrap().unwrap().result().unwrap(), 2);
    assert!(completed.next_timeout(LONG).unwrap().is_none());
}

fn yielded_is_let_go(_: &Subject) {
    let probe = Arc::new(());
    let mut completed = as_completed([done(Arc::clone(&probe)), done(Arc::clone(&probe))]);
    drop(completed.next());
    assert_eq!(Arc::strong_count(&probe), 2, "freed while the iteration goes on");
    drop(completed.next());
    assert_eq!(Arc::strong_count(&probe), 1);
    drop(completed);
}

fn failures_are_yielded(_: &Subject) {
    let outcomes = as_completed([failed(), done(1), failed()]).map(Future::result);
    assert_eq!(outcomes.filter(Result::is_err).count(), 2);
}

/// In Python they may never come: no worker has passed over them.
fn cancelled_are_yielded(subject: &Subject) {
    let (_promise, before) = cancelled::<u64>();
    assert!(as_completed([before]).all(|future| future.is_cancelled()));

    let stage = Stage::new(subject);
    let occupied = stage.occupy();
    let completed = as_completed((0..3).map(|number| stage.pool().submit(tasks::double, number).unwrap()));
    stage.pool().shutdown(Shutdown::no_wait().cancel_futures());
    step("waiting for futures that were cancelled in the queue");
    assert_eq!(completed.filter(Future::is_cancelled).count(), 3);
    occupied.release();
}

fn abandoned_midway(_: &Subject) {
    let probe = Arc::new(());
    let (promises, futures) = pairs::<Arc<()>>(3);
    let mut completed = as_completed(futures.into_iter().chain([done(Arc::clone(&probe))]));
    drop(completed.next());
    drop(completed);
    for promise in promises {
        let _ = promise.set_result(Arc::clone(&probe));
    }
    assert_eq!(Arc::strong_count(&probe), 1, "the futures went with the iterator");
}

fn rest_is_handed_back(_: &Subject) {
    let (promises, mut futures) = pairs(2);
    futures.push(done(9));
    let mut completed = as_completed(futures);
    assert_eq!(completed.next().unwrap().result().unwrap(), 9);
    let rest = completed.into_rest();
    assert_eq!(rest.len(), 2);
    promises.into_iter().zip([1, 2]).for_each(|(promise, value)| complete(promise, value));
    let mut seen = values(as_completed(rest));
    seen.sort_unstable();
    assert_eq!(seen, [1, 2], "whole futures, which can join another set");
}

fn more_while_iterating(_: &Subject) {
    let mut completed = as_completed([done(3)]);
    let mut seen = Vec::new();
    while let Some(future) = completed.next() {
        let value = future.result().unwrap();
        seen.push(value);
        if value > 0 {
            completed.push(done(value - 1));
        }
    }
    assert_eq!(seen, [3, 2, 1, 0]);
}

fn keeps_the_keys(_: &Subject) {
    let members = (0..5_u64).map(|key| (key, done(key * key)));
    for (key, future) in as_completed(members) {
        assert_eq!(future.result().unwrap(), key * key);
    }
}

fn from_other_threads(_: &Subject) {
    for _ in 0..50 {
        let (mut promises, futures) = pairs(8);
        let other = promises.split_off(4);
        let completed = as_completed(futures);
        thread::scope(|scope| {
            scope.spawn(move || promises.into_iter().for_each(|promise| complete(promise, 1)));
            scope.spawn(move || other.into_iter().for_each(|promise| complete(promise, 2)));
            assert_eq!(values(completed).iter().sum::<u64>(), 12);
        });
    }
}

fn as_a_stream(_: &Subject) {
    let (promises, futures) = pairs(3);
    let completed = as_completed(futures);
    let completing = thread::spawn(move || promises.into_iter().rev().zip([3, 2, 1]).for_each(|(p, v)| complete(p, v)));
    // Not imported: its methods have the iterator's names.
    let seen: Vec<_> = block_on(futures::StreamExt::collect(completed));
    completing.join().unwrap();
    assert_eq!(values(seen), [3, 2, 1]);
}

fn of_tasks(subject: &Subject) {
    let stage = Stage::new(subject);
    let submit = |n: u64| (n, stage.pool().submit(tasks::double_even, n).unwrap());
    let members: Vec<_> = (0..20).map(submit).collect();
    let check = |outcome: Result<u64, TaskError>, n: u64| match n % 2 {
        0 => assert_eq!(outcome.unwrap(), 2 * n),
        _ => assert!(outcome.unwrap_err().is_panic()),
    };
    let yielded = as_completed(members).map(|(n, future)| check(future.result(), n)).count();
    assert_eq!(yielded, 20);
}

fn of_tasks_in_their_order(subject: &Subject) {
    let stage = Stage::workers(subject, 2);
    let (early, late) = (stage.gate("early"), stage.gate("late"));
    let second = stage.pool().submit(tasks::pass_then, (late.clone(), 2)).unwrap();
    let first = stage.pool().submit(tasks::pass_then, (early.clone(), 1)).unwrap();
    let mut completed = as_completed([second, first]);
    early.open();
    assert_eq!(completed.next().unwrap().result().unwrap(), 1);
    late.open();
    assert_eq!(completed.next().unwrap().result().unwrap(), 2);
    assert!(completed.next().is_none());
}
