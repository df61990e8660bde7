//! Futures, streams and executors awaited from async code: two runtimes, a plain `block_on`, and wakers by hand.

mod support;

use concurrent_futures::prelude::*;
use concurrent_futures::{CancelOnDrop, Future, SharedFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;
use support::{Gate, LIMIT, watch};
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;

fn square(x: u64) -> u64 {
    x * x
}

fn fail(text: String) -> u64 {
    panic!("{text}")
}

fn pool(workers: usize) -> ThreadPoolExecutor {
    ThreadPoolExecutor::with_workers(workers).expect("threads can be started")
}

/// Returns a pool of one thread, which a task holds until the gate opens.
fn held_pool() -> (ThreadPoolExecutor, Gate, Future<()>) {
    let pool = pool(1);
    let (gate, closed) = Gate::new();
    let held = pool.spawn(move || closed.pass()).expect("an open pool takes tasks");
    while !held.is_running() {
        thread::yield_now();
    }
    (pool, gate, held)
}

/// Runs on tokio with one thread, so that code that blocks the thread instead of awaiting hangs.
fn on_tokio<R>(what: &'static str, body: impl std::future::Future<Output = R>) -> R {
    let _watchdog = watch(what);
    runtime::Builder::new_current_thread().enable_time().build().expect("tokio starts").block_on(async {
        timeout(LIMIT / 2, body).await.unwrap_or_else(|_| panic!("not done after {:?}: {what}", LIMIT / 2))
    })
}

/// The same few awaits for every runtime.
async fn awaits_a_value_an_error_and_a_panic() {
    let pool = pool(2);
    assert_eq!(pool.submit(square, 7).unwrap().await.unwrap(), 49);

    let fallible = pool.submit(|text: String| text.parse::<u8>().map_err(|error| error.to_string()), "x".to_owned());
    assert!(fallible.unwrap().await.unwrap().is_err(), "an Err that a task returns is a result");

    let error = pool.submit(fail, "on purpose".to_owned()).unwrap().await.unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("on purpose"), "{error}");

    let (held, gate, holding) = held_pool();
    let queued = held.submit(square, 1).unwrap();
    assert!(queued.cancel());
    assert!(queued.await.unwrap_err().is_cancelled(), "a cancelled future is done at once");
    gate.open();
    holding.await.unwrap();
}

#[test]
fn futures_work_on_tokio_with_one_thread() {
    on_tokio("awaits on tokio's one thread", awaits_a_value_an_error_and_a_panic());
}

#[test]
fn futures_work_on_tokio_with_several_threads() {
    let _watchdog = watch("awaits on tokio's threads");
    let tokio = runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let task = tokio.spawn(awaits_a_value_an_error_and_a_panic());
    tokio.block_on(async { timeout(LIMIT / 2, task).await }).expect("done in time").expect("no panic");
}

#[test]
fn futures_work_on_smol() {
    let _watchdog = watch("awaits on smol");
    smol::block_on(awaits_a_value_an_error_and_a_panic());
    smol::block_on(smol::spawn(awaits_a_value_an_error_and_a_panic()));
}

#[test]
fn futures_work_with_a_plain_block_on() {
    let _watchdog = watch("awaits on block_on");
    futures::executor::block_on(awaits_a_value_an_error_and_a_panic());
}

// --- wakers by hand -------------------------------------------------------------------------------------------------

/// Counts its calls.
#[derive(Debug, Default)]
struct Count(AtomicUsize);

impl Count {
    fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        (Arc::clone(&count), Waker::from(count))
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll_with<F: std::future::Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn the_waker_of_the_last_poll_is_woken() {
    let _watchdog = watch("a future polled with changing wakers");
    let (_pool, gate, mut future) = held_pool();
    let (first, first_waker) = Count::new();
    let (last, last_waker) = Count::new();
    for waker in [&first_waker, &last_waker, &first_waker, &first_waker, &last_waker] {
        assert!(poll_with(&mut future, waker).is_pending());
    }
    gate.open();
    while last.get() == 0 {
        thread::yield_now();
    }
    assert_eq!(first.get(), 0, "a waker that was replaced is not woken");
    assert!(matches!(poll_with(&mut future, &last_waker), Poll::Ready(Ok(()))));
    assert_eq!(last.get(), 1, "one completion, one wake");
}

#[test]
fn a_replaced_waker_is_released() {
    let _watchdog = watch("a future that holds a waker");
    let (_pool, _gate, mut future) = held_pool();
    let (first, first_waker) = Count::new();
    let (second, second_waker) = Count::new();
    assert!(poll_with(&mut future, &first_waker).is_pending());
    drop(first_waker);
    assert!(poll_with(&mut future, &second_waker).is_pending());
    assert_eq!(Arc::strong_count(&first), 1, "the replaced waker was dropped");
    drop(second_waker);
    drop(future);
    assert_eq!(Arc::strong_count(&second), 1, "a dropped future lets go of its waker");
}

#[test]
fn a_future_may_be_dropped_inside_a_poll() {
    on_tokio("a future dropped inside the poll of another", async {
        let (pool, gate, holding) = held_pool();
        let mut queued = Some(pool.submit(square, 3).unwrap());
        poll_fn(|cx| {
            let future = queued.as_mut().expect("polled once");
            assert!(Pin::new(future).poll(cx).is_pending());
            queued = None;
            Poll::Ready(())
        })
        .await;
        gate.open();
        holding.await.unwrap();
        pool.shutdown_async(Shutdown::wait()).await;
        assert_eq!(pool.stats().completed, 2, "a dropped future does not cancel its task");
    });
}

/// Drops the future that it was registered with, from within the wake.
#[derive(Debug, Default)]
struct DropsFuture(parking_lot::Mutex<Option<Future<u64>>>, AtomicUsize);

impl Wake for DropsFuture {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().take());
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_waker_may_drop_its_own_future() {
    let _watchdog = watch("a waker that drops its own future");
    let (pool, gate, _holding) = held_pool();
    let mut future = pool.submit(square, 3).unwrap();
    let owner = Arc::new(DropsFuture::default());
    assert!(poll_with(&mut future, &Waker::from(Arc::clone(&owner))).is_pending());
    *owner.0.lock() = Some(future);
    gate.open();
    while owner.1.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    assert_eq!(pool.submit(square, 2).unwrap().result().unwrap(), 4, "the worker went on");
}

/// Submits to the pool from within the wake.
#[derive(Debug)]
struct Submits(ThreadPoolExecutor, parking_lot::Mutex<Option<Future<u64>>>);

impl Wake for Submits {
    fn wake(self: Arc<Self>) {
        *self.1.lock() = self.0.submit(square, 12).ok();
    }
}

#[test]
fn a_waker_may_use_the_pool() {
    let _watchdog = watch("a waker that submits to the pool");
    let (held, gate, mut future) = held_pool();
    let waker = Arc::new(Submits(pool(1), parking_lot::Mutex::new(None)));
    assert!(poll_with(&mut future, &Waker::from(Arc::clone(&waker))).is_pending());
    gate.open();
    held.shutdown(Shutdown::wait());
    let submitted = waker.1.lock().take().expect("woken before the pool ended");
    assert_eq!(submitted.result().unwrap(), 144);
}

#[test]
fn polls_and_drops_race_with_completion() {
    let _watchdog = watch("polls and drops that race with completion");
    let pool = pool(2);
    for round in 0..2_000_u64 {
        let mut future = pool.submit(square, round).unwrap();
        let (count, waker) = Count::new();
        match poll_with(&mut future, &waker) {
            Poll::Ready(outcome) => assert_eq!(outcome.unwrap(), round * round),
            Poll::Pending if round % 3 == 0 => drop(future),
            Poll::Pending => {
                while count.get() == 0 {
                    thread::yield_now();
                }
                let Poll::Ready(outcome) = poll_with(&mut future, &waker) else { panic!("woken before it was done") };
                assert_eq!(outcome.unwrap(), round * round);
            }
        }
    }
}

// --- combinators ----------------------------------------------------------------------------------------------------

#[test]
fn a_future_may_be_selected_with_a_timer() {
    on_tokio("tokio::select! between a task and a timer", async {
        let (_pool, gate, mut future) = held_pool();
        tokio::select! {
            outcome = &mut future => panic!("the task is still held: {outcome:?}"),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
        gate.open();
        tokio::select! {
            outcome = &mut future => outcome.unwrap(),
            () = tokio::time::sleep(LIMIT) => panic!("the open task does not finish"),
        }
    });
}

#[test]
fn futures_work_in_a_join_set() {
    let _watchdog = watch("a JoinSet of futures");
    let pool = pool(2);
    let tokio = runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    tokio.block_on(async {
        let mut set = JoinSet::new();
        for x in 0..200_u64 {
            set.spawn(pool.submit(square, x).unwrap());
        }
        let mut squares = BTreeSet::new();
        while let Some(joined) = timeout(LIMIT / 2, set.join_next()).await.expect("all of the set finish") {
            squares.insert(joined.unwrap().unwrap());
        }
        assert_eq!(squares, (0..200).map(square).collect());
    });
}

#[test]
fn futures_work_in_futures_unordered() {
    on_tokio("FuturesUnordered", async {
        let pool = pool(2);
        let set: FuturesUnordered<Future<u64>> = (0..1_000).map(|x| pool.submit(square, x).unwrap()).collect();
        let squares: BTreeSet<u64> = set.map(Result::unwrap).collect().await;
        assert_eq!(squares, (0..1_000).map(square).collect());
    });
}

#[test]
fn as_completed_is_a_stream() {
    on_tokio("as_completed as a stream", async {
        let (held, gate, holding) = held_pool();
        let free = pool(1);
        let late = held.submit(square, 100).unwrap();
        let mut stream = as_completed([("late", late), ("early", free.submit(square, 1).unwrap())]);

        let (key, future) = StreamExt::next(&mut stream).await.expect("two futures");
        assert_eq!((key, future.await.unwrap()), ("early", 1));
        stream.push(("pushed", free.submit(square, 5).unwrap()));
        let (key, future) = StreamExt::next(&mut stream).await.expect("two futures are left");
        assert_eq!((key, future.await.unwrap()), ("pushed", 25));
        gate.open();
        let (key, future) = StreamExt::next(&mut stream).await.expect("one future is left");
        assert_eq!((key, future.await.unwrap()), ("late", 10_000));
        assert!(StreamExt::next(&mut stream).await.is_none());
        holding.await.unwrap();
    });
}

#[test]
fn map_is_a_stream() {
    on_tokio("map as a stream", async {
        let pool = pool(2);
        // An iterator and a stream: where both traits are in scope, one of them must be named.
        let squares: Vec<u64> = StreamExt::map(pool.map(square, 0..500), Result::unwrap).collect().await;
        assert_eq!(squares, (0..500).map(square).collect::<Vec<_>>(), "in the order of the inputs");

        let first: Vec<u64> = StreamExt::take(pool.map(square, 0..), 3).map(Result::unwrap).collect().await;
        assert_eq!(first, [0, 1, 4], "an infinite input is read no further than needed");
    });
}

/// Returns a pool whose one thread is held and whose one permit is taken.
fn full_pool() -> (ThreadPoolExecutor, Gate, Future<u64>) {
    let bounded = ThreadPoolExecutor::builder().workers(1).queue_capacity(1).build().expect("threads can be started");
    let (gate, closed) = Gate::new();
    let held = bounded.spawn(move || closed.pass()).expect("an open pool takes tasks");
    while !held.is_running() {
        thread::yield_now();
    }
    let queued = bounded.submit(square, 2).expect("there is a permit for one");
    assert!(bounded.try_submit(square, 9).expect_err("there is no permit for two").is_full());
    (bounded, gate, queued)
}

#[test]
fn a_dyn_async_executor_waits_for_capacity_without_blocking() {
    on_tokio("submit_async to a full pool", async {
        let (bounded, gate, queued) = full_pool();
        let executor: Box<dyn AsyncExecutor> = Box::new(bounded);
        let waiting = executor.submit_async(square, 3);
        tokio::pin!(waiting);
        // The timer can fire only if the wait leaves the one thread free.
        tokio::select! {
            _ = &mut waiting => panic!("there was no capacity"),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
        gate.open();
        assert_eq!(waiting.await.unwrap().await.unwrap(), 9);
        assert_eq!(queued.await.unwrap(), 4);

        executor.shutdown_async(Shutdown::wait()).await;
        assert!(executor.submit_async(square, 4).await.is_err(), "a pool that was shut down takes nothing");
    });
}

#[test]
fn a_dropped_wait_for_capacity_submits_nothing() {
    on_tokio("submit_async dropped while it waits", async {
        let (bounded, gate, _queued) = full_pool();
        assert!(timeout(Duration::from_millis(5), bounded.submit_async(square, 3)).await.is_err());
        gate.open();
        bounded.shutdown_async(Shutdown::wait()).await;
        assert_eq!(bounded.stats().completed, 2);
    });
}

#[test]
fn a_dropped_wait_for_capacity_leaves_it_to_the_next() {
    let _watchdog = watch("submit_async behind one that was woken and then dropped");
    let (bounded, gate, _queued) = full_pool();
    let (first_woken, first_waker) = Count::new();
    let (second_woken, second_waker) = Count::new();
    let mut first = Box::pin(bounded.submit_async(square, 3));
    let mut second = Box::pin(bounded.submit_async(square, 4));
    assert!(poll_with(&mut first, &first_waker).is_pending());
    assert!(poll_with(&mut second, &second_waker).is_pending());
    gate.open();
    while first_woken.get() + second_woken.get() == 0 {
        thread::yield_now();
    }
    drop(first);
    while second_woken.get() == 0 {
        thread::yield_now();
    }
    let Poll::Ready(submitted) = poll_with(&mut second, &second_waker) else { panic!("the queue is empty") };
    assert_eq!(submitted.unwrap().result().unwrap(), 16);
}

#[test]
fn a_shutdown_ends_the_wait_for_capacity() {
    on_tokio("submit_async to a pool that is shut down meanwhile", async {
        let (bounded, gate, queued) = full_pool();
        let mut waiting = Box::pin(bounded.submit_async(square, 3));
        assert!(poll_with(&mut waiting, Waker::noop()).is_pending());
        bounded.shutdown(Shutdown::no_wait());
        assert!(waiting.await.is_err(), "capacity that comes after a shutdown is not for new tasks");
        gate.open();
        assert_eq!(queued.await.unwrap(), 4, "what was queued before still runs");
    });
}

#[test]
fn several_waits_for_capacity_all_get_it() {
    on_tokio("many submit_async to a full pool", async {
        let bounded = Arc::new(ThreadPoolExecutor::builder().workers(1).queue_capacity(1).build().unwrap());
        let mut set = JoinSet::new();
        for x in 0..100_u64 {
            let bounded = Arc::clone(&bounded);
            set.spawn(async move { bounded.submit_async(square, x).await.unwrap().await.unwrap() });
        }
        let squares: BTreeSet<u64> = set.join_all().await.into_iter().collect();
        assert_eq!(squares, (0..100).map(square).collect());
    });
}

#[test]
fn a_shutdown_is_awaited_without_blocking() {
    on_tokio("shutdown_async of a busy pool", async {
        let (pool, gate, holding) = held_pool();
        let queued = pool.submit(square, 3).unwrap();
        let shutdown = pool.shutdown_async(Shutdown::wait().cancel_futures());
        tokio::pin!(shutdown);
        tokio::select! {
            () = &mut shutdown => panic!("a task is still running"),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
        assert!(queued.is_cancelled(), "queued tasks are cancelled before the wait");
        gate.open();
        shutdown.await;
        assert!(holding.is_done());
    });
}

#[test]
fn a_shared_future_wakes_every_task() {
    let _watchdog = watch("a shared future awaited by several tasks");
    let (pool, gate, _holding) = held_pool();
    let shared: SharedFuture<u64> = pool.submit(square, 6).unwrap().share();
    let tokio = runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    tokio.block_on(async {
        let mut set = JoinSet::new();
        for _ in 0..8 {
            let shared = shared.clone();
            set.spawn(async move { *shared.await.result().unwrap() });
        }
        tokio::task::yield_now().await;
        gate.open();
        assert_eq!(timeout(LIMIT / 2, set.join_all()).await.expect("every waiter is woken"), [36; 8]);
    });
}

#[test]
fn cancel_on_drop_cancels_the_loser_of_a_select() {
    on_tokio("cancel_on_drop in select!", async {
        let (pool, gate, holding) = held_pool();
        let ran = Arc::new(AtomicUsize::new(0));
        let mark = Arc::clone(&ran);
        let queued: CancelOnDrop<usize> =
            pool.spawn(move || mark.fetch_add(1, Ordering::SeqCst)).unwrap().cancel_on_drop();
        tokio::select! {
            outcome = queued => panic!("the only worker is held: {outcome:?}"),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
        gate.open();
        holding.await.unwrap();
        pool.shutdown_async(Shutdown::wait()).await;
        assert_eq!(ran.load(Ordering::SeqCst), 0, "the loser of the select was cancelled");
        assert_eq!(pool.stats().cancelled, 1);
    });
}
