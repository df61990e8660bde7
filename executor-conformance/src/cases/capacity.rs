//! A bounded queue: waiting for capacity, being refused, and giving capacity back.

use std::sync::Barrier;
use std::thread;

use executor_core::{Executor, ExecutorExt, MapOptions, Shutdown, SubmitError, TaskOptions, TrySubmitError};
use futures::executor::block_on;

use super::support::{LONG, SHORT, assert_timed_out};
use crate::case::{Case, Needs};
use crate::stage::Stage;
use crate::subject::{Config, Subject};
use crate::{step, tasks};

const BOUNDED: Needs = Needs::CONCURRENT.bounded();

pub(crate) const CASES: &[Case] = &[
    Case::new("capacity.try_submit_takes_what_fits", &["H48"], Needs::ANY, try_submit_takes_what_fits),
    Case::new("capacity.try_submit_hands_arguments_back", &["H48"], BOUNDED, try_submit_hands_arguments_back),
    Case::new("capacity.try_submit_after_shutdown", &["S1", "H48"], Needs::ANY, try_submit_after_shutdown),
    Case::new("capacity.submit_waits", &["H48", "E2"], BOUNDED, submit_waits),
    Case::new("capacity.comes_back_by_cancel", &["H48", "F2"], BOUNDED, comes_back_by_cancel),
    Case::new("capacity.comes_back_by_expiry", &["H48"], BOUNDED.time_limits(), comes_back_by_expiry),
    Case::new(
        "capacity.waiters_are_refused_at_shutdown",
        &["H30", "S1", "H55"],
        BOUNDED,
        waiters_are_refused_at_shutdown,
    ),
    Case::new("capacity.for_many_submitters", &["E6", "H48"], BOUNDED, for_many_submitters),
    Case::new("capacity.shutdown_needs_none", &["S15", "H28", "H30"], BOUNDED, shutdown_needs_none),
    Case::new("capacity.map_with_a_small_queue", &["H47"], BOUNDED, map_with_a_small_queue),
    Case::new("capacity.map_with_a_limit", &["M6", "M7", "H47"], BOUNDED, map_with_a_limit),
    Case::new("capacity.map_with_a_limit_goes_on", &["H47"], BOUNDED, map_with_a_limit_goes_on),
    Case::new("capacity.zero_is_refused", &[], BOUNDED, zero_is_refused),
];

fn bounded(subject: &Subject, capacity: usize) -> Stage {
    Stage::with(subject, Config { queue_capacity: Some(capacity), ..Config::default() })
}

fn try_submit_takes_what_fits(subject: &Subject) {
    let stage = Stage::new(subject);
    let future = stage.pool().try_submit(tasks::double, 4).unwrap();
    assert_eq!(future.result().unwrap(), 8);
}

fn try_submit_hands_arguments_back(subject: &Subject) {
    let stage = bounded(subject, 2);
    let occupied = stage.occupy();
    let try_one = |text: &str| stage.pool().try_submit(tasks::echo::<String>, text.to_owned());
    let (first, second) = (try_one("first").unwrap(), try_one("second").unwrap());
    let full = try_one("third").unwrap_err();
    assert!(full.is_full());
    assert_eq!(full.into_args(), "third");
    occupied.release();
    assert_eq!((first.result().unwrap(), second.result().unwrap()), ("first".to_owned(), "second".to_owned()));
    assert_eq!(try_one("fourth").unwrap().result().unwrap(), "fourth");
}

fn try_submit_after_shutdown(subject: &Subject) {
    let stage = Stage::new(subject);
    stage.pool().shutdown(Shutdown::wait());
    let refused = stage.pool().try_submit(tasks::echo::<String>, "mine".to_owned()).unwrap_err();
    assert!(!refused.is_full());
    assert!(matches!(&refused, TrySubmitError::Refused(SubmitError::ShutDown, _)));
    assert_eq!(refused.into_args(), "mine");
}

/// No thread can see that another one waits. But the second task is accepted only once the first one has begun, so the order
/// holds in every interleaving and nothing is lost.
fn submit_waits(subject: &Subject) {
    let stage = bounded(subject, 1);
    let (occupied, ready) = (stage.occupy(), Barrier::new(2));
    let queued = stage.pool().submit(tasks::double, 1).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            ready.wait();
            let late = stage.pool().submit(tasks::double, 2).unwrap();
            assert!(
                !queued.is_cancelled() && (queued.is_running() || queued.is_done()),
                "there was no capacity before"
            );
            late.result().unwrap()
        });
        ready.wait();
        occupied.release();
        assert_eq!(waiting.join().unwrap(), 4);
    });
    assert_eq!(queued.result().unwrap(), 2);
}

fn comes_back_by_cancel(subject: &Subject) {
    let stage = bounded(subject, 1);
    let occupied = stage.occupy();
    for number in 0..20 {
        let future = stage.pool().try_submit(tasks::double, number).expect("the cancelled one gave its permit back");
        assert!(stage.pool().try_submit(tasks::double, number).unwrap_err().is_full());
        assert!(future.cancel());
    }
    step("waiting for capacity that a cancel gives back");
    let blocking = stage.pool().submit(tasks::double, 1).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| stage.pool().submit(tasks::double, 2).unwrap());
        assert!(blocking.cancel());
        let late = waiting.join().unwrap();
        occupied.release();
        assert_eq!(late.result().unwrap(), 4);
    });
}

fn comes_back_by_expiry(subject: &Subject) {
    let stage = bounded(subject, 1);
    let occupied = stage.occupy();
    let expiring = stage.pool().submit_with(TaskOptions::new().queue_timeout(SHORT), tasks::double, 1).unwrap();
    step("waiting for capacity that an expired task gives back");
    let late = stage.pool().submit(tasks::double, 2).unwrap();
    assert_timed_out(expiring.result());
    occupied.release();
    assert_eq!(late.result().unwrap(), 4);
}

fn waiters_are_refused_at_shutdown(subject: &Subject) {
    let stage = bounded(subject, 1);
    let (occupied, ready) = (stage.occupy(), Barrier::new(4));
    let queued = stage.pool().submit(tasks::double, 1).unwrap();
    thread::scope(|scope| {
        let waiter = |_| {
            scope.spawn(|| {
                ready.wait();
                stage.pool().submit(tasks::double, 2).map(drop)
            })
        };
        let waiters: Vec<_> = (0..3).map(waiter).collect();
        ready.wait();
        stage.pool().shutdown(Shutdown::no_wait());
        step("waiting for submitters that wait for capacity to be refused");
        for waiter in waiters {
            assert!(matches!(waiter.join().unwrap(), Err(SubmitError::ShutDown)));
        }
    });
    occupied.release();
    assert_eq!(queued.result().unwrap(), 2, "what was queued still runs");
}

fn for_many_submitters(subject: &Subject) {
    let stage = bounded(subject, 1);
    let pool: &dyn Executor = stage.pool();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                for number in 0..200 {
                    let future = pool.submit(tasks::double, number).unwrap();
                    if number % 3 == 0 {
                        let _ = future.cancel();
                    } else if number % 3 == 1 {
                        assert_eq!(future.result().unwrap(), 2 * number);
                    }
                }
            });
        }
    });
    stage.pool().shutdown(Shutdown::wait());
}

fn shutdown_needs_none(subject: &Subject) {
    for how in [Shutdown::no_wait(), Shutdown::no_wait().cancel_futures()] {
        let stage = bounded(subject, 2);
        let occupied = stage.occupy();
        let queued: Vec<_> = (0..2).map(|number| stage.pool().submit(tasks::double, number).unwrap()).collect();
        assert!(stage.pool().try_submit(tasks::double, 9).unwrap_err().is_full());
        step("shutting down with a full queue");
        stage.pool().shutdown(how);
        occupied.release();
        stage.pool().shutdown(Shutdown::wait());
        assert!(queued.iter().all(executor_core::Future::is_done));
    }
}

fn map_with_a_small_queue(subject: &Subject) {
    let stage = bounded(subject, 1);
    let sum: u64 = stage.pool().map(tasks::double, 0..500).map(Result::unwrap).sum();
    assert_eq!(sum, 249_500);
}

/// The limit of a map also holds while it waits for capacity, with an item of its own in the queue or without.
fn map_with_a_limit(subject: &Subject) {
    let stage = bounded(subject, 1);
    let occupied = stage.occupy();
    let options = MapOptions::new().timeout(SHORT).chunk_size(1);
    let expire = || {
        step("a map with a limit while there is no capacity");
        let mut map = stage.pool().map_with(options, tasks::double, [1, 2, 3]);
        assert_timed_out(map.next().expect("the expiry is an item"));
        assert!(map.next().is_none(), "and the last one");
        step("a stream with a limit while there is no capacity");
        let map = stage.pool().map_with(options, tasks::double, [1, 2, 3]);
        let outcomes: Vec<_> = block_on(futures::StreamExt::collect(map));
        assert_eq!(outcomes.len(), 1);
        outcomes.into_iter().for_each(assert_timed_out);
    };
    expire();
    let queued = stage.pool().submit(tasks::double, 1).expect("the map's item gave its permit back");
    expire();
    occupied.release();
    assert_eq!(queued.result().unwrap(), 2);
}

fn map_with_a_limit_goes_on(subject: &Subject) {
    let stage = bounded(subject, 1);
    let (occupied, ready) = (stage.occupy(), Barrier::new(2));
    let queued = stage.pool().submit(tasks::double, 1).unwrap();
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let options = MapOptions::new().timeout(LONG).chunk_size(1);
            let map = stage.pool().map_with(options, tasks::double, 0..500);
            ready.wait();
            map.map(Result::unwrap).sum::<u64>()
        });
        ready.wait();
        occupied.release();
        step("a map that waits for capacity until there is some");
        assert_eq!(reading.join().unwrap(), 249_500);
    });
    assert_eq!(queued.result().unwrap(), 2);
}

fn zero_is_refused(subject: &Subject) {
    let built = (subject.factory)(&Config { queue_capacity: Some(0), ..Config::default() });
    let error = built.expect_err("a queue without capacity could never take a task").to_string();
    assert!(error.contains("capacity"), "{error}");
}
