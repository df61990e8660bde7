//! E3, E7: destructors that panic, wherever a pool comes to run them.

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

/// What a task captured goes when the task is over: that is still the task.
#[test]
fn of_a_capture_that_ran() {
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
fn of_a_capture_of_a_cancelled_task() {
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
fn of_a_capture_of_an_expired_task() {
    watched(|| {
        let (pool, drops) = (pool(1), Counter::default());
        let gate = occupy(&pool, 1);
        let limited = || TaskOptions::new().queue_timeout(Duration::from_millis(1));
        let value = PanicOnDrop(drops.clone());
        let future = pool.spawn_with(limited(), move || drop(value)).unwrap();
        assert!(future.result().unwrap_err().is_timed_out());
        // The clock goes on.
        let next = pool.spawn_with(limited(), || ()).unwrap();
        assert!(next.result().unwrap_err().is_timed_out());
        assert_eq!(drops.get(), 1);
        gate.open();
        assert_works(&pool);
    });
}

#[test]
fn of_captures_at_a_shutdown_that_cancels() {
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
fn of_captures_in_a_pool_that_is_dropped() {
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
fn of_captures_in_a_pool_that_breaks() {
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

/// A capture that the pool does not take is dropped by the submit, in the thread of its caller.
#[test]
fn of_a_capture_that_is_refused() {
    watched(|| {
        let (pool, drops) = (pool(1), Counter::default());
        pool.shutdown(Shutdown::wait());
        let value = PanicOnDrop(drops.clone());
        let refused = catch_unwind(AssertUnwindSafe(|| pool.spawn(move || drop(value)).is_err()));
        assert!(refused.unwrap_or(true));
        assert_eq!(drops.get(), 1);
    });
}

/// A result that nobody waits for goes in the worker.
#[test]
fn of_a_detached_result() {
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

/// A result that was taken is the taker's; so is one that goes with its handle.
#[test]
fn of_a_result_outside() {
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
        // The worker that woke the wait may be the last to let go.
        assert_works(&pool);
        assert_eq!(drops.get(), 2);
    });
}

/// A result that comes after the run limit has nobody either.
#[test]
fn of_a_result_that_comes_too_late() {
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
fn of_a_payload() {
    watched(|| {
        let (pool, drops) = (pool(1), Counter::default());
        // Nobody asks: it goes in the worker.
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
        // Somebody asks: it is theirs.
        let payload = PanicOnDrop(drops.clone());
        let error = pool.spawn::<(), _>(move || panic_any(payload)).unwrap().result().unwrap_err();
        assert!(error.is_panic());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(error))).is_err());
        // In a callback: there is nobody to have it.
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
fn of_everything_at_once() {
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
