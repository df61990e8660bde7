//! T8, P24, H32: every way to wait inside a worker for tasks of the same pool, while it runs nothing else.

use crate::support::{Counter, Gate, LONG, pool, thread_name};
use crate::watchdog::{step, watched};
use executor_core::{
    ExecutorExt, Future, MapOptions, Promise, ReturnWhen, SharedFuture, TaskOptions, as_completed, wait,
};
use futures::executor::block_on;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use thread_executor::ThreadPoolExecutor;

/// Runs `outer` as a task of a pool with one worker.
fn inside<R: Send + 'static>(outer: impl FnOnce(&ThreadPoolExecutor) -> R + Send + 'static) -> R {
    let pool = Arc::new(pool(1));
    let own = pool.clone();
    step("a task that waits for its own pool");
    let result = pool.spawn(move || outer(&own)).unwrap().result().unwrap();
    assert_eq!(pool.spawn(|| "still works").unwrap().result().unwrap(), "still works");
    result
}

fn some(pool: &ThreadPoolExecutor) -> Vec<Future<u32>> {
    (0..5).map(|number| pool.spawn(move || number).unwrap()).collect()
}

#[test]
fn t8_a_worker_may_wait_for_results() {
    watched(|| {
        inside(|pool| {
            assert_eq!(pool.spawn(|| 1).unwrap().result().unwrap(), 1);
            let Ok(outcome) = pool.spawn(|| 2).unwrap().result_timeout(LONG) else { panic!("not done") };
            assert_eq!(outcome.unwrap(), 2);
            let future = pool.spawn(|| 3).unwrap();
            assert!(future.wait_timeout(LONG));
            assert!(future.exception_timeout(Duration::ZERO).unwrap().is_none());
            let failed = pool.spawn(|| panic!("inside a task, on purpose")).unwrap();
            assert!(failed.exception().unwrap().is_panic());
            let shared: SharedFuture<_> = pool.spawn(|| 4).unwrap().share();
            assert_eq!(*shared.clone().result().unwrap(), 4);
        });
    });
}

/// A limit that passes at once runs nothing; any other lets the worker help.
#[test]
fn t8_a_wait_with_a_limit_runs_the_awaited_task() {
    watched(|| {
        inside(|pool| {
            let future = pool.spawn(thread_name).unwrap();
            assert!(!future.wait_timeout(Duration::ZERO));
            let Err(future) = future.result_timeout(Duration::ZERO) else { panic!("nobody could run it") };
            assert!(future.wait_timeout(Duration::from_nanos(1)), "the worker itself runs it");
            assert_eq!(future.result().unwrap(), thread_name());
        });
    });
}

/// A limit also passes inside a worker if another worker runs the awaited task.
#[test]
fn t8_a_limit_passes_inside_a_worker() {
    watched(|| {
        let pool = Arc::new(pool(2));
        let gate = Gate::new();
        let pass = gate.pass();
        let held = pool.spawn(move || pass.go()).unwrap();
        gate.wait_arrivals(1);
        let held = pool.spawn(move || held.result_timeout(Duration::from_millis(1)).unwrap_err()).unwrap();
        let held = held.result().unwrap();
        gate.open();
        held.result().unwrap();
    });
}

#[test]
fn t8_a_worker_may_wait_for_sets() {
    watched(|| {
        inside(|pool| {
            let all = wait(some(pool), None, ReturnWhen::AllCompleted);
            assert_eq!((all.done.len(), all.not_done.len()), (5, 0));
            let first = wait(some(pool), Some(LONG), ReturnWhen::FirstCompleted);
            assert!(!first.done.is_empty());
            drop(first);
            let mut numbers: Vec<_> = as_completed(some(pool)).map(|future| future.result().unwrap()).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, [0, 1, 2, 3, 4]);
            let failing = vec![pool.spawn(|| ()).unwrap(), pool.spawn(|| panic!("one of a set, on purpose")).unwrap()];
            let failed = wait(failing, None, ReturnWhen::FirstException);
            assert!(failed.done.iter().any(|future| future.exception().is_some()));
        });
    });
}

#[test]
fn t8_a_worker_may_await() {
    watched(|| {
        inside(|pool| {
            assert_eq!(block_on(pool.spawn(|| 1).unwrap()).unwrap(), 1);
            let both = block_on(async {
                let (one, two) = (pool.spawn(|| 1).unwrap(), pool.spawn(|| 2).unwrap());
                futures::future::join(two, one).await
            });
            assert_eq!((both.0.unwrap(), both.1.unwrap()), (2, 1));
            let shared = pool.spawn(|| 3).unwrap().share();
            assert_eq!(*block_on(shared).result().unwrap(), 3);
            let stream = as_completed(some(pool)).into_stream();
            assert_eq!(block_on(futures::StreamExt::count(stream)), 5);
        });
    });
}

#[test]
fn t8_a_worker_may_map() {
    watched(|| {
        inside(|pool| {
            let doubled: Vec<u64> = pool.map(|n: u64| 2 * n, 0..1000).map(Result::unwrap).collect();
            assert_eq!(doubled, (0..1000).map(|n| 2 * n).collect::<Vec<u64>>());
            let options = || MapOptions::new().buffer(3).chunk_size(1);
            let sum: u64 = pool.map_with(options().unordered(), |n: u64| n, 0..100).map(Result::unwrap).sum();
            assert_eq!(sum, 4950);
            let stream = pool.map_with(options(), |n: u64| n, 0..100).into_stream();
            assert_eq!(block_on(futures::StreamExt::count(stream)), 100);
            // Dropped half read.
            assert_eq!(pool.map(|n: u64| n, 0..10).take(3).count(), 3);
        });
    });
}

/// A callback that waits does so in a worker, too.
#[test]
fn t8_a_callback_may_wait() {
    watched(|| {
        let pool = Arc::new(pool(1));
        let (gate, got) = (Gate::new(), Arc::new(Mutex::new(None)));
        let (pass, own, slot) = (gate.pass(), pool.clone(), got.clone());
        let first = pool.spawn(move || pass.go()).unwrap();
        let second = pool.spawn(|| 2).unwrap();
        first.add_done_callback(move |_| {
            let third = own.spawn(|| 3).unwrap();
            *slot.lock() = Some((second.result().unwrap(), third.result().unwrap()));
        });
        gate.open();
        first.result().unwrap();
        assert_eq!(*got.lock(), Some((2, 3)));
    });
}

/// A task holds a lock and waits for its own task, while another task that wants the lock is first in the queue. A worker
/// that ran any task while it waits would wait for itself.
#[test]
fn t8_no_unrelated_work_while_waiting() {
    type Wait = fn(&ThreadPoolExecutor, Future<u32>) -> u32;
    let ways: [(&str, Wait); 5] = [
        ("result", |_, future| future.result().unwrap()),
        ("await", |_, future| block_on(future).unwrap()),
        ("wait", |_, future| wait([future], None, ReturnWhen::AllCompleted).done.pop().unwrap().result().unwrap()),
        ("as_completed", |_, future| as_completed([future]).next().unwrap().result().unwrap()),
        ("map", |pool, future| {
            assert_eq!(pool.map(|n: u32| n, [1, 2, 3]).map(Result::unwrap).sum::<u32>(), 6);
            future.result().unwrap()
        }),
    ];
    watched(|| {
        for (name, wait) in ways {
            let pool = Arc::new(pool(1));
            let (lock, ran) = (Arc::new(Mutex::new(())), Counter::default());
            let (own, outer_lock, other_lock, order) = (pool.clone(), lock.clone(), lock.clone(), ran.clone());
            let gate = Gate::new();
            let pass = gate.pass();
            let outer = pool
                .spawn(move || {
                    let held = outer_lock.lock();
                    pass.go();
                    let number = wait(&own, own.spawn(|| 7).unwrap());
                    assert_eq!(order.get(), 0, "unrelated work ran meanwhile");
                    drop(held);
                    number
                })
                .unwrap();
            gate.wait_arrivals(1);
            let unrelated = pool
                .spawn(move || {
                    drop(other_lock.lock());
                    ran.add();
                })
                .unwrap();
            gate.open();
            step(format!("{name} under a lock that a queued task wants"));
            assert_eq!(outer.result().unwrap(), 7);
            unrelated.result().unwrap();
        }
    });
}

/// Waiting for a future of another origin is a plain wait: the worker runs no task meanwhile.
#[test]
fn t8_other_futures_are_only_waited_for() {
    watched(|| {
        let (one, other) = (Arc::new(pool(1)), pool(1));
        let gate = Gate::new();
        let pass = gate.pass();
        let (promise, future) = Promise::<u32>::new();
        let foreign = other.spawn(thread_name).unwrap();
        let own = one.clone();
        let waiting = one
            .spawn(move || {
                pass.arrive();
                (foreign.result().unwrap(), future.result().unwrap(), thread_name(), own.stats().workers)
            })
            .unwrap();
        gate.wait_arrivals(1);
        let queued = one.spawn(|| 1).unwrap();
        assert!(!queued.is_done(), "the only worker waits");
        promise.set_result(5).unwrap();
        let (foreign, number, here, workers) = waiting.result().unwrap();
        assert_ne!(foreign, here);
        assert_eq!((number, workers), (5, 1));
        queued.result().unwrap();
    });
}

/// The awaited task may be cancelled or expire before the worker comes to it.
#[test]
fn t8_awaited_tasks_may_be_cancelled_or_expire() {
    watched(|| {
        inside(|pool| {
            let cancelled = pool.spawn(|| ()).unwrap();
            assert!(cancelled.cancel());
            assert!(cancelled.result().unwrap_err().is_cancelled());
            let ran = Counter::default();
            let count = ran.clone();
            let options = TaskOptions::new().queue_timeout(Duration::ZERO);
            let late = pool.spawn_with(options, move || count.add()).unwrap();
            while !late.is_done() {
                std::thread::yield_now();
            }
            assert!(late.result().unwrap_err().is_timed_out());
            assert_eq!(ran.get(), 0);
        });
    });
}

/// Waits that go from one pool to another and never back come to an end, however few workers there are.
#[test]
fn t8_waits_in_one_direction_between_pools_end() {
    watched(|| {
        let (front, back) = (pool(1), Arc::new(pool(1)));
        let ask = |number: u64| {
            let back = back.clone();
            front.spawn(move || {
                let own = back.clone();
                let inner = back.spawn(move || own.spawn(move || number).unwrap().result().unwrap() + 1);
                inner.unwrap().result().unwrap() + 1
            })
        };
        let futures: Vec<_> = (0..100).map(|number| ask(number).unwrap()).collect();
        step("a hundred tasks of one pool that wait for tasks of another");
        for (number, future) in (0..).zip(futures) {
            assert_eq!(future.result().unwrap(), number + 2);
        }
    });
}

/// A circle of waits through two pools is not detected, but ends at a wait with a limit; then the queued tasks run.
#[test]
fn t8_a_limit_ends_a_circle_through_two_pools() {
    watched(|| {
        let (here, there) = (Arc::new(pool(1)), Arc::new(pool(1)));
        let (own, other) = (here.clone(), there.clone());
        let circle = here.spawn(move || {
            let back = own.clone();
            let middle = other.spawn(move || {
                let queued = back.spawn(|| 7).unwrap();
                // The only worker of that pool waits for this very task.
                (queued.wait_timeout(Duration::from_millis(10)), queued)
            });
            middle.unwrap().result().unwrap()
        });
        step("a circle through two pools of one worker each");
        let (in_time, queued) = circle.unwrap().result().unwrap();
        assert!(!in_time);
        assert_eq!(queued.result().unwrap(), 7);
    });
}
