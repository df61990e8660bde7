//! Futures, maps and executors in async code, on no particular runtime.

use std::future::Future as StdFuture;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use executor_core::{
    AsyncExecutor, AsyncExecutorExt, Executor, ExecutorExt, Future, Promise, ReturnWhen, Shutdown, SubmitError,
    TaskError, as_completed, wait,
};
use futures::executor::block_on;
use futures::future::{join, join_all, select};
use futures::task::{ArcWake, waker};

use super::support::{Counter, assert_cancelled, cancelled, done};
use crate::case::{Case, Needs};
use crate::stage::Stage;
use crate::subject::{Config, Subject};
use crate::{step, tasks};

const BOUNDED: Needs = Needs::CONCURRENT.bounded();

pub(crate) const CASES: &[Case] = &[
    Case::new("async_use.await_a_promise", &["F11"], Needs::ANY, await_a_promise),
    Case::new("async_use.await_what_is_done", &["F8", "F9"], Needs::ANY, await_what_is_done),
    Case::new("async_use.await_a_task", &["E1", "E7"], Needs::ANY, await_a_task),
    Case::new("async_use.await_many", &["W2"], Needs::ANY, await_many),
    Case::new("async_use.wakes_the_newest_waker", &["F11"], Needs::ANY, wakes_the_newest_waker),
    Case::new("async_use.keeps_no_old_waker", &["W14", "A7"], Needs::ANY, keeps_no_old_waker),
    Case::new("async_use.waker_that_panics_is_contained", &["H11"], Needs::ANY, waker_that_panics),
    Case::new("async_use.wakes_by_cancel_and_abandon", &["F12", "H1", "H55"], Needs::ANY, wakes_by_cancel_and_abandon),
    Case::new("async_use.polled_then_read", &["F11"], Needs::ANY, polled_then_read),
    Case::new("async_use.lost_race_leaves_the_task", &["E5"], Needs::CONCURRENT, lost_race_leaves_the_task),
    Case::new("async_use.shared_wakes_every_task", &["F6", "F13"], Needs::ANY, shared),
    Case::new("async_use.cancel_on_drop_cancels_the_task", &[], Needs::CONCURRENT.queue(1), cancel_on_drop),
    Case::new("async_use.submit_gives_a_future", &["E1"], Needs::ANY, submit),
    Case::new("async_use.submit_after_shutdown", &["S1"], Needs::ANY, submit_after_shutdown),
    Case::new("async_use.submit_waits_for_capacity", &["H48"], BOUNDED, submit_waits_for_capacity),
    Case::new(
        "async_use.given_up_submit_takes_no_capacity",
        &["H48", "H55"],
        BOUNDED,
        given_up_submit_takes_no_capacity,
    ),
    Case::new("async_use.given_up_submit_takes_no_turn", &["H48", "H55"], BOUNDED, given_up_submit_takes_no_turn),
    Case::new("async_use.waiting_submit_is_refused", &["H30", "H55"], BOUNDED, waiting_submit_is_refused),
    Case::new("async_use.shutdown_begins_at_the_first_poll", &["S3"], Needs::CONCURRENT, shutdown),
    Case::new("async_use.shutdown_is_not_undone", &["S4"], Needs::CONCURRENT, shutdown_is_not_undone),
    Case::new("async_use.works_as_an_object", &[], Needs::ANY, as_an_object),
    Case::new("async_use.polled_then_shared", &["F11", "F13"], Needs::ANY, polled_then_shared),
    Case::new("async_use.awaited_then_used", &["H55"], Needs::ANY, awaited_then_used),
];

/// A waker that counts.
struct CountingWaker(Counter);

impl ArcWake for CountingWaker {
    fn wake_by_ref(woken: &Arc<Self>) {
        woken.0.add();
    }
}

fn counting() -> (Waker, Counter) {
    let counter = Counter::default();
    (waker(Arc::new(CountingWaker(counter.clone()))), counter)
}

fn poll_with<F: StdFuture + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

fn await_a_promise(_: &Subject) {
    for round in 0..200_u64 {
        let (promise, future) = Promise::new();
        let completing = thread::spawn(move || promise.set_result(round).is_ok());
        assert_eq!(block_on(future).unwrap(), round);
        assert!(completing.join().unwrap());
    }
}

fn await_what_is_done(_: &Subject) {
    assert_eq!(block_on(done(3)).unwrap(), 3);
    assert_cancelled(block_on(cancelled::<u64>().1));
}

fn await_a_task(subject: &Subject) {
    let stage = Stage::new(subject);
    assert_eq!(block_on(stage.pool().submit(tasks::double, 3).unwrap()).unwrap(), 6);
    assert!(
        block_on(stage.pool().submit(tasks::panic_with, "text, on purpose".to_owned()).unwrap())
            .unwrap_err()
            .is_panic()
    );
}

fn await_many(subject: &Subject) {
    let stage = Stage::new(subject);
    let futures = (0..50).map(|number| stage.pool().submit(tasks::double, number).unwrap());
    let sum: u64 = block_on(join_all(futures)).into_iter().map(Result::unwrap).sum();
    assert_eq!(sum, 2450);
}

fn wakes_the_newest_waker(_: &Subject) {
    let (promise, mut future) = Promise::new();
    let ((first, first_count), (second, second_count)) = (counting(), counting());
    assert!(poll_with(&mut future, &first).is_pending());
    assert!(poll_with(&mut future, &first).is_pending());
    assert!(poll_with(&mut future, &second).is_pending());
    assert_eq!((first_count.get(), second_count.get()), (0, 0));
    promise.set_result(1).expect("nothing else completes it");
    assert_eq!(second_count.get(), 1);
    assert!(matches!(poll_with(&mut future, &second), Poll::Ready(Ok(1))));
}

fn keeps_no_old_waker(_: &Subject) {
    let (promise, mut future) = Promise::new();
    let wakers: Vec<_> = (0..10).map(|_| Arc::new(CountingWaker(Counter::default()))).collect();
    for waker_of in &wakers {
        assert!(poll_with(&mut future, &waker(Arc::clone(waker_of))).is_pending());
    }
    let (last, old) = wakers.split_last().expect("ten wakers");
    assert!(old.iter().all(|waker_of| Arc::strong_count(waker_of) == 1), "replaced ones are freed");
    promise.set_result(1).expect("nothing else completes it");
    assert_eq!(Arc::strong_count(last), 1, "and so is the last one, once woken");
    drop(future);

    let (promise, mut future) = Promise::<u64>::new();
    assert!(poll_with(&mut future, &waker(Arc::clone(last))).is_pending());
    drop(future);
    drop(promise);
    assert_eq!(Arc::strong_count(last), 1, "nor does a dropped future keep one");
}

fn waker_that_panics(_: &Subject) {
    struct Bomb;
    impl ArcWake for Bomb {
        fn wake_by_ref(_: &Arc<Self>) {
            panic!("a waker that fails, on purpose");
        }
    }
    let (promise, mut future) = Promise::new();
    assert!(poll_with(&mut future, &waker(Arc::new(Bomb))).is_pending());
    promise.set_result(1).expect("the completing call does not notice");
    assert_eq!(future.result().unwrap(), 1);
}

fn wakes_by_cancel_and_abandon(_: &Subject) {
    let (counted, count) = counting();
    let (promise, mut future) = Promise::<u64>::new();
    assert!(poll_with(&mut future, &counted).is_pending());
    assert!(future.cancel());
    assert_eq!(count.get(), 1);
    assert!(matches!(poll_with(&mut future, &counted), Poll::Ready(Err(TaskError::Cancelled(_)))));
    drop(promise);

    let (promise, mut future) = Promise::<u64>::new();
    assert!(poll_with(&mut future, &counted).is_pending());
    drop(promise);
    assert_eq!(count.get(), 2);
    assert!(matches!(poll_with(&mut future, &counted), Poll::Ready(Err(TaskError::Abandoned(_)))));
}

/// Async and blocking use mix on one handle.
fn polled_then_read(_: &Subject) {
    let (promise, mut future) = Promise::new();
    let (counted, _count) = counting();
    assert!(poll_with(&mut future, &counted).is_pending());
    let waiter = thread::spawn(move || future.result());
    promise.set_result(8).expect("nothing else completes it");
    assert_eq!(waiter.join().unwrap().unwrap(), 8);
}

/// Awaiting by reference keeps the handle.
fn lost_race_leaves_the_task(subject: &Subject) {
    let stage = Stage::new(subject);
    let gate = stage.gate("held");
    let mut slow = stage.pool().submit(tasks::pass_then, (gate.clone(), 5)).unwrap();
    block_on(async {
        let winner = select(&mut slow, done(1)).await;
        assert!(matches!(winner, futures::future::Either::Right(_)));
    });
    gate.open();
    assert_eq!(block_on(slow).unwrap(), 5);
}

fn shared(_: &Subject) {
    let (promise, future) = Promise::new();
    let future = future.share();
    let handles: Vec<_> = (0..4).map(|_| future.clone()).collect();
    let completing = thread::spawn(move || promise.set_result("value".to_owned()).is_ok());
    let awaited = block_on(join_all(handles));
    assert!(awaited.iter().all(|handle| handle.result().unwrap() == "value"));
    assert!(completing.join().unwrap());
}

fn cancel_on_drop(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    let mut guarded = stage.pool().submit(tasks::note, (log.clone(), "guarded".to_owned())).unwrap().cancel_on_drop();
    let (counted, _count) = counting();
    assert!(poll_with(&mut guarded, &counted).is_pending());
    drop(guarded);
    occupied.release();
    assert_eq!(block_on(stage.pool().submit(tasks::double, 4).unwrap().cancel_on_drop()).unwrap(), 8);
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(log.lines(), Vec::<String>::new());
}

fn submit(subject: &Subject) {
    let stage = Stage::new(subject);
    let value = block_on(async { stage.pool().submit_async(tasks::double, 4).await.unwrap().await.unwrap() });
    assert_eq!(value, 8);
}

fn submit_after_shutdown(subject: &Subject) {
    let stage = Stage::new(subject);
    stage.pool().shutdown(Shutdown::wait());
    let refused = block_on(stage.pool().submit_async(tasks::double, 4));
    assert!(matches!(refused, Err(SubmitError::ShutDown)));
}

fn full(subject: &Subject) -> (Stage, crate::stage::Occupied, Future<u64>) {
    let stage = Stage::with(subject, Config { queue_capacity: Some(1), ..Config::default() });
    let occupied = stage.occupy();
    let queued = stage.pool().submit(tasks::double, 1).unwrap();
    (stage, occupied, queued)
}

fn submit_waits_for_capacity(subject: &Subject) {
    let (stage, occupied, queued) = full(subject);
    let (counted, _count) = counting();
    let mut submitting = pin!(stage.pool().submit_async(tasks::double, 2));
    assert!(submitting.as_mut().poll(&mut Context::from_waker(&counted)).is_pending());
    assert!(queued.cancel(), "which frees a permit");
    step("waiting for an async submit that has a permit now");
    let late = block_on(submitting).unwrap();
    occupied.release();
    assert_eq!(block_on(late).unwrap(), 4);
}

fn given_up_submit_takes_no_capacity(subject: &Subject) {
    let (stage, occupied, queued) = full(subject);
    let (counted, _count) = counting();
    for _ in 0..3 {
        let mut submitting = pin!(stage.pool().submit_async(tasks::double, 2));
        assert!(submitting.as_mut().poll(&mut Context::from_waker(&counted)).is_pending());
    }
    assert!(queued.cancel());
    let next = stage.pool().try_submit(tasks::double, 3).expect("those who gave up hold nothing");
    occupied.release();
    assert_eq!(next.result().unwrap(), 6);
    stage.pool().shutdown(Shutdown::wait());
}

/// A free permit goes to a submit that still waits: a dropped one takes no turn with it.
fn given_up_submit_takes_no_turn(subject: &Subject) {
    let (stage, occupied, queued) = full(subject);
    let pool = stage.pool();
    let (counted, _count) = counting();
    let mut staying = pin!(pool.submit_async(tasks::double, 3));
    {
        let mut first = pin!(pool.submit_async(tasks::double, 2));
        assert!(first.as_mut().poll(&mut Context::from_waker(&counted)).is_pending());
        let mut last = pin!(pool.submit_async(tasks::double, 4));
        assert!(staying.as_mut().poll(&mut Context::from_waker(&counted)).is_pending());
        assert!(last.as_mut().poll(&mut Context::from_waker(&counted)).is_pending());
    }
    thread::scope(|scope| {
        let submitting = scope.spawn(|| block_on(staying).unwrap());
        step("waiting for the async submit that stayed");
        assert!(queued.cancel(), "a permit for one");
        let future = submitting.join().unwrap();
        occupied.release();
        assert_eq!(future.result().unwrap(), 6);
    });
}

fn waiting_submit_is_refused(subject: &Subject) {
    let (stage, occupied, queued) = full(subject);
    let (counted, _count) = counting();
    let mut submitting = pin!(stage.pool().submit_async(tasks::double, 2));
    assert!(submitting.as_mut().poll(&mut Context::from_waker(&counted)).is_pending());
    stage.pool().shutdown(Shutdown::no_wait());
    step("waiting for an async submit to be refused");
    assert!(matches!(block_on(submitting), Err(SubmitError::ShutDown)));
    occupied.release();
    assert_eq!(queued.result().unwrap(), 2);
}

fn shutdown(subject: &Subject) {
    let stage = Stage::new(subject);
    let (gate, (counted, _count)) = (stage.gate("held"), counting());
    let future = stage.pool().submit(tasks::pass_then, (gate.clone(), 3)).unwrap();
    {
        let mut ending = pin!(stage.pool().shutdown_async(Shutdown::wait()));
        assert!(ending.as_mut().poll(&mut Context::from_waker(&counted)).is_pending());
        assert!(stage.pool().submit(tasks::double, 1).is_err(), "the first poll has shut it down");
        gate.open();
        step("awaiting a shutdown");
        block_on(ending);
    }
    assert!(future.is_done());
    block_on(stage.pool().shutdown_async(Shutdown::wait()));
}

/// Dropping the wait abandons the waiting, not the shutdown.
fn shutdown_is_not_undone(subject: &Subject) {
    let stage = Stage::new(subject);
    let (gate, (counted, _count)) = (stage.gate("held"), counting());
    let future = stage.pool().submit(tasks::pass_then, (gate.clone(), 3)).unwrap();
    {
        let mut ending = pin!(stage.pool().shutdown_async(Shutdown::wait()));
        assert!(ending.as_mut().poll(&mut Context::from_waker(&counted)).is_pending());
    }
    assert!(stage.pool().submit(tasks::double, 1).is_err());
    gate.open();
    assert_eq!(future.result().unwrap(), 3);
    stage.pool().shutdown(Shutdown::wait());
}

fn as_an_object(subject: &Subject) {
    let boxed: Box<dyn Executor> = subject.build(&Config::default());
    let object: &dyn AsyncExecutor = &boxed;
    let value = block_on(async { object.submit_async(tasks::double, 7).await.unwrap().await.unwrap() });
    assert_eq!(value, 14);
    block_on(object.shutdown_async(Shutdown::wait()));
}

/// The task that polled before no longer has the handle; the tasks that poll now are woken.
fn polled_then_shared(_: &Subject) {
    for _ in 0..200 {
        let (promise, mut future) = Promise::new();
        let (before, _count) = counting();
        assert!(poll_with(&mut future, &before).is_pending());
        let future = future.share();
        let other = future.clone();
        let completing = thread::spawn(move || promise.set_result(3).is_ok());
        let (first, second) = block_on(join(future, other));
        assert_eq!((*first.result().unwrap(), *second.result().unwrap()), (3, 3));
        assert!(completing.join().unwrap());
    }
}

/// A future whose outcome was taken by an await is done and empty; no use of it panics or hangs.
fn awaited_then_used(_: &Subject) {
    let taken = || {
        let mut future = done(3);
        assert!(block_on(&mut future).is_ok());
        future
    };
    assert!(taken().is_done() && !taken().cancel());
    taken().wait();
    assert!(matches!(taken().result(), Err(TaskError::Taken)));
    assert!(matches!(block_on(taken()), Err(TaskError::Taken)));
    for when in [ReturnWhen::AllCompleted, ReturnWhen::FirstCompleted, ReturnWhen::FirstException] {
        assert_eq!(wait([taken()], None, when).done.len(), 1);
    }
    assert_eq!(as_completed([taken()]).count(), 1);
    assert!(matches!(taken().share().result(), Err(TaskError::Taken)));
}
