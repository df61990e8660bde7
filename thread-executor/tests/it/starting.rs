//! I1, I2, I5: what runs in a worker before its first task and after its last.

use crate::support::{Counter, Gate, occupy};
use crate::watchdog::{step, watched};
use executor_conformance::OnPurpose;
use executor_core::{Executor, Shutdown, SubmitError, TaskError};
use std::cell::Cell;
use std::fmt;
use std::panic::panic_any;
use std::sync::Arc;
use std::time::Duration;
use thread_executor::{ThreadPoolBuilder, ThreadPoolExecutor};

thread_local!(static INITIALIZED: Cell<u32> = const { Cell::new(0) });

#[derive(Debug, PartialEq)]
struct NoLicence(u32);

impl fmt::Display for NoLicence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no licence for machine {}", self.0)
    }
}

impl std::error::Error for NoLicence {}

/// Counts the runs of the initializer, in each thread and in all.
fn counting(builder: ThreadPoolBuilder) -> (ThreadPoolBuilder, Counter) {
    let calls = Counter::default();
    let count = calls.clone();
    let builder = builder.initializer(move || {
        INITIALIZED.set(INITIALIZED.get() + 1);
        count.add();
        Ok::<(), NoLicence>(())
    });
    (builder, calls)
}

#[test]
fn i1_once_per_worker_before_its_first_task() {
    watched(|| {
        let (builder, calls) = counting(ThreadPoolExecutor::builder().workers(4));
        let pool = builder.build().unwrap();
        assert_eq!(calls.get(), 0);
        for _ in 0..20 {
            assert_eq!(pool.spawn(|| INITIALIZED.get()).unwrap().result().unwrap(), 1);
        }
        assert_eq!(calls.get(), 1);
        let gate = Gate::new();
        let spawn = || {
            let pass = gate.pass();
            pool.spawn(move || {
                pass.go();
                INITIALIZED.get()
            })
        };
        let futures: Vec<_> = (0..4).map(|_| spawn().unwrap()).collect();
        gate.wait_arrivals(4);
        gate.open();
        assert!(futures.into_iter().all(|future| future.result().unwrap() == 1));
        assert_eq!(calls.get(), 4);
    });
}

/// The successor of a retired worker is a new worker.
#[test]
fn i1_a_worker_after_a_retired_one_is_initialized() {
    watched(|| {
        let builder = ThreadPoolExecutor::builder().workers(1).keep_alive(Duration::ZERO);
        let (builder, calls) = counting(builder);
        let pool = builder.build().unwrap();
        for round in 1..=20 {
            assert_eq!(pool.spawn(|| INITIALIZED.get()).unwrap().result().unwrap(), 1);
            crate::support::until("the worker has retired", || pool.stats().workers == 0);
            // Should the task come late, a worker that found nothing retires, too.
            assert!(calls.get() >= round);
        }
    });
}

/// A task that runs on top of another may move to a fresh stack, which is initialized like its worker.
#[test]
fn i1_tasks_on_a_fresh_stack_are_initialized() {
    fn nest(pool: &Arc<ThreadPoolExecutor>, depth: u32) -> u32 {
        let here = INITIALIZED.get();
        if depth == 0 {
            return here;
        }
        let own = pool.clone();
        here.min(pool.spawn(move || nest(&own, depth - 1)).unwrap().result().unwrap())
    }
    watched(|| {
        let builder = ThreadPoolExecutor::builder().workers(1).stack_size(256 * 1024);
        let pool = Arc::new(counting(builder).0.build().unwrap());
        let own = pool.clone();
        let least = pool.spawn(move || nest(&own, 500)).unwrap().result().unwrap();
        assert_eq!(least, 1, "a task ran on a thread that was not initialized");
    });
}

/// Queued and later tasks both get the initializer's own error as the reason.
#[test]
fn i2_a_failure_carries_its_own_error() {
    watched(|| {
        let gate = Gate::new();
        let pass = gate.pass();
        let builder = ThreadPoolExecutor::builder().workers(1).thread_name_prefix("licensed").initializer(move || {
            pass.go();
            Err(NoLicence(7))
        });
        let pool = builder.build().unwrap();
        let ran = Counter::default();
        let spawn = || {
            let ran = ran.clone();
            pool.spawn(move || ran.add())
        };
        let futures: Vec<_> = (0..3).map(|_| spawn().unwrap()).collect();
        gate.wait_arrivals(1);
        gate.open();
        for future in futures {
            let Err(TaskError::Broken(info, broken)) = future.result() else { panic!("not broken") };
            assert_eq!(broken.cause().downcast_ref(), Some(&NoLicence(7)));
            let text = TaskError::Broken(info, broken).to_string();
            assert!(text.contains("licensed_0") && text.contains("no licence for machine 7"), "{text}");
            assert!(text.contains(file!()), "{text}");
        }
        let Err(SubmitError::Broken(broken)) = pool.spawn(|| ()) else { panic!("not broken") };
        assert_eq!(broken.cause().downcast_ref(), Some(&NoLicence(7)));
        step("shutting a broken pool down");
        pool.shutdown(Shutdown::wait());
        let stats = pool.stats();
        assert_eq!((ran.get(), stats.failed, stats.queued, stats.workers), (0, 3, 0, 0));
    });
}

#[test]
fn i2_texts_are_errors_too() {
    watched(|| {
        let pool = ThreadPoolExecutor::builder().workers(2).initializer(|| Err("no disk")).build().unwrap();
        let error = match pool.spawn(|| ()) {
            Ok(future) => future.result().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(error.contains("no disk"), "{error}");
    });
}

#[test]
fn i2_a_panic_breaks_the_pool() {
    watched(|| {
        fn broken_by(initializer: impl Fn() -> Result<(), NoLicence> + Send + Sync + 'static) -> String {
            let pool = ThreadPoolExecutor::builder().workers(2).initializer(initializer).build().unwrap();
            let error = match pool.spawn(|| ()) {
                Ok(future) => future.result().unwrap_err().to_string(),
                Err(error) => error.to_string(),
            };
            assert!(matches!(pool.spawn(|| ()), Err(SubmitError::Broken(_))));
            error
        }
        let text = broken_by(|| panic!("an initializer, on purpose"));
        assert!(text.contains("an initializer, on purpose"), "{text}");
        let text = broken_by(|| panic_any(OnPurpose));
        assert!(text.contains("panicked"), "{text}");
    });
}

/// A task that runs when a later worker's initializer fails runs to its end.
#[test]
fn i2_a_later_failure_spares_what_runs() {
    watched(|| {
        let calls = Counter::default();
        let count = calls.clone();
        let initializer = move || if count.add() == 0 { Ok(()) } else { Err(NoLicence(2)) };
        let pool = ThreadPoolExecutor::builder().workers(2).initializer(initializer).build().unwrap();
        let gate = Gate::new();
        let pass = gate.pass();
        let running = pool
            .spawn(move || {
                pass.go();
                "still there"
            })
            .unwrap();
        gate.wait_arrivals(1);
        step("a task for which a second worker has to start");
        match pool.spawn(|| ()) {
            Ok(queued) => assert!(matches!(queued.result(), Err(TaskError::Broken(..)))),
            Err(error) => panic!("{error}"),
        }
        gate.open();
        assert_eq!(running.result().unwrap(), "still there");
        assert!(matches!(pool.spawn(|| ()), Err(SubmitError::Broken(_))));
    });
}

/// Submitters that wait for capacity get the error, too.
#[test]
fn i2_a_failure_reaches_those_who_wait_for_room() {
    watched(|| {
        let gate = Gate::new();
        let pass = gate.pass();
        let initializer = move || {
            pass.go();
            Err(NoLicence(3))
        };
        let builder = ThreadPoolExecutor::builder().workers(1).queue_capacity(1);
        let pool = builder.initializer(initializer).build().unwrap();
        let queued = pool.spawn(|| ()).unwrap();
        std::thread::scope(|scope| {
            let submitters: Vec<_> = (0..3).map(|_| scope.spawn(|| pool.spawn(|| ()))).collect();
            gate.wait_arrivals(1);
            gate.open();
            for submitter in submitters {
                match submitter.join().unwrap() {
                    Err(SubmitError::Broken(broken)) => {
                        assert_eq!(broken.cause().downcast_ref(), Some(&NoLicence(3)));
                    }
                    // It took the permit that the first task's failure freed.
                    Ok(future) => assert!(matches!(future.result(), Err(TaskError::Broken(..)))),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        assert!(matches!(queued.result(), Err(TaskError::Broken(..))));
    });
}

#[test]
fn the_exit_hook_runs_once_per_worker() {
    watched(|| {
        let exits = Counter::default();
        let count = exits.clone();
        let hook = move || {
            count.add();
        };
        let pool = ThreadPoolExecutor::builder().workers(3).on_worker_exit(hook).build().unwrap();
        drop(occupy(&pool, 3));
        pool.spawn(|| ()).unwrap().result().unwrap();
        assert_eq!(exits.get(), 0);
        pool.shutdown(Shutdown::wait());
        assert_eq!(exits.get(), 3);
        drop(pool);
        assert_eq!(exits.get(), 3);
    });
}

/// The exit hook runs on the worker's own thread, after all tasks.
#[test]
fn the_exit_hook_sees_what_the_initializer_made() {
    watched(|| {
        let seen = Counter::default();
        let count = seen.clone();
        let (builder, _) = counting(ThreadPoolExecutor::builder().workers(1));
        let hook = move || {
            for _ in 0..INITIALIZED.get() {
                count.add();
            }
        };
        let pool = builder.on_worker_exit(hook).build().unwrap();
        for _ in 0..10 {
            drop(pool.spawn(|| INITIALIZED.set(INITIALIZED.get() + 1)).unwrap());
        }
        drop(pool);
        assert_eq!(seen.get(), 11);
    });
}

/// All hooks have ended when a shutdown that waits returns, also those of workers that retired before.
#[test]
fn the_exit_hook_of_retired_workers_is_over_too() {
    watched(|| {
        for _ in 0..200 {
            let (exits, starts) = (Counter::default(), Counter::default());
            let (count, started) = (exits.clone(), starts.clone());
            let builder = ThreadPoolExecutor::builder().workers(2).keep_alive(Duration::ZERO);
            let builder = builder.initializer(move || {
                started.add();
                Ok::<(), NoLicence>(())
            });
            let hook = move || {
                std::thread::yield_now();
                count.add();
            };
            let pool = builder.on_worker_exit(hook).build().unwrap();
            for _ in 0..3 {
                pool.spawn(|| ()).unwrap().result().unwrap();
            }
            pool.shutdown(Shutdown::wait());
            assert_eq!(exits.get(), starts.get());
        }
    });
}

/// The limit of a shutdown covers hooks as well: a retired worker that is still in its hook must not hold it up.
#[test]
fn a_hook_does_not_hold_up_a_limited_shutdown() {
    watched(|| {
        let gate = Gate::new();
        let (inside, returned) = (gate.pass(), Counter::default());
        let hook_over = Counter::default();
        let over = hook_over.clone();
        let watch = returned.clone();
        // The hook ends when the shutdown has returned, or after many rounds, so that a failure does not hang.
        let hook = move || {
            inside.arrive();
            let patience = std::time::Instant::now() + Duration::from_secs(5);
            while watch.get() == 0 && std::time::Instant::now() < patience {
                std::thread::yield_now();
            }
            over.add();
        };
        let builder = ThreadPoolExecutor::builder().workers(1).keep_alive(Duration::ZERO);
        let pool = builder.on_worker_exit(hook).build().unwrap();
        pool.spawn(|| ()).unwrap().result().unwrap();
        gate.wait_arrivals(1);
        let _ = pool.shutdown_timeout(Duration::from_millis(1));
        assert_eq!(hook_over.get(), 0, "a limit of a millisecond was held up by a hook");
        returned.add();
        step("the shutdown that waits for the hook");
        pool.shutdown(Shutdown::wait());
        assert_eq!(hook_over.get(), 1);
    });
}

#[test]
fn a_hook_that_panics_keeps_nobody() {
    watched(|| {
        let exits = Counter::default();
        let count = exits.clone();
        let hook = move || {
            count.add();
            panic!("an exit hook, on purpose");
        };
        let pool = ThreadPoolExecutor::builder().workers(2).on_worker_exit(hook).build().unwrap();
        drop(occupy(&pool, 2));
        pool.shutdown(Shutdown::wait());
        assert_eq!((exits.get(), pool.stats().workers), (2, 0));
    });
}

/// There was no worker whose last task the hook could follow.
#[test]
fn the_exit_hook_is_not_for_workers_that_never_began() {
    watched(|| {
        let exits = Counter::default();
        let count = exits.clone();
        let builder = ThreadPoolExecutor::builder().workers(1).initializer(|| Err(NoLicence(1)));
        let hook = move || {
            count.add();
        };
        let pool = builder.on_worker_exit(hook).build().unwrap();
        if let Ok(future) = pool.spawn(|| ()) {
            assert!(future.result().is_err());
        }
        drop(pool);
        assert_eq!(exits.get(), 0);
    });
}
