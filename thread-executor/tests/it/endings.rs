//! S2, S3, S18, T9: the ways a pool ends that only a thread pool has.

use crate::support::{CountDrop, Counter, Gate, LONG, occupy, pool};
use crate::watchdog::{step, watched};
use executor_core::{AsyncExecutor, Executor, Shutdown, SubmitError};
use futures::executor::block_on;
use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;
use thread_executor::ThreadPoolExecutor;

/// Sleeping and busy workers have all ended when the call returns.
#[cfg(target_os = "linux")]
#[test]
fn t9_all_workers_end() {
    watched(|| {
        for idle in 0..=3 {
            let pool = ThreadPoolExecutor::builder().workers(3).thread_name_prefix("t9_end").build().unwrap();
            drop(occupy(&pool, 3));
            crate::support::until("all are idle", || pool.stats().idle == 3);
            let gate = occupy(&pool, 3 - idle);
            // A listing may miss a thread when another one ends meanwhile, so one look is not enough.
            crate::support::until("three threads are listed", || crate::support::threads_named("t9_end") == 3);
            gate.open();
            pool.shutdown(Shutdown::wait());
            assert_eq!(pool.stats().workers, 0);
            // A joined thread may still be on the system's list for a moment.
            crate::support::until("no thread is left", || crate::support::threads_named("t9_end") == 0);
        }
    });
}

#[test]
fn s2_many_threads_may_shut_down_at_once() {
    watched(|| {
        for round in 0..200 {
            let pool = pool(2);
            let ran = Counter::default();
            for _ in 0..5 {
                let ran = ran.clone();
                drop(pool.spawn(move || ran.add()).unwrap());
            }
            step(format!("round {round}: shutting down from three threads"));
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        pool.shutdown(Shutdown::wait());
                        assert_eq!((ran.get(), pool.stats().workers), (5, 0));
                    });
                }
            });
        }
    });
}

/// A worker that shuts its own pool down begins the shutdown and does not wait, by whichever call.
#[test]
fn s18_a_worker_that_shuts_down_does_not_wait() {
    watched(|| {
        let ways: [fn(&ThreadPoolExecutor); 4] = [
            |pool| pool.shutdown(Shutdown::wait()),
            |pool| pool.shutdown(Shutdown::wait().cancel_futures()),
            |pool| assert!(pool.shutdown_timeout(LONG).is_err()),
            |pool| block_on(pool.shutdown_async(Shutdown::wait())),
        ];
        for (number, way) in ways.into_iter().enumerate() {
            let pool = Arc::new(pool(1));
            let own = pool.clone();
            step(format!("way {number}"));
            let refused = pool.spawn(move || {
                way(&own);
                matches!(own.spawn(|| ()), Err(SubmitError::ShutDown))
            });
            assert!(refused.unwrap().result().unwrap());
            pool.shutdown(Shutdown::wait());
        }
    });
}

/// The same holds for a worker on a fresh stack, deep inside a nest: it works for the same pool.
#[test]
fn s18_a_worker_on_a_fresh_stack_does_not_wait() {
    fn nest(pool: &Arc<ThreadPoolExecutor>, depth: u32) {
        if depth == 0 {
            return pool.shutdown(Shutdown::wait());
        }
        let own = pool.clone();
        pool.spawn(move || nest(&own, depth - 1)).unwrap().result().unwrap();
    }
    watched(|| {
        let pool = Arc::new(ThreadPoolExecutor::builder().workers(1).stack_size(256 * 1024).build().unwrap());
        step("a shutdown five hundred tasks deep");
        nest(&pool, 500);
        assert!(pool.spawn(|| ()).is_err());
    });
}

/// After a shutdown, a running task may wait for tasks that were accepted before it, and for no others.
#[test]
fn s3_accepted_tasks_wait_for_accepted_tasks() {
    watched(|| {
        let pool = Arc::new(pool(1));
        let gate = Gate::new();
        let (own, pass) = (pool.clone(), gate.pass());
        let outer = pool
            .spawn(move || {
                let inner = own.spawn(|| 5).unwrap();
                pass.go();
                (inner.result().unwrap(), own.spawn(|| ()).is_err())
            })
            .unwrap();
        gate.wait_arrivals(1);
        pool.shutdown(Shutdown::no_wait());
        gate.open();
        assert_eq!(outer.result().unwrap(), (5, true));
    });
}

#[test]
fn a_limited_shutdown_can_be_repeated() {
    watched(|| {
        let pool = pool(2);
        let gate = occupy(&pool, 2);
        let queued = pool.spawn(|| 1).unwrap();
        for limit in [Duration::ZERO, Duration::from_millis(1)] {
            assert_eq!(pool.shutdown_timeout(limit).unwrap_err().limit(), limit);
        }
        gate.open();
        pool.shutdown_timeout(LONG).unwrap();
        pool.shutdown_timeout(Duration::ZERO).unwrap();
        assert_eq!(queued.result().unwrap(), 1);
        assert!(pool.shutdown_timeout(Duration::MAX).is_ok());
    });
}

#[test]
fn an_awaited_shutdown_ends_with_the_workers() {
    watched(|| {
        let pool = pool(2);
        let gate = occupy(&pool, 2);
        let queued = pool.spawn(|| 1).unwrap();
        thread::scope(|scope| {
            let waiting: Vec<_> =
                (0..3).map(|_| scope.spawn(|| block_on(pool.shutdown_async(Shutdown::wait())))).collect();
            block_on(pool.shutdown_async(Shutdown::no_wait()));
            gate.open();
            step("three that await the end");
            waiting.into_iter().for_each(|waiting| waiting.join().unwrap());
        });
        assert!(queued.is_done());
        assert_eq!(pool.stats().workers, 0);
    });
}

/// The first submit starts a thread while another thread shuts down.
#[test]
fn s1_the_first_submit_races_with_a_shutdown() {
    watched(|| {
        for round in 0..300 {
            let pool = pool(2);
            step(format!("round {round}"));
            thread::scope(|scope| {
                let submitter = scope.spawn(|| pool.spawn(|| 1));
                pool.shutdown(Shutdown::wait());
                match submitter.join().unwrap() {
                    Ok(future) => assert_eq!(future.result().unwrap(), 1),
                    Err(error) => assert!(matches!(error, SubmitError::ShutDown)),
                }
            });
            pool.shutdown(Shutdown::wait());
            assert_eq!(pool.stats().workers, 0);
        }
    });
}

/// After an abandoned shutdown, dropping a pool with a stuck task returns, and the detached threads still run what was
/// accepted.
#[test]
fn a_pool_with_a_stuck_task_can_be_left() {
    let ways: [fn(&ThreadPoolExecutor); 5] = [
        |pool| pool.shutdown(Shutdown::no_wait()),
        |pool| assert!(pool.shutdown_timeout(Duration::from_millis(1)).is_err()),
        |pool| block_on(pool.shutdown_async(Shutdown::no_wait())),
        |pool| {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(pin!(pool.shutdown_async(Shutdown::wait())).poll(&mut cx).is_pending());
        },
        // Another shutdown that does not see the end changes nothing about it.
        |pool| {
            pool.shutdown(Shutdown::no_wait());
            assert!(pool.shutdown_timeout(Duration::ZERO).is_err());
        },
    ];
    watched(|| {
        for (number, give_up) in ways.into_iter().enumerate() {
            let pool = pool(2);
            let gate = occupy(&pool, 2);
            let (values, count) = (Counter::default(), Counter::default());
            let value = CountDrop(values.clone());
            let queued = pool.spawn(move || (count.add(), drop(value)).0).unwrap();
            step(format!("way {number}: the drop of a pool whose workers are stuck"));
            give_up(&pool);
            drop(pool);
            assert!(!queued.is_done());
            gate.open();
            step(format!("way {number}: the detached threads go on"));
            queued.result().unwrap();
            crate::support::until("the pool lets go of what it had", || values.get() == 1);
        }
    });
}

/// A task that shuts its own pool down cannot wait, and so has abandoned no wait: a drop elsewhere still waits.
#[test]
fn a_shutdown_by_a_worker_abandons_no_wait() {
    watched(|| {
        let ways: [fn(&ThreadPoolExecutor); 3] = [
            |pool| pool.shutdown(Shutdown::wait()),
            |pool| assert!(pool.shutdown_timeout(LONG).is_err()),
            |pool| block_on(pool.shutdown_async(Shutdown::wait())),
        ];
        for way in ways {
            let pool = Arc::new(pool(1));
            let own = pool.clone();
            let asks = pool.spawn(move || {
                way(&own);
                drop(own);
            });
            let ran = Counter::default();
            let count = ran.clone();
            let later = pool.spawn(move || count.add());
            asks.unwrap().result().unwrap();
            crate::support::until("the task has let go of the pool", || Arc::strong_count(&pool) == 1);
            drop(pool);
            assert_eq!(ran.get(), usize::from(later.is_ok()));
        }
    });
}
