//! S3, S9, S10, S14, S16, P18: a pool is dropped, shut down or ended in every state it can be in.

use crate::processes;
use crate::support::{
    Gate, Pass, Scratch, append, assert_works, double, exit, only_death, outcome, own_pid, pool, quiet, read_lines,
    until,
};
use crate::watchdog::{step, watched};
use executor_core::{AsyncExecutor, Executor, ExecutorExt, Shutdown, SubmitError, TaskError};
use process_executor::ProcessPoolExecutor;
use rustix::process::Signal;
use std::future::Future as _;
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

fn hold(pass: Pass) -> u64 {
    pass.go();
    7
}

fn fail(_: ()) -> Result<(), &'static str> {
    Err("no")
}

/// Drops a pool and expects it to end its workers.
fn dropped(state: &str, pool: ProcessPoolExecutor) {
    let workers: Vec<_> = pool.worker_infos().iter().map(process_executor::WorkerInfo::pid).collect();
    step(format!("the drop of a pool that {state}"));
    drop(pool);
    assert!(workers.iter().all(|pid| processes::state(*pid).is_none()), "a worker outlives a pool that {state}");
}

/// Never returns, and SIGTERM does not end it.
fn be_unresponsive(pass: Pass) -> u64 {
    // SAFETY: to ignore a signal is sound.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    pass.go();
    7
}

/// Drops a pool whose end was given up: the drop does not wait, but its workers end.
fn left(state: &str, pool: ProcessPoolExecutor) {
    let workers: Vec<_> = pool.worker_infos().iter().map(process_executor::WorkerInfo::pid).collect();
    step(format!("the drop of a pool that {state}"));
    drop(pool);
    until("its workers are gone", || workers.iter().all(|pid| processes::state(*pid).is_none()));
}

/// What the caller has given up is given up: a task that never ends and ignores SIGTERM keeps nobody.
#[test]
fn s10_left_with_a_stuck_task() {
    type GiveUp = fn(&ProcessPoolExecutor);
    let ways: [(&str, GiveUp); 4] = [
        ("shutdown without waiting", |pool| pool.shutdown(Shutdown::no_wait())),
        ("a limit", |pool| assert!(pool.shutdown_timeout(Duration::from_millis(1)).is_err())),
        ("a dropped shutdown", |pool| {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(pin!(pool.shutdown_async(Shutdown::wait())).poll(&mut cx).is_pending());
        }),
        ("two ways", |pool| {
            pool.shutdown(Shutdown::no_wait());
            assert!(pool.shutdown_timeout(Duration::ZERO).is_err());
        }),
    ];
    watched(|| {
        for (way, give_up) in ways {
            let pool = quiet(1).stop_grace(Duration::from_millis(50)).build().unwrap();
            let gate = Gate::new();
            let stuck = pool.submit(be_unresponsive, gate.pass()).unwrap();
            gate.wait_arrivals(1);
            let queued = pool.submit(double, 1).unwrap();
            give_up(&pool);
            left(way, pool);
            only_death(outcome("the stuck task", stuck));
            assert!(queued.result().unwrap_err().is_cancelled());
        }
    });
}

/// The end of a pool that was given up does not take what is done, nor what runs while the pool is there.
#[test]
fn s10_given_up_and_waited_for_at_last() {
    watched(|| {
        let pool = pool(1);
        let gate = Gate::new();
        let running = pool.submit(hold, gate.pass()).unwrap();
        let queued = pool.submit(double, 4).unwrap();
        gate.wait_arrivals(1);
        pool.shutdown(Shutdown::no_wait());
        gate.open();
        step("a shutdown that waits at last");
        pool.shutdown(Shutdown::wait());
        dropped("was given up and then waited for", pool);
        assert_eq!((running.result().unwrap(), queued.result().unwrap()), (7, 8));
    });
}

#[test]
fn s10_dropped_in_every_quiet_state() {
    watched(|| {
        dropped("was never used", pool(2));
        let used = pool(2);
        assert_works(&used);
        dropped("is idle", used);
        let starting = pool(2);
        drop(starting.submit(double, 1).unwrap());
        until("a worker is listed", || !starting.worker_infos().is_empty());
        dropped("starts its first worker", starting);
        let shut = pool(2);
        assert_works(&shut);
        shut.shutdown(Shutdown::no_wait());
        left("is being shut down", shut);
        let ended = pool(2);
        assert_works(&ended);
        ended.shutdown(Shutdown::wait());
        dropped("was shut down", ended);
    });
}

#[test]
fn s10_dropped_after_deaths() {
    watched(|| {
        let dead = pool(1);
        let pid = dead.submit(own_pid, ()).unwrap().result().unwrap();
        processes::send(pid, Signal::KILL);
        dropped("has just lost its worker", dead);
        let lost = pool(1);
        only_death(outcome("an exit", lost.submit(|code: i32| -> () { exit(code) }, 3).unwrap()));
        dropped("has no worker any more", lost);
        let broken = quiet(1).initializer(|| fail(())).build().unwrap();
        assert!(broken.submit(double, 1).unwrap().result().is_err());
        dropped("is broken", broken);
        let starting = quiet(1).initializer(|| fail(())).build().unwrap();
        let task = starting.submit(double, 1).unwrap();
        dropped("is about to break", starting);
        assert!(matches!(task.result(), Err(TaskError::Broken(..))));
        for signal in [Signal::TERM, Signal::KILL] {
            let ended = pool(2);
            assert_works(&ended);
            if signal == Signal::TERM {
                ended.terminate_workers()
            } else {
                ended.kill_workers()
            }
            dropped("has just been ended", ended);
        }
    });
}

/// Set by the handler of a worker that is continued.
static CONTINUED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_continued(_: libc::c_int) {
    CONTINUED.store(true, Ordering::SeqCst);
}

/// Where the exit handler of a worker notes that it was continued.
static NOTES: OnceLock<String> = OnceLock::new();

extern "C" fn wait_until_continued() {
    while !CONTINUED.load(Ordering::SeqCst) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    append(NOTES.get().unwrap(), "continued\n");
}

/// Keeps the worker from ending until it is continued, by an exit handler.
fn end_only_when_continued(notes: String) -> u32 {
    let handler: extern "C" fn(libc::c_int) = note_continued;
    // SAFETY: the handler does nothing that is forbidden there.
    unsafe { libc::signal(libc::SIGCONT, handler as libc::sighandler_t) };
    NOTES.set(notes).unwrap();
    // SAFETY: a handler that may be called at any time.
    assert_eq!(unsafe { libc::atexit(wait_until_continued) }, 0);
    std::process::id()
}

/// An idle worker that was stopped (SIGSTOP) is not waited for, as for one that is slow, but continued, and ends by itself.
#[test]
fn s10_dropped_with_a_stopped_worker() {
    watched(|| {
        let scratch = Scratch::new();
        let notes = scratch.path("notes");
        let stopped = pool(1);
        let pid = outcome("a task", stopped.submit(end_only_when_continued, notes.clone()).unwrap()).unwrap();
        processes::stop(pid);
        dropped("has a stopped worker", stopped);
        assert_eq!(read_lines(&notes), ["continued"]);
    });
}

/// S3, S10: what was accepted is done, running or queued, on workers yet to come.
#[test]
fn s10_dropped_while_busy() {
    watched(|| {
        let pool = pool(2);
        let gate = Gate::new();
        let running: Vec<_> = (0..2).map(|_| pool.submit(hold, gate.pass()).unwrap()).collect();
        let queued: Vec<_> = (0..20).map(|number| pool.submit(double, number).unwrap()).collect();
        gate.wait_arrivals(2);
        std::thread::scope(|scope| {
            scope.spawn(|| dropped("is busy", pool));
            gate.open();
        });
        assert!(running.iter().chain(&queued).all(executor_core::Future::is_done));
        assert!(running.into_iter().all(|task| task.result().unwrap() == 7));
        assert!(queued.into_iter().enumerate().all(|(number, task)| task.result().unwrap() == 2 * number as u64));
    });
}

/// S5, S7: the queued are cancelled, also those that lie ready at a worker; the running ones end as ever.
#[test]
fn s5_cancelled_at_the_end() {
    watched(|| {
        let pool = pool(2);
        let gate = Gate::new();
        let running: Vec<_> = (0..2).map(|_| pool.submit(hold, gate.pass()).unwrap()).collect();
        gate.wait_arrivals(2);
        let queued: Vec<_> = (0..600).map(|number| pool.submit(double, number).unwrap()).collect();
        pool.shutdown(Shutdown::no_wait().cancel_futures());
        assert!(queued.iter().all(executor_core::Future::is_cancelled));
        assert!(matches!(pool.submit(double, 1), Err(SubmitError::ShutDown)));
        gate.open();
        assert!(running.into_iter().all(|task| outcome("a running task", task).unwrap() == 7));
        step("the end");
        pool.shutdown(Shutdown::wait());
        assert_eq!(pool.stats().cancelled, 600);
    });
}

/// S14, S17: submit, cancel, shut down; nothing hangs.
#[test]
fn s14_cancelled_then_shut_down() {
    watched(|| {
        for round in 0..50 {
            let pool = pool(1);
            let task = pool.submit(double, round).unwrap();
            let cancelled = task.cancel();
            step(format!("round {round}: the end"));
            pool.shutdown(Shutdown::wait());
            match task.result() {
                Ok(result) => assert!(!cancelled && result == 2 * round),
                Err(error) => assert!(cancelled && error.is_cancelled()),
            }
        }
    });
}

/// S16, P13, P15: workers that must be replaced are, after the shutdown as before.
#[test]
fn s16_workers_are_replaced_during_the_end() {
    watched(|| {
        for how in [Shutdown::wait(), Shutdown::no_wait()] {
            let pool = quiet(2).max_tasks_per_child(1).build().unwrap();
            let bad = pool.submit(|_: ()| -> u32 { panic!("on purpose") }, ()).unwrap();
            let tasks: Vec<_> = (0..8).map(|number| pool.submit(double, number).unwrap()).collect();
            step("the end of a pool whose workers do one task each");
            pool.shutdown(how);
            assert!(outcome("a panic", bad).unwrap_err().is_panic());
            for (number, task) in (0..).zip(tasks) {
                assert_eq!(outcome("a task", task).unwrap(), 2 * number);
            }
        }
    });
}

/// P18: a pool that is ended while its workers are being replaced starts no other.
#[test]
fn p18_ended_while_workers_are_replaced() {
    watched(|| {
        for round in 0..20 {
            let pool = quiet(2).max_tasks_per_child(1).build().unwrap();
            let tasks: Vec<_> = (0..20).map(|number| pool.submit(double, number).unwrap()).collect();
            step(format!("round {round}: the first task"));
            let mut tasks = tasks.into_iter();
            assert_eq!(tasks.next().unwrap().result().unwrap(), 0);
            pool.kill_workers();
            for (number, task) in (1..).zip(tasks) {
                match outcome(&format!("task {number} of round {round}"), task) {
                    Ok(result) => assert_eq!(result, 2 * number),
                    Err(TaskError::Cancelled(_) | TaskError::WorkerDied(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            step(format!("round {round}: the end"));
            pool.shutdown(Shutdown::wait());
            assert!(pool.worker_infos().is_empty());
        }
    });
}

/// S18: from a callback, which runs on a thread of the pool, the end is asked for and not waited for.
#[test]
fn s18_shut_down_from_a_callback() {
    watched(|| {
        let pool = std::sync::Arc::new(pool(1));
        let gate = Gate::new();
        let (told, hear) = std::sync::mpsc::channel();
        let task = pool.submit(hold, gate.pass()).unwrap();
        let own = pool.clone();
        task.add_done_callback(move |outcome| {
            own.shutdown(Shutdown::wait());
            told.send(*outcome.as_ref().unwrap()).unwrap();
        });
        gate.open();
        step("a callback that shuts the pool down");
        assert_eq!(hear.recv().unwrap(), 7);
        pool.shutdown(Shutdown::wait());
    });
}

/// A large argument is put into shared memory outside the pool's lock: a pool that is shut down meanwhile waits for it.
/// The pool's tasks live on when a callback drops it, which cannot wait for them; so does what their futures ask.
#[test]
fn s18_dropped_by_a_callback() {
    watched(|| {
        for end in [false, true] {
            let pool = pool(2);
            let (gate, other) = (Gate::new(), Gate::new());
            let first = pool.submit(hold, gate.pass()).unwrap();
            let running = pool.submit(hold, other.pass()).unwrap();
            other.wait_arrivals(1);
            let queued: Vec<_> = (0..500).map(|number| pool.submit(double, number).unwrap()).collect();
            let (sender, dropped) = std::sync::mpsc::channel();
            first.add_done_callback(move |_| {
                drop(pool);
                sender.send(()).unwrap();
            });
            gate.open();
            step("the drop of a pool by a callback");
            dropped.recv().unwrap();
            assert!(running.is_running() && !running.cancel());
            let cancelled = queued.iter().filter(|one| one.cancel()).count();
            if end {
                running.stop();
                assert!(matches!(outcome("one that was stopped", running), Err(TaskError::Cancelled(_))));
            } else {
                other.open();
                assert_eq!(outcome("one that runs", running).unwrap(), 7);
            }
            let results = queued.into_iter().map(|one| outcome("one that was queued", one));
            assert_eq!(results.filter(Result::is_err).count(), cancelled);
        }
    });
}

#[test]
fn s3_shut_down_while_a_large_argument_is_prepared() {
    fn length(bytes: Vec<u8>) -> usize {
        bytes.len()
    }
    const LARGE: usize = 4 << 20;
    watched(|| {
        for round in 0..30 {
            let pool = pool(1);
            assert_works(&pool);
            step(format!("round {round}: the end against a large task"));
            let accepted = std::thread::scope(|scope| {
                let submitting = scope.spawn(|| pool.submit(length, vec![1; LARGE]));
                pool.shutdown(Shutdown::no_wait());
                submitting.join().unwrap()
            });
            pool.shutdown(Shutdown::wait());
            if let Ok(task) = accepted {
                assert!(task.is_done(), "the pool has ended");
                assert_eq!(outcome("an accepted task", task).unwrap(), LARGE);
            }
        }
    });
}
