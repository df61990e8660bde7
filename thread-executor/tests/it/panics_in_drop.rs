//! E3, E7: destructors that panic, wherever a pool runs them.

use crate::support::{Counter, Gate, PanicOnDrop, occupy, pool};
use crate::watchdog::watched;
use executor_core::{Executor, Shutdown, TaskError, TaskOptions};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::time::Duration;
use thread_executor::ThreadPoolExecutor;

fn assert_works(pool: &ThreadPoolExecutor) {
    assert_eq!(pool.spawn(|| 1).unwrap().result().unwrap(), 1);
    let stats = pool.stats();
    assert_eq!((stats.workers, stats.running, stats.queued), (1, 0, 0));
}

/// Captures are dropped as the task ends; that still counts as the task.
#[test]
fn a_capture_that_panics_fails_its_task() {
    watched(|| {
        let (pool, drops) = (pool(1), Counter::default());
        let value = PanicOnDrop(drops.clone());
        let future = pool
            .spawn(move || {
                let _value = value;
                5
            })
            .unwrap();
        assert!(future.result().unwrap_err().is_panic());
        assert_eq!(drops.get(), 1);
        assert_works(&pool);
    });
}

#[test]
fn a_capture_of_a_cancelled_task_costs_no_worker() {
    watched(|| {
        let (pool, drops) = (pool(1), Counter::default());
        let gate = occupy(&pool, 1);
        let value = PanicOnDrop(drops.clone());
        let future = pool.spawn(move || drop(value)).unwrap();
        assert!(future.cancel());
        assert_eq!(drops.get(), 1);
        assert!(future.result().unwrap_err().is_cancelled());
        gate.open();
        assert_works(&pool);
    });
}

#[test]
fn a_capture_of_an_expired_task_costs_no_worker() {
    watched(|| {
        let (pool, drops) = (pool(1), Counter::default());
        let gate = occupy(&pool, 1);
        let limited = || TaskOptions::new().queue_timeout(Duration::from_millis(1));
        let value = PanicOnDrop(drops.clone());
        let future = pool.spawn_with(limited(), move || drop(value)).unwrap();
        assert!(future.result().unwrap_err().is_timed_out());
        // The clock still works.
        let next = pool.spawn_with(limited(), || ()).unwrap();
        assert!(next.result().unwrap_err().is_timed_out());
        assert_eq!(drops.get(), 1);
        gate.open();
        assert_works(&pool);
    });
}

#[test]
fn captures_dropped_by_a_shutdown_are_contained() {
    watched(|| {
        let (pool, drops) = (pool(1), Counter::default());
        let gate = occupy(&pool, 1);
        let spawn = || {
            let value = PanicOnDrop(drops.clone());
            pool.spawn(move || drop(value)).unwrap()
        };
        let futures: Vec<_> = (0..5).map(|_| spawn()).collect();
        pool.shutdown(Shutdown::no_wait().cancel_futures());
        assert_eq!(drops.get(), 5);
        assert!(futures.into_iter().all(|future| future.result().unwrap_err().is_cancelled()));
        gate.open();
        pool.shutdown(Shutdown::wait());
    });
}

#[test]
fn captures_dropped_with_the_pool_are_contained() {
    watched(|| {
        let (pool, drops) = (pool(1), Counter::default());
        let gate = occupy(&pool, 1);
        for _ in 0..5 {
            let value = PanicOnDrop(drops.clone());
            drop(pool.spawn(move || drop(value)).unwrap());
        }
        gate.open();
        drop(pool);
        assert_eq!(drops.get(), 5);
    });
}

#[test]
fn captures_dropped_by_a_broken_pool_are_contained() {
    watched(|| {
        let (gate, drops) = (Gate::new(), Counter::default());
        let pass = gate.pass();
        let initializer = move || {
            pass.go();
            Err("no start, on purpose")
        };
        let pool = ThreadPoolExecutor::builder().workers(1).initializer(initializer).build().unwrap();
        let spawn = || {
            let value = PanicOnDrop(drops.clone());
            pool.spawn(move || drop(value)).unwrap()
        };
        let futures: Vec<_> = (0..3).map(|_| spawn()).collect();
        gate.open();
        assert!(futures.into_iter().all(|future| matches!(future.result(), Err(TaskError::Broken(..)))));
        assert_eq!(drops.get(), 3);
    });
}

/// The submit drops a capture that the pool refuses, in the caller's thread.
#[test]
fn a_refused_capture_panics_in_its_caller() {
    watched(|| {
        let (pool, drops) = (pool(1), Counter::default());
        pool.shutdown(Shutdown::wait());
        let value = PanicOnDrop(drops.clone());
        let refused = catch_unwind(AssertUnwindSafe(|| pool.spawn(move || drop(value)).is_err()));
        assert!(refused.unwrap_or(true));
        assert_eq!(drops.get(), 1);
    });
}

/// A result that nobody waits for is dropped in the worker.
#[test]
fn a_detached_result_costs_no_worker() {
    watched(|| {
        let (pool, drops) = (pool(1), Counter::default());
        for _ in 0..5 {
            let gate = Gate::new();
            let (pass, value) = (gate.pass(), PanicOnDrop(drops.clone()));
            let task = move || {
                pass.go();
                value
            };
            drop(pool.spawn(task).unwrap());
            gate.open();
        }
        assert_works(&pool);
        assert_eq!(drops.get(), 5);
        assert_eq!((pool.stats().completed, pool.stats().failed), (6, 0));
    });
}

/// A result that was taken is dropped by its taker; one that was not, with its handle.
#[test]
fn a_taken_result_panics_in_its_taker() {
    watched(|| {
        let (pool, drops) = (pool(1), Counter::default());
        let spawn = || {
            let value = PanicOnDrop(drops.clone());
            pool.spawn(move || value).unwrap()
        };
        let taken = spawn().result().unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(taken))).is_err());
        let unread = spawn();
        unread.wait();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unread)));
        // The worker that woke the wait may drop the last reference.
        assert_works(&pool);
        assert_eq!(drops.get(), 2);
    });
}

/// Nobody waits for a result that comes after the run limit either.
#[test]
fn a_late_result_costs_no_worker() {
    watched(|| {
        let (pool, drops) = (pool(1), Counter::default());
        let value = PanicOnDrop(drops.clone());
        let task = move || {
            while !executor_core::is_stop_requested() {
                std::thread::yield_now();
            }
            value
        };
        let late = pool.spawn_with(TaskOptions::new().run_timeout(Duration::ZERO), task).unwrap();
        assert!(late.result().unwrap_err().is_timed_out());
        assert_works(&pool);
        assert_eq!(drops.get(), 1);
    });
}

/// A panic's payload is a value like any other.
#[test]
fn a_payload_panics_where_it_is_dropped() {
    watched(|| {
        let (pool, drops) = (pool(1), Counter::default());
        // Nobody asks for it: the worker drops it.
        for _ in 0..5 {
            let gate = Gate::new();
            let (pass, payload) = (gate.pass(), PanicOnDrop(drops.clone()));
            let task = move || {
                pass.go();
                panic_any(payload)
            };
            drop(pool.spawn::<(), _>(task).unwrap());
            gate.open();
        }
        assert_works(&pool);
        assert_eq!(drops.get(), 5);
        // A caller asks for it: the caller drops it.
        let payload = PanicOnDrop(drops.clone());
        let error = pool.spawn::<(), _>(move || panic_any(payload)).unwrap().result().unwrap_err();
        assert!(error.is_panic());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(error))).is_err());
        // A callback panics: nobody could ask for its payload.
        let future = pool.spawn(|| ()).unwrap();
        let payload = PanicOnDrop(drops.clone());
        future.add_done_callback(move |_| panic_any(payload));
        future.result().unwrap();
        assert_works(&pool);
        assert_eq!((drops.get(), pool.stats().failed), (7, 6));
    });
}

/// A capture, a result and a payload of the same task.
#[test]
fn capture_result_and_payload_of_one_task_may_all_panic() {
    watched(|| {
        let (pool, drops) = (pool(1), Counter::default());
        let (capture, other) = (PanicOnDrop(drops.clone()), PanicOnDrop(drops.clone()));
        let future = pool.spawn::<PanicOnDrop, _>(move || {
            let _capture = capture;
            panic_any(other)
        });
        let error = future.unwrap().result().unwrap_err();
        assert!(error.is_panic());
        let _ = catch_unwind(AssertUnwindSafe(|| drop(error)));
        assert_eq!(drops.get(), 2);
        assert_works(&pool);
    });
}
