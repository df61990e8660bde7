//! Model checks of the future's cell, the completion set and the queue: every interleaving of two or three threads.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p concurrent-futures-core --features loom --test loom`

#![cfg(loom)]

#[path = "loom/queue.rs"]
mod queue;

use executor_core::task::{Claimed, Dequeued, InlineWorker, Owner, Task, TaskOwner, with_worker};
use executor_core::{Future, Promise, ReturnWhen, TaskError, as_completed, wait};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

/// A value that counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counter() -> Arc<AtomicUsize> {
    Arc::new(AtomicUsize::new(0))
}

/// Runs a task as a worker would.
fn run(task: Task) -> bool {
    task.run(&|| {}, &|_| {})
}

/// Blocks a loom thread on a future.
fn block_on<F: std::future::Future + Unpin>(mut future: F) -> F::Output {
    struct Flag(loom::sync::Mutex<bool>, loom::sync::Condvar);
    struct Wakes(Arc<Flag>);
    impl Wake for Wakes {
        fn wake(self: std::sync::Arc<Self>) {
            *self.0.0.lock().unwrap() = true;
            self.0.1.notify_all();
        }
    }
    let flag = Arc::new(Flag(loom::sync::Mutex::new(false), loom::sync::Condvar::new()));
    let waker = Waker::from(std::sync::Arc::new(Wakes(flag.clone())));
    loop {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut woken = flag.0.lock().unwrap();
        while !*woken {
            woken = flag.1.wait(woken).unwrap();
        }
        *woken = false;
    }
}

#[test]
fn a_result_waits_for_a_finish_at_any_time() {
    loom::model(|| {
        let (promise, future) = Promise::new();
        let producer = thread::spawn(move || promise.set_result(7).unwrap());
        assert_eq!(future.result().unwrap(), 7);
        producer.join().unwrap();
    });
}

#[test]
fn a_finish_wakes_two_waiters() {
    loom::model(|| {
        let (task, future) = Task::from_closure(|| 7);
        let future = Arc::new(future);
        let waiter = {
            let future = future.clone();
            thread::spawn(move || future.wait())
        };
        let worker = thread::spawn(move || assert!(run(task)));
        future.wait();
        assert!(future.is_done());
        waiter.join().unwrap();
        worker.join().unwrap();
    });
}

#[test]
fn finish_against_drop_of_the_handle_drops_the_value_once() {
    loom::model(|| {
        let drops = counter();
        let value = Counted(drops.clone());
        let (task, future) = Task::from_closure(move || value);
        let worker = thread::spawn(move || assert!(run(task)));
        drop(future);
        worker.join().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn cancel_against_start_is_exact() {
    loom::model(|| {
        let runs = counter();
        let (task, future) = {
            let runs = runs.clone();
            Task::from_closure(move || runs.fetch_add(1, Ordering::SeqCst))
        };
        let worker = thread::spawn(move || run(task));
        let cancelled = future.cancel();
        let ran = worker.join().unwrap();
        assert_ne!(cancelled, ran);
        assert_eq!(runs.load(Ordering::SeqCst), usize::from(ran));
        assert_eq!(future.result().is_err(), cancelled);
    });
}

#[test]
fn cancel_against_cancel_runs_callbacks_once_and_tells_the_owner_once() {
    struct Pool(AtomicUsize);
    impl TaskOwner for Pool {
        fn task_dequeued(&self, how: Dequeued) -> Vec<Waker> {
            assert_eq!(how, Dequeued::Cancelled);
            self.0.fetch_add(1, Ordering::SeqCst);
            Vec::new()
        }
    }
    loom::model(|| {
        let pool = std::sync::Arc::new(Pool(AtomicUsize::new(0)));
        let owner = Box::new(Owner::new(pool.clone()));
        let (task, future) = Task::from_closure(|| ());
        // SAFETY: the owner is dropped after the task, below.
        assert!(unsafe { task.set_owner(&raw const *owner) });
        let future = Arc::new(future);
        let called = counter();
        future.add_done_callback({
            let called = called.clone();
            move |_| {
                called.fetch_add(1, Ordering::SeqCst);
            }
        });
        let other = {
            let future = future.clone();
            thread::spawn(move || assert!(future.cancel()))
        };
        // The tombstone leaves the queue, and with it the owner goes.
        assert!(future.cancel());
        drop(task);
        drop(owner);
        other.join().unwrap();
        assert!(future.is_cancelled());
        assert_eq!((called.load(Ordering::SeqCst), pool.0.load(Ordering::SeqCst)), (1, 1));
    });
}

#[test]
fn the_owner_outlives_a_cancel_in_another_thread() {
    struct Pool(AtomicUsize);
    impl TaskOwner for Pool {
        fn task_dequeued(&self, _how: Dequeued) -> Vec<Waker> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Vec::new()
        }
    }
    loom::model(|| {
        let owner = Box::new(Owner::new(std::sync::Arc::new(Pool(AtomicUsize::new(0)))));
        let (task, future) = Task::from_closure(|| ());
        // SAFETY: the owner is dropped after the task has left, below.
        assert!(unsafe { task.set_owner(&raw const *owner) });
        let canceller = thread::spawn(move || future.cancel());
        let ran = run(task);
        drop(owner);
        assert_ne!(ran, canceller.join().unwrap());
    });
}

#[test]
fn a_cancel_wakes_a_waiter() {
    loom::model(|| {
        let (task, future) = Task::from_closure(|| ());
        let future = Arc::new(future);
        let canceller = {
            let future = future.clone();
            thread::spawn(move || assert!(future.cancel()))
        };
        assert!(matches!(future.exception(), Some(TaskError::Cancelled(_))));
        canceller.join().unwrap();
        drop(task);
    });
}

#[test]
fn a_dropped_producer_wakes_a_waiter() {
    loom::model(|| {
        let (promise, future) = Promise::<u8>::new();
        let producer = thread::spawn(move || {
            let started = promise.start();
            drop(promise);
            started
        });
        assert!(matches!(future.result(), Err(TaskError::Abandoned(_))));
        assert!(producer.join().unwrap());
    });
}

#[test]
fn callbacks_of_two_threads_run_once_each_around_a_finish() {
    loom::model(|| {
        let (promise, future) = Promise::new();
        let future = Arc::new(future);
        let calls = counter();
        let add = |future: &Future<u8>, calls: &Arc<AtomicUsize>| {
            let calls = calls.clone();
            future.add_done_callback(move |outcome| {
                assert_eq!(*outcome.as_ref().unwrap(), 3);
                calls.fetch_add(1, Ordering::SeqCst);
            });
        };
        let other = {
            let (future, calls) = (future.clone(), calls.clone());
            thread::spawn(move || add(&future, &calls))
        };
        let producer = thread::spawn(move || promise.set_result(3).unwrap());
        add(&future, &calls);
        other.join().unwrap();
        producer.join().unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn late_callbacks_never_share_the_value() {
    loom::model(|| {
        let (promise, future) = Promise::new();
        promise.set_result(loom::cell::Cell::new(0)).unwrap();
        let future = Arc::new(future);
        // A `Cell` is not `Sync`: loom reports it if two callbacks touch it at once.
        let touch = |future: &Future<loom::cell::Cell<u32>>| {
            future.add_done_callback(|outcome| {
                let cell = outcome.as_ref().unwrap();
                cell.set(cell.get() + 1);
            });
        };
        let other = {
            let future = future.clone();
            thread::spawn(move || touch(&future))
        };
        touch(&future);
        other.join().unwrap();
        let future = Arc::try_unwrap(future).unwrap_or_else(|_| unreachable!("the other thread is gone"));
        assert_eq!(future.result().unwrap().get(), 2);
    });
}

#[test]
fn a_callback_that_came_in_time_has_run_when_the_result_is_there() {
    loom::model(|| {
        let (promise, future) = Promise::new();
        let called = counter();
        future.add_done_callback({
            let called = called.clone();
            move |_| called.store(1, Ordering::Relaxed)
        });
        let producer = thread::spawn(move || promise.set_result(1).unwrap());
        future.wait();
        assert_eq!(called.load(Ordering::Relaxed), 1);
        producer.join().unwrap();
    });
}

#[test]
fn an_await_sees_a_finish_at_any_time() {
    loom::model(|| {
        let (promise, future) = Promise::new();
        let producer = thread::spawn(move || promise.set_result(7).unwrap());
        assert_eq!(block_on(future).unwrap(), 7);
        producer.join().unwrap();
    });
}

#[test]
fn a_changed_waker_is_the_one_that_is_woken() {
    loom::model(|| {
        let (promise, mut future) = Promise::new();
        let ready = Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(!ready);
        let producer = thread::spawn(move || promise.set_result(7).unwrap());
        assert_eq!(block_on(&mut future).unwrap(), 7);
        producer.join().unwrap();
    });
}

#[test]
fn a_polled_handle_dropped_against_a_finish() {
    loom::model(|| {
        let drops = counter();
        let (promise, mut future) = Promise::new();
        assert!(Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let value = Counted(drops.clone());
        let producer = thread::spawn(move || promise.set_result(value).is_ok());
        drop(future);
        assert!(producer.join().unwrap());
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn two_clones_of_a_shared_future_are_both_woken() {
    loom::model(|| {
        let (promise, future) = Promise::new();
        let shared = future.share();
        let other = {
            let shared = shared.clone();
            thread::spawn(move || assert_eq!(*block_on(shared).result().unwrap(), 7))
        };
        let producer = thread::spawn(move || promise.set_result(7).unwrap());
        assert_eq!(*block_on(shared).result().unwrap(), 7);
        other.join().unwrap();
        producer.join().unwrap();
    });
}

#[test]
fn a_set_sees_both_completions() {
    loom::model(|| {
        let (first, future) = Promise::new();
        let (second, other) = Promise::new();
        let mut done = as_completed([future, other]);
        let producers = [first, second].map(|promise| thread::spawn(move || promise.set_result(1).unwrap()));
        assert!(done.next().is_some() && done.next().is_some() && done.next().is_none());
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

#[test]
fn a_set_dropped_against_a_completion() {
    loom::model(|| {
        let drops = counter();
        let (promise, future) = Promise::new();
        let set = as_completed([future]);
        let value = Counted(drops.clone());
        let producer = thread::spawn(move || promise.set_result(value).is_ok());
        drop(set);
        assert!(producer.join().unwrap());
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_future_given_back_by_a_set_is_still_awaited_well() {
    loom::model(|| {
        let (promise, future) = Promise::new();
        let set = as_completed([future]);
        let producer = thread::spawn(move || promise.set_result(1).unwrap());
        let future = set.into_rest().pop().unwrap();
        assert_eq!(block_on(future).unwrap(), 1);
        producer.join().unwrap();
    });
}

#[test]
fn a_wait_ends_at_the_first_completion() {
    loom::model(|| {
        let (first, future) = Promise::new();
        let (second, other) = Promise::<u8>::new();
        let producer = thread::spawn(move || first.set_result(1).unwrap());
        let sets = wait([future, other], None, ReturnWhen::FirstCompleted);
        assert_eq!((sets.done.len(), sets.not_done.len()), (1, 1));
        producer.join().unwrap();
        drop(second);
    });
}

#[test]
fn a_waiting_worker_and_another_run_the_task_once() {
    struct Worker(*const Owner);
    impl InlineWorker for Worker {
        fn owner(&self) -> *const Owner {
            self.0
        }
        fn run_inline(&self, task: Claimed<'_>) {
            task.run(&|_| {});
        }
    }
    struct Pool;
    impl TaskOwner for Pool {
        fn task_dequeued(&self, _how: Dequeued) -> Vec<Waker> {
            Vec::new()
        }
    }
    loom::model(|| {
        let owner = Box::new(Owner::new(std::sync::Arc::new(Pool)));
        let runs = counter();
        let (task, future) = {
            let runs = runs.clone();
            Task::from_closure(move || runs.fetch_add(1, Ordering::SeqCst))
        };
        // SAFETY: the owner is dropped last.
        assert!(unsafe { task.set_owner(&raw const *owner) });
        let worker = thread::spawn(move || run(task));
        assert_eq!(with_worker(&Worker(&raw const *owner), || future.result()).unwrap(), 0);
        worker.join().unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        drop(owner);
    });
}

/// An executor elsewhere, as its tasks know it: one word says whether the task waits, has begun, or was recalled.
struct Elsewhere(AtomicUsize);

const WAITS: usize = 0;
const BEGUN: usize = 1;
const RECALLED: usize = 2;

impl Elsewhere {
    fn owner() -> (std::sync::Arc<Self>, Box<Owner>) {
        let elsewhere = std::sync::Arc::new(Self(AtomicUsize::new(WAITS)));
        (elsewhere.clone(), Box::new(Owner::new(elsewhere)))
    }

    fn take(&self, as_what: usize) -> bool {
        self.0.compare_exchange(WAITS, as_what, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl TaskOwner for Elsewhere {
    fn task_dequeued(&self, how: Dequeued) -> Vec<Waker> {
        assert_eq!((how, self.0.load(Ordering::SeqCst)), (Dequeued::Cancelled, RECALLED));
        Vec::new()
    }

    fn revoke(&self, _token: &executor_core::remote::Token) -> bool {
        self.take(RECALLED)
    }

    fn has_begun(&self, _token: &executor_core::remote::Token) -> bool {
        self.0.load(Ordering::SeqCst) == BEGUN
    }
}

#[test]
fn a_cancel_of_a_remote_task_agrees_with_whether_it_begins() {
    loom::model(|| {
        let (elsewhere, owner) = Elsewhere::owner();
        let (task, future) = Task::from_closure(|| ());
        // SAFETY: the owner is dropped after the task, below.
        assert!(unsafe { task.set_remote_owner(&raw const *owner) });
        let canceller = thread::spawn(move || (future.cancel(), future));
        let begun = elsewhere.take(BEGUN);
        // Comes back, and ends; or is a tombstone.
        drop(task);
        drop(owner);
        let (cancelled, future) = canceller.join().unwrap();
        assert_ne!(cancelled, begun);
        assert_eq!(future.is_cancelled(), cancelled);
        let outcome = future.result();
        assert!(matches!(
            (begun, outcome),
            (true, Err(TaskError::Abandoned(_))) | (false, Err(TaskError::Cancelled(_)))
        ));
    });
}

#[test]
fn a_remote_task_is_asked_about_by_two_threads_while_it_comes_back() {
    loom::model(|| {
        let (elsewhere, owner) = Elsewhere::owner();
        let (task, future) = Task::from_closure(|| ());
        // SAFETY: as above.
        assert!(unsafe { task.set_remote_owner(&raw const *owner) });
        let future = Arc::new(future);
        let other = {
            let future = future.clone();
            thread::spawn(move || future.cancel())
        };
        let running = future.is_running();
        let begun = elsewhere.take(BEGUN);
        drop(task);
        drop(owner);
        assert!(!running, "nobody had begun it");
        assert_ne!(other.join().unwrap(), begun);
        assert!(future.is_done());
    });
}
