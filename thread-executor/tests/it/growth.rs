//! T1, T4, T6: when a pool starts a thread, and when not.

use crate::support::{Counter, Gate, Pass, occupy, pool, thread_name, until};
use crate::watchdog::{step, watched};
use executor_core::ExecutorExt;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

#[test]
fn t1_no_thread_before_the_first_task() {
    watched(|| {
        let pool = pool(4);
        assert_eq!(pool.stats().workers, 0);
        pool.spawn(|| ()).unwrap().result().unwrap();
        assert_eq!(pool.stats().workers, 1);
    });
}

/// Once a result is there, its worker is free: that worker runs the next task, not a new thread.
#[test]
fn t1_one_task_after_another_needs_one_thread() {
    watched(|| {
        let pool = pool(8);
        for number in 0..20_000_u64 {
            assert_eq!(pool.submit(|n: u64| n + 1, number).unwrap().result().unwrap(), number + 1);
            assert_eq!(pool.stats().workers, 1, "at task {number}");
        }
    });
}

/// The same with a callback, which runs before the result is ready.
#[test]
fn t1_one_task_after_another_with_callbacks_needs_one_thread() {
    watched(|| {
        let pool = pool(8);
        for number in 0..5_000 {
            let future = pool.spawn(|| ()).unwrap();
            future.add_done_callback(|_| ());
            future.result().unwrap();
            assert_eq!(pool.stats().workers, 1, "at task {number}");
        }
    });
}

#[test]
fn t1_idle_workers_are_reused_after_a_burst() {
    watched(|| {
        let pool = pool(8);
        drop(occupy(&pool, 3));
        until("all three are idle", || pool.stats().completed == 3);
        for _ in 0..1000 {
            pool.spawn(|| ()).unwrap().result().unwrap();
        }
        assert_eq!(pool.stats().workers, 3);
    });
}

/// T6 turned round: a burst finds all the workers that there may be, whatever each of them was doing.
#[test]
fn t1_a_burst_starts_one_for_each_task() {
    watched(|| {
        for round in 0..50 {
            let pool = pool(4);
            for _ in 0..round % 3 {
                pool.spawn(|| ()).unwrap().result().unwrap();
            }
            drop(occupy(&pool, 4));
            assert_eq!(pool.stats().workers, 4);
        }
    });
}

#[test]
fn t1_a_burst_of_several_submitters_starts_one_for_each_task() {
    watched(|| {
        for _ in 0..50 {
            let pool = pool(4);
            let (gate, start) = (Gate::new(), Barrier::new(4));
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        start.wait();
                        let pass = gate.pass();
                        drop(pool.spawn(move || pass.go()).unwrap());
                    });
                }
            });
            gate.wait_arrivals(4);
        }
    });
}

/// Tasks that tasks submit start workers, too.
#[test]
fn t1_a_task_that_submits_starts_others() {
    watched(|| {
        let pool = Arc::new(pool(4));
        let gate = Gate::new();
        let (own, pass) = (pool.clone(), gate.pass());
        let outer = pool
            .spawn(move || {
                for _ in 0..3 {
                    let pass = pass.clone();
                    drop(own.spawn(move || pass.go()).unwrap());
                }
                pass.go();
            })
            .unwrap();
        gate.wait_arrivals(4);
        gate.open();
        outer.result().unwrap();
    });
}

#[test]
fn t4_never_more_threads_than_asked() {
    watched(|| {
        const WORKERS: usize = 3;
        let pool = pool(WORKERS);
        let gate = Gate::new();
        let (inside, most) = (Counter::default(), Counter::default());
        let task = || {
            let (pass, inside, most) = (gate.pass(), inside.clone(), most.clone());
            move || {
                if inside.add() >= WORKERS {
                    most.add();
                }
                pass.go();
                thread_name()
            }
        };
        let futures: Vec<_> = (0..15 * WORKERS).map(|_| pool.spawn(task()).unwrap()).collect();
        gate.wait_arrivals(WORKERS);
        let stats = pool.stats();
        assert_eq!((stats.workers, stats.running, stats.queued), (WORKERS, WORKERS, 14 * WORKERS));
        assert_eq!((inside.get(), most.get()), (WORKERS, 0));
        gate.open();
        let mut names: Vec<_> = futures.into_iter().map(|future| future.result().unwrap()).collect();
        names.sort();
        names.dedup();
        assert!(names.len() <= WORKERS, "{names:?}");
    });
}

/// A worker inside a callback is busy: the task that the callback waits for gets another thread.
#[test]
fn t1_a_callback_keeps_its_worker_busy() {
    watched(|| {
        let pool = pool(2);
        let (gate, inside) = (Gate::new(), Gate::new());
        let (pass, arrived) = (gate.pass(), inside.pass());
        let first = pool.spawn(move || pass.go()).unwrap();
        let (done, wait_done) = channel::<()>();
        first.add_done_callback(move |_| {
            arrived.arrive();
            wait_done.recv().unwrap();
        });
        gate.open();
        inside.wait_arrivals(1);
        step("the task that a callback waits for");
        pool.spawn(move || done.send(()).unwrap()).unwrap().result().unwrap();
        first.result().unwrap();
    });
}

/// The same with the other task queued before the callback begins, or at that moment.
#[test]
fn t1_a_callback_that_begins_while_a_task_arrives() {
    watched(|| {
        for round in 0..3000 {
            let pool = pool(2);
            let (gate, (done, wait_done)) = (Gate::new(), channel::<()>());
            let pass = gate.pass();
            let first = pool.spawn(move || pass.go()).unwrap();
            first.add_done_callback(move |_| wait_done.recv().unwrap());
            gate.wait_arrivals(1);
            step(format!("round {round}: a task arrives while the first one ends"));
            gate.open();
            let second = pool.spawn(move || done.send(()).unwrap()).unwrap();
            second.result().unwrap();
            first.result().unwrap();
        }
    });
}

/// A result that nobody wants is dropped in the worker; while its destructor runs, the worker is busy.
#[test]
fn t1_a_destructor_keeps_its_worker_busy() {
    struct PassOnDrop(Pass);
    impl Drop for PassOnDrop {
        fn drop(&mut self) {
            self.0.go();
        }
    }
    watched(|| {
        let pool = pool(2);
        let (gate, destructor) = (Gate::new(), Gate::new());
        let (pass, value) = (gate.pass(), PassOnDrop(destructor.pass()));
        let task = move || {
            pass.go();
            value
        };
        drop(pool.spawn(task).unwrap());
        gate.open();
        destructor.wait_arrivals(1);
        step("a task that arrives while a destructor runs");
        let second = pool.spawn(|| ()).unwrap();
        // If no worker begins it now, this waits until the gate opens, which is never.
        let begun = second.wait_timeout(Duration::from_secs(5));
        destructor.open();
        assert!(begun, "a task waits behind a destructor, although the pool may have another worker");
    });
}
