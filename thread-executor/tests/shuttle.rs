//! Random schedules of whole pools: submit, wait, cancel, panic, retire, shut down, in all orders.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test --release -p concurrent-futures-threads --features shuttle --test shuttle`
//!
//! What must hold in each: every future resolves, every closure runs or is dropped exactly once, every value is dropped
//! exactly once. A schedule in which a thread waits for ever is a deadlock, which shuttle reports.

#![cfg(shuttle)]

use executor_core::{
    Executor, ExecutorExt, Future, MapOptions, ReturnWhen, Shutdown, SubmitError, TaskError, as_completed, wait,
};
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread;
use std::time::Duration;
use thread_executor::ThreadPoolExecutor;

/// Random schedules of each scenario, and as many again that prefer few, badly placed switches.
const SCHEDULES: usize = 10_000;

fn check(scenario: fn()) {
    shuttle::check_random(scenario, SCHEDULES);
    shuttle::check_pct(scenario, SCHEDULES, 3);
}

/// Counts the lives of what tasks capture and return.
#[derive(Default)]
struct Lives {
    begun: AtomicUsize,
    ended: AtomicUsize,
    runs: AtomicUsize,
}

struct Life(Arc<Lives>);

impl Life {
    fn new(lives: &Arc<Lives>) -> Self {
        lives.begun.fetch_add(1, Ordering::SeqCst);
        Self(lives.clone())
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl Lives {
    fn assert_all_ended(&self) {
        assert_eq!(self.begun.load(Ordering::SeqCst), self.ended.load(Ordering::SeqCst));
    }
}

/// A task that captures one life and returns another.
fn spawn_life(pool: &ThreadPoolExecutor, lives: &Arc<Lives>) -> Result<Future<Life>, SubmitError> {
    let captured = Life::new(lives);
    pool.spawn(move || {
        captured.0.runs.fetch_add(1, Ordering::SeqCst);
        Life::new(&captured.0)
    })
}

fn pool(workers: usize) -> ThreadPoolExecutor {
    ThreadPoolExecutor::with_workers(workers).unwrap()
}

/// A panic that the panic hook does not print, thousands of times over.
fn quiet_panic() -> ! {
    std::panic::resume_unwind(Box::new("on purpose"))
}

#[test]
fn two_submitters_on_two_workers_get_their_results() {
    check(|| {
        let pool = Arc::new(pool(2));
        let other = {
            let pool = pool.clone();
            thread::spawn(move || pool.submit(|n: u32| n + 1, 1).unwrap().result().unwrap())
        };
        let futures = [10_u32, 20, 30].map(|n| pool.submit(|n: u32| n * 2, n).unwrap());
        let results = futures.map(|future| future.result().unwrap());
        assert_eq!((results, other.join().unwrap()), ([20, 40, 60], 2));
    });
}

/// None of the tasks ends before all have begun: one that is left lying is a deadlock.
fn all_at_once(pool: &ThreadPoolExecutor, tasks: usize) {
    for _ in 0..2 {
        let together = Arc::new(shuttle::sync::Barrier::new(tasks));
        let spawn = |_| {
            let together = together.clone();
            pool.spawn(move || {
                together.wait();
            })
            .unwrap()
        };
        let futures: Vec<_> = (0..tasks).map(spawn).collect();
        futures.into_iter().for_each(|future| future.result().unwrap());
    }
}

#[test]
fn as_many_tasks_as_workers_run_at_once() {
    check(|| all_at_once(&pool(3), 3));
    check(|| all_at_once(&pool(4), 4));
}

#[test]
fn as_many_tasks_as_workers_run_at_once_while_workers_retire() {
    check(|| {
        let pool = ThreadPoolExecutor::builder().workers(3).keep_alive(Duration::ZERO).build().unwrap();
        all_at_once(&pool, 3);
    });
}

/// The numbers of `count` tasks in the order in which they began.
fn order_of_begins(pool: ThreadPoolExecutor, count: usize) -> Vec<usize> {
    let begun = Arc::new(shuttle::sync::Mutex::new(Vec::new()));
    for number in 0..count {
        let begun = begun.clone();
        drop(pool.spawn(move || begun.lock().unwrap().push(number)).unwrap());
    }
    drop(pool);
    let begun = begun.lock().unwrap().clone();
    begun
}

#[test]
fn tasks_begin_in_the_order_in_which_they_came() {
    check(|| assert!(order_of_begins(pool(1), 8).into_iter().eq(0..8)));
    // The other two workers may have one older task each in their hands.
    check(|| {
        let begun = order_of_begins(pool(3), 8);
        assert!(begun.iter().enumerate().all(|(place, number)| *number <= place + 2), "{begun:?}");
    });
}

#[test]
fn nested_waits_with_one_worker() {
    fn depth(pool: Arc<ThreadPoolExecutor>, left: u32) -> u32 {
        if left == 0 {
            return 0;
        }
        let inner = pool.clone();
        1 + pool.spawn(move || depth(inner, left - 1)).unwrap().result().unwrap()
    }
    check(|| {
        let pool = Arc::new(pool(1));
        let inner = pool.clone();
        let future = pool.spawn(move || depth(inner, 3)).unwrap();
        assert_eq!(future.result().unwrap(), 3);
    });
}

#[test]
fn tasks_that_wait_for_each_others_children() {
    check(|| {
        let pool = Arc::new(pool(2));
        let parents: Vec<_> = (0..2)
            .map(|_| {
                let inner = pool.clone();
                let parent = move || {
                    let children = [1_u32, 2].map(|n| inner.submit(|n: u32| n, n).unwrap());
                    as_completed(children).map(|child| child.result().unwrap()).sum::<u32>()
                };
                pool.spawn(parent).unwrap()
            })
            .collect();
        assert_eq!(parents.into_iter().map(|parent| parent.result().unwrap()).sum::<u32>(), 6);
    });
}

#[test]
fn cancel_races_with_everything() {
    check(|| {
        let lives = Arc::new(Lives::default());
        let pool = pool(2);
        let futures: Vec<_> = (0..3).map(|_| spawn_life(&pool, &lives).unwrap()).collect();
        let canceller = thread::spawn(move || {
            futures.into_iter().filter_map(|future| (!future.cancel()).then(|| future.result().unwrap())).count()
        });
        let ran = canceller.join().unwrap();
        drop(pool);
        assert_eq!(ran, lives.runs.load(Ordering::SeqCst));
        lives.assert_all_ended();
    });
}

#[test]
fn panics_cost_one_task_each() {
    check(|| {
        let pool = pool(2);
        let bad = [pool.spawn(|| -> u32 { quiet_panic() }).unwrap(), pool.spawn(|| -> u32 { quiet_panic() }).unwrap()];
        let good = pool.submit(|n: u32| n, 7).unwrap();
        assert!(bad.into_iter().all(|future| future.result().unwrap_err().is_panic()));
        assert_eq!(good.result().unwrap(), 7);
    });
}

#[test]
fn submit_races_with_shutdown() {
    check(|| {
        let lives = Arc::new(Lives::default());
        let pool = Arc::new(pool(2));
        let submitter = {
            let (pool, lives) = (pool.clone(), lives.clone());
            thread::spawn(move || {
                let accepted: Vec<_> = (0..3).filter_map(|_| spawn_life(&pool, &lives).ok()).collect();
                accepted.into_iter().map(|future| future.result().unwrap()).count()
            })
        };
        pool.shutdown(if thread_rng().r#gen() { Shutdown::wait() } else { Shutdown::no_wait() });
        let accepted = submitter.join().unwrap();
        pool.shutdown(Shutdown::wait());
        assert_eq!(lives.runs.load(Ordering::SeqCst), accepted);
        lives.assert_all_ended();
    });
}

#[test]
fn cancelling_shutdown_resolves_every_future() {
    check(|| {
        let lives = Arc::new(Lives::default());
        let pool = pool(2);
        let futures: Vec<_> = (0..4).map(|_| spawn_life(&pool, &lives).unwrap()).collect();
        pool.shutdown(Shutdown::wait().cancel_futures());
        let mut ran = 0;
        for future in futures {
            match future.result() {
                Ok(_) => ran += 1,
                Err(error) => assert!(error.is_cancelled()),
            }
        }
        assert_eq!(ran, lives.runs.load(Ordering::SeqCst));
        lives.assert_all_ended();
    });
}

#[test]
fn two_shutdowns_and_a_drop_all_end() {
    check(|| {
        let pool = Arc::new(pool(2));
        let future = pool.submit(|n: u32| n, 7).unwrap();
        let other = {
            let pool = pool.clone();
            thread::spawn(move || pool.shutdown(Shutdown::wait()))
        };
        pool.shutdown(Shutdown::wait());
        assert!(future.is_done());
        drop(pool);
        other.join().unwrap();
    });
}

#[test]
fn shutdown_from_a_task_and_from_a_callback() {
    check(|| {
        let pool = Arc::new(pool(2));
        let inner = pool.clone();
        let first = pool.spawn(move || inner.shutdown(Shutdown::wait())).unwrap();
        let late = pool.submit(|n: u32| n, 7);
        if let Ok(late) = &late {
            let inner = pool.clone();
            late.add_done_callback(move |_| inner.shutdown(Shutdown::wait()));
        }
        first.result().unwrap();
        if let Ok(late) = late {
            assert_eq!(late.result().unwrap(), 7);
        }
    });
}

#[test]
fn a_pool_dropped_by_its_own_worker() {
    check(|| {
        let pool = Arc::new(pool(1));
        let inner = pool.clone();
        let future = pool.spawn(move || drop(inner)).unwrap();
        drop(pool);
        future.result().unwrap();
    });
}

#[test]
fn workers_retire_while_tasks_come() {
    check(|| {
        let pool = ThreadPoolExecutor::builder().workers(2).keep_alive(Duration::ZERO).build().unwrap();
        for n in 0..3_u32 {
            assert_eq!(pool.submit(|n: u32| n, n).unwrap().result().unwrap(), n);
        }
        let futures = [1_u32, 2].map(|n| pool.submit(|n: u32| n, n).unwrap());
        assert_eq!(wait(futures, None, ReturnWhen::AllCompleted).done.len(), 2);
    });
}

#[test]
fn a_bounded_queue_lets_everybody_in_at_last() {
    check(|| {
        let pool = Arc::new(ThreadPoolExecutor::builder().workers(1).queue_capacity(1).build().unwrap());
        let submitters: Vec<_> = (0..2)
            .map(|_| {
                let pool = pool.clone();
                thread::spawn(move || {
                    let futures = [1_u32, 2].map(|n| pool.submit(|n: u32| n, n).unwrap());
                    futures.map(|future| future.result().unwrap())
                })
            })
            .collect();
        for submitter in submitters {
            assert_eq!(submitter.join().unwrap(), [1, 2]);
        }
    });
}

#[test]
fn a_cancel_makes_room() {
    check(|| {
        let pool = Arc::new(ThreadPoolExecutor::builder().workers(1).queue_capacity(1).build().unwrap());
        let first = pool.submit(|n: u32| n, 1).unwrap();
        let other = {
            let pool = pool.clone();
            thread::spawn(move || pool.submit(|n: u32| n, 2).unwrap().result().unwrap())
        };
        let cancelled = first.cancel();
        assert_eq!(other.join().unwrap(), 2);
        assert_eq!(first.result().is_err(), cancelled);
    });
}

#[test]
fn shutdown_releases_those_who_wait_for_room() {
    check(|| {
        let pool = Arc::new(ThreadPoolExecutor::builder().workers(1).queue_capacity(1).build().unwrap());
        let submitter = {
            let pool = pool.clone();
            thread::spawn(move || (0..3_u32).filter_map(|n| pool.submit(|n: u32| n, n).ok()).collect::<Vec<_>>())
        };
        pool.shutdown(Shutdown::no_wait());
        for future in submitter.join().unwrap() {
            future.result().unwrap();
        }
    });
}

#[test]
fn a_failing_initializer_resolves_every_future() {
    check(|| {
        let lives = Arc::new(Lives::default());
        let builder = ThreadPoolExecutor::builder().workers(2).initializer(|| Err("no database"));
        let pool = builder.build().unwrap();
        let futures: Vec<_> = (0..3).filter_map(|_| spawn_life(&pool, &lives).ok()).collect();
        for future in futures {
            assert!(matches!(future.result(), Err(TaskError::Broken(..))));
        }
        assert!(matches!(spawn_life(&pool, &lives), Err(SubmitError::Broken(_))));
        lives.assert_all_ended();
    });
}

#[test]
fn a_map_dropped_midway_leaves_nothing() {
    check(|| {
        let pool = pool(2);
        // An unfair schedule holds back the worker with the first input while the map reads ahead: bounded, it ends.
        let mut map = pool.map_with(MapOptions::new().buffer(4), |n: u32| n * 2, 0_u32..);
        assert_eq!(map.next().unwrap().unwrap(), 0);
        assert_eq!(map.next().unwrap().unwrap(), 2);
    });
}

#[test]
fn random_operations_resolve_every_future() {
    check(|| {
        let mut random = thread_rng();
        let lives = Arc::new(Lives::default());
        let pool = Arc::new(pool(random.gen_range(1..=3)));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (pool, lives) = (pool.clone(), lives.clone());
                thread::spawn(move || act(&pool, &lives))
            })
            .collect();
        act(&pool, &lives);
        if random.gen_bool(0.3) {
            pool.shutdown(Shutdown::no_wait().cancel_futures());
        }
        for thread in threads {
            thread.join().unwrap();
        }
        pool.shutdown(Shutdown::wait());
        lives.assert_all_ended();
    });
}

/// A few random operations of one thread.
fn act(pool: &Arc<ThreadPoolExecutor>, lives: &Arc<Lives>) {
    let mut random = thread_rng();
    let mut held = Vec::new();
    for _ in 0..4 {
        match random.gen_range(0..6) {
            0 | 1 => held.extend(spawn_life(pool, lives)),
            2 => {
                let (inner, lives) = (pool.clone(), lives.clone());
                let parent = move || spawn_life(&inner, &lives).ok().and_then(|child| child.result().ok());
                if let Ok(parent) = pool.spawn(parent) {
                    drop(parent.result());
                }
            }
            3 => drop(held.pop().map(|future: Future<Life>| future.cancel())),
            4 => drop(held.pop().map(Future::result)),
            _ => drop(pool.spawn(|| quiet_panic())),
        }
    }
    drop(as_completed(held).collect::<Vec<_>>());
}
