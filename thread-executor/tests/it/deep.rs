//! T8, H32: tasks that wait for tasks of the same worker, so deep that no stack would hold them.

use crate::support::{Counter, pool};
use crate::watchdog::{step, watched};
use executor_core::{Future, wait};
use executor_core::{ReturnWhen, as_completed};
use futures::task::noop_waker;
use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use thread_executor::ThreadPoolExecutor;

const DEPTH: u64 = 20_000;

fn small_stack() -> Arc<ThreadPoolExecutor> {
    let builder = ThreadPoolExecutor::builder().workers(1).thread_name_prefix("deep");
    Arc::new(builder.stack_size(256 * 1024).build().unwrap())
}

fn nest(pool: &Arc<ThreadPoolExecutor>, depth: u64, ask: fn(Future<u64>) -> u64) -> Future<u64> {
    let own = pool.clone();
    pool.spawn(move || if depth == 0 { 0 } else { 1 + ask(nest(&own, depth - 1, ask)) }).unwrap()
}

#[test]
fn t8_twenty_thousand_nested_waits_end() {
    watched(|| {
        let pool = small_stack();
        step("a nest of results");
        assert_eq!(nest(&pool, DEPTH, |future| future.result().unwrap()).result().unwrap(), DEPTH);
        let stats = pool.stats();
        assert_eq!((stats.workers, stats.completed, stats.running), (1, DEPTH + 1, 0));
    });
}

/// Each level runs inside a poll of the level above.
#[test]
fn t8_twenty_thousand_nested_awaits_end() {
    watched(|| {
        let pool = small_stack();
        step("a nest of polls");
        let deep = nest(&pool, DEPTH, |future| {
            let mut future = pin!(future);
            // No other worker could have begun it, so the first poll runs it.
            match future.as_mut().poll(&mut Context::from_waker(&noop_waker())) {
                Poll::Ready(outcome) => outcome.unwrap(),
                Poll::Pending => panic!("the only worker did not run what it awaits"),
            }
        });
        assert_eq!(deep.result().unwrap(), DEPTH);
    });
}

#[test]
fn t8_nested_waits_for_sets_end() {
    watched(|| {
        let pool = small_stack();
        step("a nest of sets");
        let deep = nest(&pool, 2_000, |future| {
            let mut waited = wait([future], None, ReturnWhen::AllCompleted);
            as_completed(waited.done.drain(..)).next().unwrap().result().unwrap()
        });
        assert_eq!(deep.result().unwrap(), 2_000);
    });
}

/// The threads of the deeper levels carry the pool's name, and end with their tasks.
#[cfg(target_os = "linux")]
#[test]
fn t8_fresh_stacks_are_gone_after_the_nest() {
    watched(|| {
        let builder = ThreadPoolExecutor::builder().workers(1).thread_name_prefix("gone");
        let pool = Arc::new(builder.stack_size(256 * 1024).build().unwrap());
        assert_eq!(nest(&pool, 1000, |future| future.result().unwrap()).result().unwrap(), 1000);
        crate::support::until("only the worker is left", || crate::support::threads_named("gone_") == 1);
    });
}

/// A panic at the bottom goes up level by level: it is the outcome of each.
#[test]
fn t8_a_panic_at_the_bottom_fails_every_level() {
    fn nest(pool: &Arc<ThreadPoolExecutor>, depth: u32) -> Future<u32> {
        let own = pool.clone();
        pool.spawn(move || {
            assert!(depth > 0, "the bottom of the nest, on purpose");
            nest(&own, depth - 1).result().unwrap_or(0) + 1
        })
        .unwrap()
    }
    watched(|| {
        let pool = small_stack();
        assert_eq!(nest(&pool, 500).result().unwrap(), 500);
        let stats = pool.stats();
        assert_eq!((stats.completed, stats.failed), (500, 1));
        assert_eq!(pool.spawn(|| 1).unwrap().result().unwrap(), 1);
    });
}

/// Thread-local values stay where they were put, and the threads of one nest do not serve another.
#[test]
fn t8_several_nests_do_not_mix() {
    watched(|| {
        let pool = Arc::new(ThreadPoolExecutor::builder().workers(3).stack_size(256 * 1024).build().unwrap());
        step("three nests on three workers, submitted by six threads");
        thread::scope(|scope| {
            for depth in 0..6 {
                let pool = &pool;
                scope.spawn(move || {
                    let depth = 400 + depth;
                    assert_eq!(nest(pool, depth, |future| future.result().unwrap()).result().unwrap(), depth);
                });
            }
        });
    });
}

/// Breadth and depth: a tree whose every task waits for two.
#[test]
fn t8_a_tree_of_waits_ends() {
    fn fibonacci(pool: &Arc<ThreadPoolExecutor>, n: u32, tasks: &Counter) -> u64 {
        tasks.add();
        if n < 2 {
            return u64::from(n);
        }
        let spawn = |n| {
            let (own, tasks) = (pool.clone(), tasks.clone());
            pool.spawn(move || fibonacci(&own, n, &tasks)).unwrap()
        };
        let (one, two) = (spawn(n - 1), spawn(n - 2));
        two.result().unwrap() + one.result().unwrap()
    }
    watched(|| {
        for workers in 1..=3 {
            let pool = Arc::new(pool(workers));
            let tasks = Counter::default();
            step(format!("fibonacci on {workers} workers"));
            assert_eq!(fibonacci(&pool, 16, &tasks), 987);
            assert_eq!(pool.stats().completed, tasks.get() as u64 - 1);
        }
    });
}

/// A stack too small for even one level costs a thread per level, and does not overflow.
#[test]
fn t8_the_smallest_stack_does_not_overflow() {
    watched(|| {
        let pool = Arc::new(ThreadPoolExecutor::builder().workers(1).stack_size(0).build().unwrap());
        assert_eq!(pool.spawn(|| 5).unwrap().result().unwrap(), 5);
    });
}
