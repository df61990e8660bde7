//! `scope`: closures that borrow, all ended before the scope returns, whatever happens in it.

use crate::support::{Counter, Gate, PanicOnDrop, occupy, pool};
use crate::watchdog::{step, watched};
use executor_conformance::OnPurpose;
use executor_core::{Executor, Shutdown, SubmitError, TaskError};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use thread_executor::ThreadPoolExecutor;

fn caught<R>(f: impl FnOnce() -> R) -> Box<dyn std::any::Any + Send> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("no panic came"),
        Err(payload) => payload,
    }
}

#[test]
fn closures_borrow_and_write() {
    watched(|| {
        for workers in 1..=3 {
            let pool = pool(workers);
            let words = ["to", "borrow", "is", "not", "to", "own"].map(String::from);
            let mut lengths = [0; 6];
            let total = pool.scope(|scope| {
                for (word, length) in words.iter().zip(&mut lengths) {
                    drop(scope.spawn(move || *length = word.len()).unwrap());
                }
                scope.spawn(|| words.iter().map(String::len).sum::<usize>()).unwrap().result().unwrap()
            });
            assert_eq!((total, lengths.iter().sum::<usize>()), (18, 18));
        }
    });
}

/// A result may borrow, too, and an unclaimed one is dropped before the scope ends.
#[test]
fn results_may_borrow() {
    struct Touch<'a>(&'a AtomicU64);
    impl Drop for Touch<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    watched(|| {
        let pool = pool(2);
        let drops = AtomicU64::new(0);
        let text = String::from("one two");
        pool.scope(|scope| {
            let first = scope.spawn(|| text.split(' ').next()).unwrap();
            assert_eq!(first.result().unwrap(), Some("one"));
            for _ in 0..50 {
                drop(scope.spawn(|| Touch(&drops)).unwrap());
            }
            let kept = scope.spawn(|| Touch(&drops)).unwrap().result().unwrap();
            drop(kept);
        });
        assert_eq!(drops.load(Ordering::SeqCst), 51);
    });
}

#[test]
fn closures_spawn_closures() {
    watched(|| {
        for workers in 1..=2 {
            let pool = pool(workers);
            let count = AtomicU64::new(0);
            pool.scope(|scope| {
                for _ in 0..10 {
                    let outer = scope.spawn(|| {
                        for _ in 0..10 {
                            let inner = scope.spawn(|| count.fetch_add(1, Ordering::SeqCst));
                            // The task that spawned them waits for every other one.
                            if count.load(Ordering::SeqCst).is_multiple_of(2) {
                                inner.unwrap().result().unwrap();
                            }
                        }
                    });
                    drop(outer.unwrap());
                }
            });
            assert_eq!(count.into_inner(), 100);
        }
    });
}

#[test]
fn a_scope_waits_for_unclaimed_closures() {
    watched(|| {
        let pool = pool(1);
        let gate = occupy(&pool, 1);
        let ran = Counter::default();
        thread::scope(|threads| {
            let (pool, ran) = (&pool, &ran);
            let inside = Gate::new();
            let pass = inside.pass();
            let scoped = threads.spawn(move || {
                pool.scope(|scope| {
                    for _ in 0..5 {
                        drop(scope.spawn(|| ran.add()).unwrap());
                    }
                    pass.arrive();
                });
                ran.get()
            });
            inside.wait_arrivals(1);
            assert_eq!(ran.get(), 0);
            gate.open();
            assert_eq!(scoped.join().unwrap(), 5);
        });
    });
}

#[test]
fn a_panic_of_the_body_waits_for_all() {
    watched(|| {
        let pool = pool(2);
        let ran = AtomicU64::new(0);
        let payload = caught(|| {
            pool.scope(|scope| {
                for _ in 0..20 {
                    drop(scope.spawn(|| ran.fetch_add(1, Ordering::SeqCst)).unwrap());
                }
                drop(scope.spawn(|| panic!("a task of it, on purpose")).unwrap());
                panic!("the body, on purpose");
            })
        });
        assert_eq!(payload.downcast_ref(), Some(&"the body, on purpose"));
        assert_eq!(ran.into_inner(), 20);
    });
}

#[test]
fn a_claimed_panic_is_an_error() {
    watched(|| {
        let pool = pool(1);
        let error = pool.scope(|scope| scope.spawn(|| panic!("asked for, on purpose")).unwrap().result().unwrap_err());
        let TaskError::Panicked(panic) = error else { panic!("{error}") };
        assert_eq!(panic.message(), "asked for, on purpose");
    });
}

#[test]
fn an_unclaimed_panic_goes_on() {
    watched(|| {
        let pool = pool(1);
        let ran = AtomicU64::new(0);
        let payload = caught(|| {
            pool.scope(|scope| {
                drop(scope.spawn(|| panic_any(OnPurpose)).unwrap());
                drop(scope.spawn(|| ran.fetch_add(1, Ordering::SeqCst)).unwrap());
            });
        });
        assert!(payload.is::<OnPurpose>());
        assert_eq!(ran.into_inner(), 1);
        assert_eq!(pool.spawn(|| 1).unwrap().result().unwrap(), 1);
    });
}

/// Of several panics one goes on; the others' payloads are dropped, even if that panics.
#[test]
fn of_several_panics_one_goes_on() {
    watched(|| {
        let pool = pool(1);
        let payload = caught(|| {
            pool.scope(|scope| {
                for number in 0..5 {
                    drop(scope.spawn(move || panic!("number {number}, on purpose")).unwrap());
                }
            });
        });
        assert_eq!(payload.downcast_ref::<String>().unwrap(), "number 0, on purpose");
    });
}

/// A payload whose destructor panics must not make the scope return while a task still borrows.
#[test]
fn payloads_with_a_bad_destructor_cut_no_wait_short() {
    watched(|| {
        let pool = pool(1);
        let (drops, ran) = (Counter::default(), AtomicU64::new(0));
        let count = &drops;
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.scope(|scope| {
                for _ in 0..3 {
                    drop(scope.spawn(move || panic_any(PanicOnDrop(count.clone()))).unwrap());
                }
                for _ in 0..20 {
                    drop(scope.spawn(|| ran.fetch_add(1, Ordering::SeqCst)).unwrap());
                }
            });
        }));
        assert_eq!(ran.load(Ordering::SeqCst), 20, "the scope returned before its tasks were over");
        let _ = catch_unwind(AssertUnwindSafe(|| drop(result)));
        assert_eq!(pool.spawn(|| 1).unwrap().result().unwrap(), 1);
    });
}

#[test]
fn a_task_may_open_a_scope_on_its_own_worker() {
    watched(|| {
        let pool = Arc::new(pool(1));
        let own = pool.clone();
        step("a scope inside the only worker");
        let sum = pool.spawn(move || {
            let numbers = [1_u64, 2, 3, 4];
            own.scope(|scope| {
                let (left, right) = numbers.split_at(2);
                let left = scope.spawn(|| left.iter().sum::<u64>()).unwrap();
                // Nobody claims this one; the end of the scope runs it.
                drop(scope.spawn(|| right.len()).unwrap());
                own.scope(|inner| {
                    let right = inner.spawn(|| right.iter().sum::<u64>()).unwrap();
                    right.result().unwrap() + left.result().unwrap()
                })
            })
        });
        assert_eq!(sum.unwrap().result().unwrap(), 10);
    });
}

/// Divide and conquer on one worker and a small stack: each level is a scope inside a task.
#[test]
fn scopes_nest_on_one_worker() {
    fn sum(pool: &ThreadPoolExecutor, numbers: &[u64]) -> u64 {
        if let [number] = numbers {
            return *number;
        }
        let (left, right) = numbers.split_at(numbers.len() / 2);
        pool.scope(|scope| {
            let left = scope.spawn(|| sum(pool, left)).unwrap();
            sum(pool, right) + left.result().unwrap()
        })
    }
    watched(|| {
        for workers in 1..=3 {
            let pool = ThreadPoolExecutor::builder().workers(workers).stack_size(256 * 1024).build().unwrap();
            let numbers: Vec<u64> = (0..2000).collect();
            assert_eq!(sum(&pool, &numbers), 1_999_000);
        }
    });
}

#[test]
fn a_cancelled_closure_does_not_run() {
    watched(|| {
        let pool = pool(1);
        let gate = occupy(&pool, 1);
        let ran = AtomicU64::new(0);
        let text = pool.scope(|scope| {
            let held = PanicOnDrop(Counter::default());
            let cancelled = scope.spawn(|| ran.fetch_add(1, Ordering::SeqCst)).unwrap();
            let dropped = scope.spawn(move || drop(held)).unwrap();
            assert!(cancelled.cancel() && cancelled.is_done() && dropped.cancel());
            drop(dropped);
            gate.open();
            cancelled.result().unwrap_err().to_string()
        });
        assert!(text.contains("cancelled"), "{text}");
        assert_eq!(ran.into_inner(), 0);
    });
}

/// A shutdown cancels from outside of the scope's own code. The scope returns all the same.
#[test]
fn a_shutdown_may_cancel_closures() {
    watched(|| {
        let pool = pool(1);
        let gate = occupy(&pool, 1);
        let ran = AtomicU64::new(0);
        pool.scope(|scope| {
            let futures: Vec<_> = (0..5).map(|_| scope.spawn(|| ran.fetch_add(1, Ordering::SeqCst)).unwrap()).collect();
            pool.shutdown(Shutdown::no_wait().cancel_futures());
            gate.open();
            assert!(futures.into_iter().all(|future| future.result().unwrap_err().is_cancelled()));
        });
        assert_eq!(ran.into_inner(), 0);
    });
}

#[test]
fn a_pool_that_was_shut_down_refuses_closures() {
    watched(|| {
        let pool = pool(1);
        pool.shutdown(Shutdown::wait());
        let text = String::from("borrowed");
        let refused = pool.scope(|scope| scope.spawn(|| text.len()).map(drop));
        assert!(matches!(refused, Err(SubmitError::ShutDown)));
        assert_eq!(pool.scope(|_| text.len()), 8);
    });
}

/// The body waits for capacity like any submitter; a task of the scope may queue over the bound.
#[test]
fn a_bounded_queue_lets_all_closures_in() {
    watched(|| {
        let pool = ThreadPoolExecutor::builder().workers(1).queue_capacity(1).build().unwrap();
        let count = AtomicU64::new(0);
        pool.scope(|scope| {
            for _ in 0..50 {
                let outer = scope.spawn(|| {
                    for _ in 0..3 {
                        drop(scope.spawn(|| count.fetch_add(1, Ordering::SeqCst)).unwrap());
                    }
                });
                drop(outer.unwrap());
            }
        });
        assert_eq!(count.into_inner(), 150);
    });
}

/// Another task of the scope claims a handle while the scope is being joined.
#[test]
fn handles_may_travel_to_other_closures() {
    watched(|| {
        for workers in 1..=2 {
            let pool = pool(workers);
            for round in 0..200 {
                let sum = AtomicU64::new(0);
                pool.scope(|scope| {
                    let first = scope.spawn(move || round).unwrap();
                    drop(scope.spawn(|| sum.fetch_add(first.result().unwrap(), Ordering::SeqCst)).unwrap());
                });
                assert_eq!(sum.into_inner(), round);
            }
        }
    });
}

/// The same for a closure that panics: its panic is reported, as an error or as a panic of the scope.
#[test]
fn a_panic_of_a_travelling_handle_is_not_lost() {
    watched(|| {
        let pool = pool(2);
        for _ in 0..200 {
            let asked = Counter::default();
            let count = &asked;
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.scope(|scope| {
                    let first = scope.spawn(|| panic!("a handle that travels, on purpose")).unwrap();
                    let second = scope.spawn(move || {
                        if first.result().unwrap_err().is_panic() {
                            count.add();
                        }
                    });
                    drop(second.unwrap());
                });
            }));
            assert!(asked.get() == 1 || result.is_err(), "the panic got lost");
        }
    });
}
