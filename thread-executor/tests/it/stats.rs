//! `stats()`: exact whenever the pool is quiet.

use crate::support::{Gate, occupy, pool};
use crate::watchdog::{step, watched};
use executor_core::{Executor, ExecutorExt, MapOptions, Shutdown, Stats, TaskOptions};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use thread_executor::ThreadPoolExecutor;

/// Returns workers, idle, queued, running; completed, failed, cancelled.
fn numbers(stats: Stats) -> ([usize; 4], [u64; 3]) {
    ([stats.workers, stats.idle, stats.queued, stats.running], [stats.completed, stats.failed, stats.cancelled])
}

#[test]
fn numbers_are_exact_from_the_first_task_to_the_end() {
    watched(|| {
        let pool = pool(2);
        assert_eq!(numbers(pool.stats()), ([0, 0, 0, 0], [0, 0, 0]));
        let gate = occupy(&pool, 1);
        assert_eq!(numbers(pool.stats()), ([1, 0, 0, 1], [0, 0, 0]));
        let second = occupy(&pool, 1);
        assert_eq!(numbers(pool.stats()), ([2, 0, 0, 2], [0, 0, 0]));
        let futures: Vec<_> = (0..5).map(|number| pool.submit(|n: u64| n, number).unwrap()).collect();
        assert_eq!(numbers(pool.stats()), ([2, 0, 5, 2], [0, 0, 0]));
        assert!(futures[4].cancel() && futures[2].cancel());
        assert!(futures[4].cancel(), "again, which is not counted again");
        assert_eq!(numbers(pool.stats()), ([2, 0, 3, 2], [0, 0, 2]));
        gate.open();
        assert_eq!(futures.into_iter().filter_map(|future| future.result().ok()).sum::<u64>(), 4);
        step("the first worker has nothing more to do");
        crate::support::until("its task is over", || pool.stats().completed == 4);
        assert_eq!(numbers(pool.stats()), ([2, 1, 0, 1], [4, 0, 2]));
        second.open();
        pool.shutdown(Shutdown::wait());
        assert_eq!(numbers(pool.stats()), ([0, 0, 0, 0], [5, 0, 2]));
        assert!(pool.spawn(|| ()).is_err());
        assert_eq!(numbers(pool.stats()), ([0, 0, 0, 0], [5, 0, 2]), "a refused task was never there");
    });
}

#[test]
fn every_kind_of_failure_is_counted() {
    watched(|| {
        let pool = pool(1);
        let gate = occupy(&pool, 1);
        let limited = TaskOptions::new().queue_timeout(Duration::ZERO);
        assert!(pool.spawn_with(limited, || ()).unwrap().result().is_err());
        assert_eq!(numbers(pool.stats()), ([1, 0, 0, 1], [0, 1, 0]));
        gate.open();
        assert!(pool.spawn(|| panic!("a task, on purpose")).unwrap().result().is_err());
        assert_eq!(numbers(pool.stats()), ([1, 1, 0, 0], [1, 2, 0]));
        // The error is the task's value, so the task counts as completed.
        let value = pool.spawn(|| Err::<(), _>("an error")).unwrap();
        assert!(value.result().unwrap().is_err());
        assert_eq!(numbers(pool.stats()), ([1, 1, 0, 0], [2, 2, 0]));
    });
}

/// The numbers are exact as soon as the result is there: no test needs to wait for them.
#[test]
fn numbers_are_exact_when_a_result_is_there() {
    watched(|| {
        let pool = pool(1);
        for number in 1..=2000 {
            pool.spawn(|| ()).unwrap().result().unwrap();
            assert_eq!(numbers(pool.stats()), ([1, 1, 0, 0], [number, 0, 0]));
        }
    });
}

#[test]
fn a_shutdown_that_cancels_counts_each() {
    watched(|| {
        let pool = pool(1);
        let gate = occupy(&pool, 1);
        let futures: Vec<_> = (0..7).map(|_| pool.spawn(|| ()).unwrap()).collect();
        futures[3].cancel();
        pool.shutdown(Shutdown::no_wait().cancel_futures());
        assert_eq!(numbers(pool.stats()), ([1, 0, 0, 1], [0, 0, 7]));
        gate.open();
        pool.shutdown(Shutdown::wait());
        assert_eq!(numbers(pool.stats()), ([0, 0, 0, 0], [1, 0, 7]));
    });
}

/// Work for some milliseconds, and who has done it.
fn work(_: u64) -> Option<String> {
    std::thread::sleep(Duration::from_millis(3));
    std::thread::current().name().map(str::to_owned)
}

/// However many workers share a chunk, and whether its parts are run or cancelled.
#[test]
fn a_shared_chunk_is_one_task() {
    watched(|| {
        let pool = pool(3);
        let options = MapOptions::new().chunk_size(60);
        let workers: BTreeSet<_> = pool.map_with(options, work, 0..120).map(Result::unwrap).collect();
        assert!(workers.len() > 1, "it is shared");
        pool.spawn(|| ()).unwrap().result().unwrap();
        let mut midway = pool.map_with(options, work, 0..120);
        assert!(midway.next().is_some());
        drop(midway);
        pool.shutdown(Shutdown::wait());
        let stats = pool.stats();
        assert_eq!(stats.completed + stats.cancelled, 2 + 1 + 2, "{stats:?}");
        assert_eq!(numbers(stats).0, [0; 4]);
    });
}

/// A worker that runs an awaited task on top of the waiting one is one busy worker with two tasks begun.
#[test]
fn a_worker_with_several_tasks_is_one_busy_worker() {
    watched(|| {
        let pool = Arc::new(pool(2));
        drop(occupy(&pool, 2));
        crate::support::until("both are idle", || pool.stats().completed == 2);
        let gate = Gate::new();
        let (own, pass, top) = (pool.clone(), gate.pass(), Gate::new());
        let blocked = occupy(&pool, 1);
        let arrived = top.pass();
        let outer = pool
            .spawn(move || {
                let inner = own.spawn(move || {
                    arrived.arrive();
                    pass.go();
                });
                inner.unwrap().result().unwrap();
            })
            .unwrap();
        top.wait_arrivals(1);
        blocked.open();
        crate::support::until("one worker is without a task", || pool.stats().completed == 3);
        assert_eq!(numbers(pool.stats()), ([2, 1, 0, 2], [3, 0, 0]));
        gate.open();
        outer.result().unwrap();
        assert_eq!(numbers(pool.stats()), ([2, 2, 0, 0], [5, 0, 0]));
    });
}

/// A callback runs in the worker after its task has ended and before the result is ready.
#[test]
fn a_callback_sees_its_task_counted_as_ended() {
    watched(|| {
        let pool = Arc::new(pool(1));
        let (gate, seen) = (Gate::new(), Arc::new(parking_lot::Mutex::new(None)));
        let (pass, own, slot) = (gate.pass(), pool.clone(), seen.clone());
        let future = pool.spawn(move || pass.go()).unwrap();
        future.add_done_callback(move |_| *slot.lock() = Some(own.stats()));
        gate.open();
        future.result().unwrap();
        let stats = seen.lock().unwrap();
        assert_eq!((stats.completed, stats.running, stats.queued), (1, 0, 0));
    });
}

/// Seen from another thread, no task is counted twice and no number is negative.
#[test]
fn numbers_never_contradict_each_other() {
    watched(|| {
        let pool = pool(2);
        std::thread::scope(|scope| {
            let submitter = scope.spawn(|| {
                for round in 0..2000 {
                    let future = pool.spawn(|| ()).unwrap();
                    if round % 2 == 0 {
                        future.cancel();
                    }
                    future.wait();
                }
            });
            let mut before = pool.stats();
            while !submitter.is_finished() {
                let now = pool.stats();
                assert!(now.completed >= before.completed && now.cancelled >= before.cancelled);
                assert!(now.workers <= 2 && now.idle <= now.workers, "{now:?}");
                before = now;
            }
        });
        let stats = pool.stats();
        assert_eq!(stats.completed + stats.cancelled, 2000);
    });
}

#[test]
fn debug_shows_settings_and_numbers() {
    watched(|| {
        let pool = ThreadPoolExecutor::builder().workers(3).thread_name_prefix("shown").build().unwrap();
        let text = format!("{pool:?}");
        for part in ["ThreadPoolExecutor", "workers: 3", "shown", "queued: 0"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(format!("{:?}", ThreadPoolExecutor::builder().queue_capacity(7)).contains('7'));
    });
}
