//! H48: the bounded queue of a pool. A permit is free once its task begins, is cancelled or expires.

use crate::support::{Counter, Gate, occupy, until};
use crate::watchdog::{step, watched};
use executor_core::{
    Admission, AsyncExecutorExt, Executor, ExecutorExt, Rejection, Shutdown, TaskOptions, TrySubmitError, task::Task,
};
use futures::executor::block_on;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use thread_executor::ThreadPoolExecutor;

fn bounded(workers: usize, capacity: usize) -> ThreadPoolExecutor {
    ThreadPoolExecutor::builder().workers(workers).queue_capacity(capacity).build().unwrap()
}

fn same(number: u64) -> u64 {
    number
}

fn is_full(pool: &ThreadPoolExecutor) -> bool {
    matches!(pool.try_submit(same, 0), Err(TrySubmitError::Full(0)))
}

#[test]
fn a_full_queue_hands_the_arguments_back() {
    watched(|| {
        let pool = bounded(1, 2);
        let gate = occupy(&pool, 1);
        let length: fn(String) -> usize = |text| text.len();
        let queued = [pool.try_submit(length, "one".to_owned()), pool.try_submit(length, "three".to_owned())];
        let refused = pool.try_submit(length, "back".to_owned()).unwrap_err();
        assert!(refused.is_full());
        let text = refused.into_args();
        assert_eq!(text, "back");
        assert_eq!(pool.stats().queued, 2);
        gate.open();
        assert_eq!(queued.map(|future| future.unwrap().result().unwrap()), [3, 5]);
        assert_eq!(pool.try_submit(length, text).unwrap().result().unwrap(), 4);
        pool.shutdown(Shutdown::wait());
        match pool.try_submit(length, "late".to_owned()) {
            Err(TrySubmitError::Refused(_, args)) => assert_eq!(args, "late"),
            other => panic!("{other:?}"),
        }
    });
}

/// A refused task is handed back unchanged.
#[test]
fn a_full_queue_hands_the_task_back() {
    watched(|| {
        let pool = bounded(1, 1);
        let gate = occupy(&pool, 1);
        let queued = pool.spawn(|| ()).unwrap();
        let (task, future) = Task::from_closure(|| 6);
        let rejected = pool.submit_task(task, Admission::Try).unwrap_err();
        assert!(matches!(rejected.reason, Rejection::Full));
        assert!(!future.is_done());
        gate.open();
        queued.result().unwrap();
        pool.submit_task(rejected.task, Admission::Block).unwrap();
        assert_eq!(future.result().unwrap(), 6);
    });
}

#[test]
fn cancel_frees_capacity_at_once() {
    watched(|| {
        let pool = bounded(1, 2);
        let gate = occupy(&pool, 1);
        for _ in 0..100 {
            let futures = [pool.try_submit(same, 1).unwrap(), pool.try_submit(same, 2).unwrap()];
            assert!(is_full(&pool));
            assert!(futures[1].cancel());
            let third = pool.try_submit(same, 3).unwrap();
            assert!(is_full(&pool));
            assert!(third.cancel() && futures[0].cancel());
            assert_eq!(pool.stats().queued, 0);
        }
        gate.open();
        assert_eq!(pool.submit(same, 4).unwrap().result().unwrap(), 4);
        assert_eq!(pool.stats().cancelled, 300);
    });
}

/// A task that was cancelled before it came to the pool takes no permit and gives none back.
#[test]
fn a_task_cancelled_before_submission_takes_no_capacity() {
    watched(|| {
        let pool = bounded(1, 1);
        let gate = occupy(&pool, 1);
        for _ in 0..3 {
            let (task, future) = Task::from_closure(|| ());
            assert!(future.cancel());
            pool.submit_task(task, Admission::Try).unwrap();
        }
        let queued = pool.try_submit(same, 1).unwrap();
        assert!(is_full(&pool));
        assert_eq!(pool.stats().queued, 1);
        gate.open();
        queued.result().unwrap();
    });
}

#[test]
fn an_expired_task_frees_capacity_at_once() {
    watched(|| {
        let pool = bounded(1, 1);
        let gate = occupy(&pool, 1);
        for _ in 0..5 {
            let options = TaskOptions::new().queue_timeout(Duration::from_millis(1));
            let late = pool.submit_with(options, same, 1).unwrap();
            step("capacity that a limit frees");
            // Waits until the task before it has expired.
            let next = pool.submit(same, 2).unwrap();
            assert!(late.result().unwrap_err().is_timed_out());
            assert!(next.cancel());
        }
        gate.open();
    });
}

/// A worker may be the one that has to free a permit: it may queue over the limit, and its task is counted.
#[test]
fn own_workers_may_queue_over_the_limit() {
    watched(|| {
        let pool = Arc::new(bounded(1, 1));
        let own = pool.clone();
        step("a task that submits a hundred to its own bounded pool");
        let outer = pool.spawn(move || {
            let futures: Vec<_> = (0..100).map(|number| own.submit(same, number).unwrap()).collect();
            assert!(own.stats().queued >= 99);
            futures.into_iter().map(|future| future.result().unwrap()).sum::<u64>()
        });
        assert_eq!(outer.unwrap().result().unwrap(), 4950);
        // The limit holds again for others.
        let gate = occupy(&pool, 1);
        let queued = pool.try_submit(same, 1).unwrap();
        assert!(is_full(&pool));
        gate.open();
        queued.result().unwrap();
    });
}

#[test]
fn own_workers_map_over_a_small_queue() {
    watched(|| {
        let pool = Arc::new(bounded(2, 1));
        let spawn = || {
            let own = pool.clone();
            pool.spawn(move || own.map(same, 0..200).map(Result::unwrap).sum::<u64>()).unwrap()
        };
        let futures: Vec<_> = (0..4).map(|_| spawn()).collect();
        step("maps inside of both workers");
        assert!(futures.into_iter().all(|future| future.result().unwrap() == 19_900));
    });
}

/// A worker that awaits capacity in its own queue would wait for itself: it may queue as if it blocked.
#[test]
fn own_workers_that_await_capacity_may_queue_over_the_limit() {
    watched(|| crate::child::run("capacity::child_that_awaits_capacity", "", |_| ()));
}

#[test]
fn child_that_awaits_capacity() {
    if crate::child::argument().is_none() {
        return;
    }
    watched(|| {
        let pool = Arc::new(bounded(1, 1));
        let gate = Gate::new();
        let (own, pass) = (pool.clone(), gate.pass());
        let outer = pool
            .spawn(move || {
                pass.go();
                let inner = block_on(own.submit_async(same, 7)).unwrap();
                inner.result().unwrap()
            })
            .unwrap();
        gate.wait_arrivals(1);
        let queued = pool.spawn(|| ()).unwrap();
        gate.open();
        step("the only worker awaits capacity in its own full queue");
        assert_eq!(outer.result().unwrap(), 7);
        queued.result().unwrap();
    });
}

#[test]
fn many_submitters_share_little_capacity() {
    watched(|| {
        let pool = bounded(2, 3);
        let ran = Counter::default();
        step("six submitters, half of them async");
        thread::scope(|scope| {
            for submitter in 0..6 {
                let (pool, ran) = (&pool, ran.clone());
                scope.spawn(move || {
                    for number in 0..300_u64 {
                        let future = if submitter % 2 == 0 {
                            pool.submit(same, number).unwrap()
                        } else {
                            block_on(pool.submit_async(same, number)).unwrap()
                        };
                        if number % 5 == 0 {
                            future.cancel();
                        }
                        if future.result().is_ok() {
                            ran.add();
                        }
                    }
                });
            }
        });
        let stats = pool.stats();
        assert_eq!(stats.completed, ran.get() as u64);
        assert_eq!((stats.completed + stats.cancelled, stats.queued), (1800, 0));
    });
}

/// Each free permit lets one waiter in, and none is forgotten when permits are freed in different ways.
#[test]
fn capacity_freed_in_every_way_forgets_no_waiter() {
    watched(|| {
        let pool = bounded(1, 2);
        for round in 0..50 {
            let gate = occupy(&pool, 1);
            let cancelled = pool.spawn(|| ()).unwrap();
            let limited = pool.spawn_with(TaskOptions::new().queue_timeout(Duration::from_micros(500)), || ());
            step(format!("round {round}"));
            thread::scope(|scope| {
                for number in 0..4 {
                    let pool = &pool;
                    scope.spawn(move || assert_eq!(pool.submit(same, number).unwrap().result().unwrap(), number));
                }
                cancelled.cancel();
                until("the limit has passed", || limited.as_ref().unwrap().is_done());
                gate.open();
            });
        }
        assert_eq!(pool.stats().queued, 0);
    });
}
