//! E7, F23, F25: a panic costs the task it happens in, and nothing else.

use crate::support::{Counter, Gate, occupy, pool};
use crate::watchdog::{step, watched};
use executor_conformance::OnPurpose;
use executor_core::{ExecutorExt, TaskError};
use futures::task::noop_waker;
use std::future::Future as _;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use thread_executor::ThreadPoolExecutor;

/// Asserts that the pool runs tasks as before, on the one thread it had.
fn assert_works(pool: &ThreadPoolExecutor) {
    step("a task after the panic");
    assert_eq!(pool.spawn(|| 1).unwrap().result().unwrap(), 1);
    assert_eq!(pool.stats().workers, 1);
    assert_eq!(pool.stats().running, 0);
}

#[test]
fn e7_a_panic_fails_only_its_task() {
    watched(|| {
        let pool = pool(1);
        for number in 0..50 {
            let future = pool.spawn(move || panic!("number {number}, on purpose")).unwrap();
            let Err(TaskError::Panicked(panic)) = future.result() else { panic!("no panic came") };
            assert_eq!(panic.message(), format!("number {number}, on purpose"));
            assert!(panic.info().to_string().contains(file!()));
        }
        let portable =
            pool.submit(|text: String| -> u32 { panic!("{text}, on purpose") }, "a text".to_owned()).unwrap();
        assert!(portable.result().unwrap_err().is_panic());
        assert_works(&pool);
        assert_eq!(pool.stats().failed, 51);
    });
}

#[test]
fn e7_the_payload_is_the_tasks_own() {
    watched(|| {
        let pool = pool(1);
        let future = pool.spawn(|| panic_any(vec![1, 2, 3])).unwrap();
        let Err(TaskError::Panicked(panic)) = future.result() else { panic!("no panic came") };
        assert_eq!(panic.into_payload().downcast_ref(), Some(&vec![1, 2, 3]));
        let future = pool.spawn(|| panic_any(OnPurpose)).unwrap();
        let Err(TaskError::Panicked(panic)) = future.result() else { panic!("no panic came") };
        let resumed = catch_unwind(AssertUnwindSafe(|| panic.resume()));
        assert!(resumed.unwrap_err().is::<OnPurpose>());
        assert_works(&pool);
    });
}

/// Neighbours that run, that are waited for, and that are in a set.
#[test]
fn e7_neighbours_are_spared() {
    watched(|| {
        let pool = pool(2);
        let gate = occupy(&pool, 2);
        let futures: Vec<_> = (0..100)
            .map(|number| {
                let task = move || {
                    assert!(number % 3 != 0, "every third, on purpose");
                    number
                };
                pool.spawn(task).unwrap()
            })
            .collect();
        gate.open();
        for (number, future) in futures.into_iter().enumerate() {
            match future.result() {
                Ok(value) => assert_eq!(value, number),
                Err(error) => assert!(error.is_panic() && number % 3 == 0),
            }
        }
        // The two tasks that held the workers end by themselves.
        crate::support::until("all are over", || pool.stats().completed == 66 + 2);
        assert_eq!(pool.stats().failed, 34);
    });
}

#[test]
fn f23_a_panicking_callback_harms_no_other() {
    watched(|| {
        let pool = pool(1);
        let gate = Gate::new();
        let pass = gate.pass();
        let future = pool.spawn(move || pass.go()).unwrap();
        let called = Counter::default();
        for number in 0..6 {
            let count = called.clone();
            future.add_done_callback(move |_| {
                count.add();
                if number % 2 == 0 {
                    panic_any(OnPurpose);
                }
            });
        }
        gate.open();
        future.result().unwrap();
        assert_eq!(called.get(), 6);
        // A callback that is added late runs here, and is as harmless.
        let late = pool.spawn(|| ()).unwrap();
        late.wait();
        late.add_done_callback(|_| panic!("a late callback, on purpose"));
        late.result().unwrap();
        assert_works(&pool);
        assert_eq!(pool.stats().failed, 0, "the task itself did not fail");
    });
}

/// The callback runs in the thread that cancels, and its panic is contained there, too.
#[test]
fn f23_a_panicking_callback_is_contained_in_cancel() {
    watched(|| {
        let pool = pool(1);
        let gate = occupy(&pool, 1);
        let future = pool.spawn(|| ()).unwrap();
        future.add_done_callback(|_| panic!("a callback of a cancel, on purpose"));
        assert!(future.cancel());
        gate.open();
        assert_works(&pool);
    });
}

struct PanickingWaker(Counter);

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        self.0.add();
        panic!("a waker, on purpose");
    }
}

#[test]
fn a_panicking_waker_is_contained() {
    watched(|| {
        let pool = pool(1);
        for _ in 0..20 {
            let gate = Gate::new();
            let (pass, woken) = (gate.pass(), Counter::default());
            let mut future = pin!(pool.spawn(move || pass.go()).unwrap());
            let waker = Waker::from(Arc::new(PanickingWaker(woken.clone())));
            assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            gate.open();
            assert_works(&pool);
            assert_eq!(woken.get(), 1);
            assert!(matches!(future.as_mut().poll(&mut Context::from_waker(&noop_waker())), Poll::Ready(Ok(()))));
        }
    });
}

/// A waker that waits for capacity, or for the end of the pool.
#[test]
fn a_panicking_waker_of_the_pool_is_contained() {
    use executor_core::{Executor, Shutdown};
    watched(|| {
        let pool = ThreadPoolExecutor::builder().workers(1).queue_capacity(1).build().unwrap();
        let gate = occupy(&pool, 1);
        let queued = pool.spawn(|| ()).unwrap();
        let (woken, other) = (Counter::default(), Counter::default());
        struct Counting(Counter);
        impl Wake for Counting {
            fn wake(self: Arc<Self>) {
                self.0.add();
            }
        }
        let bad = Waker::from(Arc::new(PanickingWaker(woken.clone())));
        let good = Waker::from(Arc::new(Counting(other.clone())));
        for waker in [&bad, &good] {
            assert!(pool.poll_ready(&mut Context::from_waker(waker)).is_pending());
        }
        gate.open();
        queued.result().unwrap();
        // Both are woken before the task whose start freed the permit ends.
        assert_eq!((woken.get(), other.get()), (1, 1));
        assert_works(&pool);

        let gate = occupy(&pool, 1);
        for waker in [&bad, &good] {
            assert!(pool.poll_shutdown(Shutdown::wait(), &mut Context::from_waker(waker)).is_pending());
        }
        gate.open();
        pool.shutdown(Shutdown::wait());
        crate::support::until("the second waker was woken as well", || other.get() == 2);
        assert_eq!(woken.get(), 2);
    });
}

/// Many panics at once, from several threads, and no handle is left to ask for them.
#[test]
fn e7_many_detached_panics_cost_no_worker() {
    watched(|| {
        let pool = pool(2);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        drop(pool.spawn(|| panic_any(OnPurpose)).unwrap());
                    }
                });
            }
        });
        crate::support::until("all have failed", || pool.stats().failed == 600);
        assert_eq!(pool.spawn(|| 1).unwrap().result().unwrap(), 1);
    });
}
