//! S9, S10, T10: what happens when the handle of a pool is dropped, wherever that is.

use crate::support::{CountDrop, Counter, Gate, occupy, pool};
use crate::watchdog::{step, watched};
use executor_core::{Executor, ExecutorExt, MapOptions, Shutdown};
use std::sync::Arc;
use std::thread;
use thread_executor::ThreadPoolExecutor;

#[test]
fn s10_a_drop_runs_queued_tasks() {
    watched(|| {
        for workers in 1..=3 {
            let pool = pool(workers);
            let gate = occupy(&pool, workers);
            let ran = Counter::default();
            for _ in 0..200 {
                let ran = ran.clone();
                drop(pool.spawn(move || ran.add()).unwrap());
            }
            gate.open();
            drop(pool);
            assert_eq!(ran.get(), 200);
        }
    });
}

#[test]
fn s9_a_drop_waits_also_when_the_block_panics() {
    watched(|| {
        let ran = Counter::default();
        let count = ran.clone();
        let result = thread::spawn(move || {
            let pool = pool(1);
            for _ in 0..20 {
                let count = count.clone();
                drop(pool.spawn(move || count.add()).unwrap());
            }
            panic!("a block with a pool in it, on purpose");
        })
        .join();
        assert!(result.is_err());
        assert_eq!(ran.get(), 20);
    });
}

/// The last owner is a task: its worker does not wait for itself, and the rest of the queue still runs.
#[test]
fn s18_a_worker_that_drops_its_pool_does_not_wait() {
    watched(|| {
        for workers in 1..=2 {
            let pool = Arc::new(pool(workers));
            let (gate, ran) = (Gate::new(), Counter::default());
            let (own, pass) = (pool.clone(), gate.pass());
            let last = pool
                .spawn(move || {
                    pass.go();
                    drop(own);
                })
                .unwrap();
            gate.wait_arrivals(1);
            let spawn = || {
                let ran = ran.clone();
                pool.spawn(move || ran.add()).unwrap()
            };
            let queued: Vec<_> = (0..20).map(|_| spawn()).collect();
            drop(pool);
            gate.open();
            step("tasks of a pool that its own worker dropped");
            last.result().unwrap();
            queued.iter().for_each(|future| future.wait());
            assert_eq!(ran.get(), 20);
        }
    });
}

/// The pool is dropped in its worker with a result that nobody takes, or with what a task captured.
#[test]
fn s18_a_pool_may_be_a_value_of_its_own_task() {
    watched(|| {
        let pool = Arc::new(pool(1));
        let (gate, gone) = (Gate::new(), Counter::default());
        let (own, pass, last) = (pool.clone(), gate.pass(), CountDrop(gone.clone()));
        let task = move || {
            pass.go();
            (own, last)
        };
        drop(pool.spawn(task).unwrap());
        gate.wait_arrivals(1);
        drop(pool);
        gate.open();
        crate::support::until("the detached result is gone, and the pool with it", || gone.get() == 1);
    });
}

/// The task of another pool may hold the last reference to a pool.
#[test]
fn s10_a_worker_of_another_pool_may_drop_the_pool() {
    watched(|| {
        let (outer, ran) = (pool(1), Counter::default());
        let inner = pool(1);
        let count = ran.clone();
        drop(inner.spawn(move || count.add()).unwrap());
        let over = ran.clone();
        let drained = outer.spawn(move || {
            drop(inner);
            over.get()
        });
        assert_eq!(drained.unwrap().result().unwrap(), 1);
    });
}

#[test]
fn t10_the_pool_ends_after_half_a_map() {
    watched(|| {
        let pool = pool(2);
        let options = MapOptions::new().chunk_size(1).buffer(8);
        let mut map = pool.map_with(options, |n: u64| n, 0..1000);
        for number in 0..10 {
            assert_eq!(map.next().unwrap().unwrap(), number);
        }
        drop(map);
        step("dropping a pool with the rest of a map");
        let stats = pool.stats();
        assert!(stats.completed + stats.cancelled <= 18 + 2, "{stats:?}");
        drop(pool);
    });
}

/// The pool ends under a map that is half read: the map yields what was submitted, then the refusal.
#[test]
fn t10_a_map_shut_down_halfway_yields_what_was_submitted() {
    watched(|| {
        let pool = pool(2);
        let options = MapOptions::new().chunk_size(1).buffer(8);
        let mut map = pool.map_with(options, |n: u64| n, 0..1000);
        assert_eq!(map.next().unwrap().unwrap(), 0);
        pool.shutdown(Shutdown::wait());
        let rest: Vec<_> = map.collect();
        let (last, values) = rest.split_last().unwrap();
        assert!(last.is_err());
        let values: Vec<_> = values.iter().map(|value| *value.as_ref().unwrap()).collect();
        assert_eq!(values, (1..=values.len() as u64).collect::<Vec<_>>());
    });
}

/// Each submitter owns the pool, so the last one drops it. Every accepted task runs.
#[test]
fn s10_a_pool_dropped_by_its_last_submitter_runs_everything() {
    watched(|| {
        let pool = Arc::new(ThreadPoolExecutor::builder().workers(1).queue_capacity(1).build().unwrap());
        let ran = Counter::default();
        let gate = occupy(&pool, 1);
        let submitters: Vec<_> = (0..4)
            .map(|_| {
                let (pool, ran) = (pool.clone(), ran.clone());
                thread::spawn(move || {
                    for _ in 0..5 {
                        let ran = ran.clone();
                        drop(pool.spawn(move || ran.add()).unwrap());
                    }
                })
            })
            .collect();
        crate::support::until("the queue is full", || pool.stats().queued == 1);
        drop(pool);
        gate.open();
        step("four submitters that wait for capacity");
        submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
        assert_eq!(ran.get(), 20);
    });
}

#[test]
fn s10_a_drop_after_any_shutdown_returns() {
    watched(|| {
        let ways = [Shutdown::wait(), Shutdown::no_wait(), Shutdown::no_wait().cancel_futures()];
        for how in ways {
            let pool = pool(1);
            let gate = occupy(&pool, 1);
            let queued = pool.spawn(|| 1).unwrap();
            if how.waits() {
                gate.open();
            }
            pool.shutdown(how);
            gate.open();
            drop(pool);
            // The drop waits only if the shutdown did.
            assert!(!how.waits() || queued.is_done());
            queued.wait();
            assert_eq!(queued.is_cancelled(), how.cancels());
        }
    });
}

/// Futures outlive the pool, and so do callbacks that are added late.
#[test]
fn s10_futures_outlive_the_pool() {
    watched(|| {
        let pool = pool(1);
        let (future, called) = (pool.spawn(|| 9).unwrap(), Counter::default());
        drop(pool);
        let count = called.clone();
        future.add_done_callback(move |_| {
            count.add();
        });
        assert_eq!((called.get(), future.result().unwrap()), (1, 9));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn s10_a_hundred_pools_leave_no_thread() {
    watched(|| {
        let threads = || crate::support::threads_named("hundred");
        for round in 0..100 {
            let builder = ThreadPoolExecutor::builder().workers(3).thread_name_prefix("hundred");
            let pool = builder.queue_capacity(1 + round % 4).build().unwrap();
            let gate = occupy(&pool, round % 4);
            // A listing may miss a thread when another one ends meanwhile, so one look is not enough.
            crate::support::until("each task has a thread", || threads() == round % 4);
            let last = (round % 4 > 0).then(|| pool.spawn(|| 1).unwrap());
            gate.open();
            if round % 2 == 0 {
                pool.shutdown(Shutdown::no_wait());
            }
            drop(pool);
            assert!(last.is_none_or(|last| last.result().unwrap() == 1));
            // A thread that nobody joined, and even a joined one, may still be on the system's list for a moment.
            crate::support::until("the system knows no such thread", || threads() == 0);
        }
    });
}

/// Nor do tasks leave values behind.
#[test]
fn s10_a_hundred_pools_leave_no_value() {
    watched(|| {
        let drops = Counter::default();
        for round in 0..100 {
            let pool = pool(2);
            for number in 0..10 {
                let (capture, result) = (CountDrop(drops.clone()), CountDrop(drops.clone()));
                let future = pool.spawn(move || {
                    drop(capture);
                    result
                });
                if number == round % 10 {
                    future.unwrap().cancel();
                }
            }
        }
        assert_eq!(drops.get(), 2000);
    });
}
