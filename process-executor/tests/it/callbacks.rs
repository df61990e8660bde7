//! How many threads run callbacks: as many as it takes, and no more.

use crate::support::{Gate, Pass, SHORT, double, outcome, pool, until, wait_for_ever};
use crate::watchdog::{step, watched};
use executor_core::{AsyncExecutor, ExecutorExt, Shutdown, TaskOptions};
use std::fs;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

/// The threads of this process that run callbacks of pools.
fn callback_threads() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    // As much of the names as the kernel keeps.
    names.filter(|name| ["process-pool-ca", "process-pool-re"].contains(&name.trim_end())).count()
}

/// A few for each processor, and some more for moments in which a busy machine lets none of them run.
fn assert_few(threads: usize) {
    let processors = thread::available_parallelism().unwrap().get();
    assert!(threads <= 2 * processors.max(2) + 9, "{threads} threads");
}

#[test]
fn callbacks_that_take_their_time_need_few_threads() {
    watched(|| crate::child::run("callbacks::sleeping_callbacks", "", |_| ()));
}

/// In a process of its own, whose threads are counted.
#[test]
fn sleeping_callbacks() {
    const TASKS: usize = 1000;
    if crate::child::argument().is_none() {
        return;
    }
    watched(|| {
        let pool = pool(2);
        let called = Arc::new(AtomicUsize::new(0));
        for number in 0..TASKS as u64 {
            let called = called.clone();
            pool.submit(double, number).unwrap().add_done_callback(move |_| {
                thread::sleep(Duration::from_millis(5));
                called.fetch_add(1, Ordering::Relaxed);
            });
        }
        let mut most = 0;
        until("all callbacks have been called", || {
            most = most.max(callback_threads());
            called.load(Ordering::Relaxed) == TASKS
        });
        assert_few(most);
    });
}

/// Each waits for all others, whatever came back together with it.
#[test]
fn callbacks_may_wait_for_each_other() {
    const CALLBACKS: usize = 12;
    watched(|| {
        let pool = pool(1);
        let all = Arc::new(Barrier::new(CALLBACKS + 1));
        for number in 0..CALLBACKS as u64 {
            let all = all.clone();
            pool.submit(double, number).unwrap().add_done_callback(move |_| {
                all.wait();
            });
        }
        step("callbacks that wait for each other");
        all.wait();
        assert_eq!(outcome("a task after it", pool.submit(double, 1).unwrap()).unwrap(), 2);
    });
}

/// They wait by looking again and again, and so never seem to be blocked for long.
#[test]
fn callbacks_may_poll_for_each_other() {
    const CALLBACKS: usize = 12;
    watched(|| {
        let pool = pool(1);
        let arrived = Arc::new(AtomicUsize::new(0));
        for number in 0..CALLBACKS as u64 {
            let arrived = arrived.clone();
            pool.submit(double, number).unwrap().add_done_callback(move |_| {
                arrived.fetch_add(1, Ordering::Relaxed);
                while arrived.load(Ordering::Relaxed) < CALLBACKS {
                    thread::sleep(Duration::from_micros(100));
                }
            });
        }
        until("all callbacks have met", || arrived.load(Ordering::Relaxed) == CALLBACKS);
    });
}

/// Notes which thread wakes it.
struct Named(mpsc::Sender<Option<String>>);

impl Wake for Named {
    fn wake(self: Arc<Self>) {
        self.0.send(thread::current().name().map(str::to_owned)).unwrap();
    }
}

/// A waker is anybody's code: the thread that watches over the pool, and reaps what is left, runs none.
#[test]
fn callback_threads_wake_those_who_await_the_end() {
    watched(|| {
        let (pool, gate, (sender, receiver)) = (pool(1), Gate::new(), mpsc::channel());
        let future = pool.submit(|pass: Pass| pass.go(), gate.pass()).unwrap();
        let waker = Waker::from(Arc::new(Named(sender)));
        let mut cx = Context::from_waker(&waker);
        let mut ending = pin!(pool.shutdown_async(Shutdown::wait()));
        assert!(ending.as_mut().poll(&mut cx).is_pending());
        gate.open();
        step("the waker of a shutdown");
        assert_eq!(receiver.recv().unwrap().as_deref(), Some("process-pool-callbacks"));
        assert!(ending.as_mut().poll(&mut cx).is_ready());
        assert!(future.is_done());
    });
}

#[test]
fn large_results_without_callbacks_need_few_threads() {
    watched(|| crate::child::run("callbacks::large_results", "", |_| ()));
}

/// In a process of its own, whose threads are counted.
#[test]
fn large_results() {
    const TASKS: usize = 200;
    if crate::child::argument().is_none() {
        return;
    }
    watched(|| {
        let pool = pool(2);
        let futures: Vec<_> = (0..TASKS).map(|_| pool.submit(|()| vec![1_u8; 1 << 20], ()).unwrap()).collect();
        let mut most = 0;
        until("all results are there", || {
            most = most.max(callback_threads());
            futures.iter().all(|future| future.is_done())
        });
        assert_few(most);
    });
}

/// What has no callback is not kept waiting by callbacks: results, deaths, limits, and what is left of a chunk whose worker died.
#[test]
fn tasks_without_callbacks_do_not_wait_for_callbacks() {
    const CALLBACKS: u64 = 300;
    watched(|| {
        let pool = pool(2);
        let mut open = Vec::new();
        for number in 0..CALLBACKS {
            let (opener, gate) = std::sync::mpsc::channel::<()>();
            open.push(opener);
            pool.submit(double, number).unwrap().add_done_callback(move |_| assert!(gate.recv().is_err()));
        }
        let limited = TaskOptions::new().run_timeout(SHORT);
        let limited = pool.submit_with(limited, |()| -> () { wait_for_ever() }, ()).unwrap();
        let dies = pool.submit(|()| -> () { std::process::abort() }, ()).unwrap();
        let map = pool.map(|number: u64| if number == 500 { std::process::abort() } else { number }, 0..1000);
        step("a map beside blocked callbacks");
        assert_eq!(map.filter(|outcome| outcome.is_ok()).count(), 999);
        assert!(outcome("a death", dies).is_err());
        assert!(outcome("a limit", limited).unwrap_err().is_timed_out());
        assert_eq!(outcome("a result", pool.submit(double, 4).unwrap()).unwrap(), 8);
        drop(open);
    });
}
