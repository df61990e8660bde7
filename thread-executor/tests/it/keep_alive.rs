//! T5 turned round: workers that retire when idle, and come back.

use crate::support::{Counter, Gate, LONG, occupy, until};
use crate::watchdog::{step, watched};
use executor_core::{Executor, Shutdown, as_completed};
use std::thread;
use std::time::Duration;
use thread_executor::ThreadPoolExecutor;

fn short_lived(workers: usize, idle: Duration) -> ThreadPoolExecutor {
    ThreadPoolExecutor::builder().workers(workers).keep_alive(idle).build().unwrap()
}

#[test]
fn t5_idle_workers_retire_and_new_ones_start() {
    watched(|| {
        let pool = short_lived(3, Duration::from_millis(1));
        for _ in 0..10 {
            drop(occupy(&pool, 3));
            until("all have retired", || pool.stats().workers == 0);
            let stats = pool.stats();
            assert_eq!((stats.idle, stats.queued, stats.running), (0, 0, 0));
        }
        assert_eq!(pool.stats().completed, 30);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn t5_a_retired_worker_leaves_no_thread() {
    watched(|| {
        let builder = ThreadPoolExecutor::builder().workers(4).thread_name_prefix("retiring");
        let pool = builder.keep_alive(Duration::ZERO).build().unwrap();
        for _ in 0..10 {
            drop(occupy(&pool, 4));
            until("the system knows no such thread", || crate::support::threads_named("retiring") == 0);
        }
    });
}

#[test]
fn t5_without_a_limit_workers_stay() {
    watched(|| {
        let (staying, leaving) = (short_lived(2, Duration::MAX), short_lived(2, Duration::ZERO));
        let default = crate::support::pool(2);
        for pool in [&staying, &leaving, &default] {
            drop(occupy(pool, 2));
        }
        until("the other pool's workers have retired", || leaving.stats().workers == 0);
        assert_eq!((staying.stats().workers, default.stats().workers), (2, 2));
    });
}

/// At each of these submits a worker may be asleep, retiring, or ended.
#[test]
fn t5_no_task_is_lost_to_a_retiring_worker() {
    watched(|| {
        for idle in [Duration::ZERO, Duration::from_micros(20), Duration::from_micros(200)] {
            let pool = short_lived(2, idle);
            for number in 0..3000 {
                step(format!("task {number} with an idle time of {idle:?}"));
                assert_eq!(pool.spawn(move || number).unwrap().result().unwrap(), number);
                if number % 64 == 0 {
                    until("the workers have retired", || pool.stats().workers == 0);
                }
            }
        }
    });
}

#[test]
fn t5_several_submitters_lose_no_task_to_retiring_workers() {
    watched(|| {
        let pool = short_lived(3, Duration::ZERO);
        let ran = Counter::default();
        step("four submitters");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..300 {
                        let spawn = || {
                            let ran = ran.clone();
                            pool.spawn(move || ran.add())
                        };
                        let futures = [spawn().unwrap(), spawn().unwrap()];
                        assert_eq!(as_completed(futures).filter(|future| future.exception().is_none()).count(), 2);
                    }
                });
            }
        });
        assert_eq!(ran.get(), 4 * 300 * 2);
    });
}

#[test]
fn t5_a_shutdown_races_with_retiring_workers() {
    watched(|| {
        for round in 0..300 {
            let pool = short_lived(2, Duration::ZERO);
            let ran = Counter::default();
            for _ in 0..3 {
                let ran = ran.clone();
                drop(pool.spawn(move || ran.add()).unwrap());
            }
            if round % 2 == 0 {
                until("the tasks are over", || pool.stats().completed == 3);
            }
            step("shutting down while workers retire");
            pool.shutdown(Shutdown::wait());
            assert_eq!((ran.get(), pool.stats().workers), (3, 0));
        }
    });
}

/// A worker whose task waits is not idle, however long.
#[test]
fn t5_a_busy_worker_does_not_retire() {
    watched(|| {
        let pool = short_lived(2, Duration::ZERO);
        let gate = Gate::new();
        let pass = gate.pass();
        let held = pool.spawn(move || pass.go()).unwrap();
        gate.wait_arrivals(1);
        let short = pool.spawn(|| ()).unwrap();
        short.result().unwrap();
        until("the other worker has retired", || pool.stats().workers == 1);
        assert_eq!(pool.stats().running, 1);
        gate.open();
        assert!(held.wait_timeout(LONG));
        until("both have retired", || pool.stats().workers == 0);
    });
}
