//! S6 in its better form: `cancel` says exactly whether a task ran, wherever it lies, and whatever dies meanwhile.

use crate::bytes::{Bytes, MIB};
use crate::processes;
use crate::support::{
    Gate, Pass, SHORT, Scratch, append, assert_works, double, only_death, outcome, pool, quiet, read_lines, until,
};
use crate::watchdog::{step, watched};
use executor_core::{ExecutorExt, TaskError, TaskOptions};
use process_executor::WorkerState;
use rustix::process::Signal;
use std::collections::HashSet;
use std::thread;
use std::time::Duration;

const TASKS: u64 = 5000;

fn note((log, number): (String, u64)) -> u64 {
    append(&log, &format!("{number}\n"));
    2 * number
}

fn hold(pass: Pass) {
    pass.go();
}

/// Cancels every other task while they run, some of them while their workers are killed.
fn exactly(kill: bool) {
    let pool = pool(2);
    let scratch = Scratch::new();
    let log = scratch.path("log");
    let tasks: Vec<_> = (0..TASKS).map(|number| pool.submit(note, (log.clone(), number)).unwrap()).collect();
    step("cancelling tasks while they run");
    let mut cancelled = HashSet::new();
    thread::scope(|scope| {
        let killer = scope.spawn(|| {
            for _ in 0..if kill { 20 } else { 0 } {
                let ready = || pool.worker_infos().into_iter().find(|worker| worker.state() == WorkerState::Busy);
                match ready() {
                    Some(worker) => processes::send(worker.pid(), Signal::KILL),
                    None => thread::yield_now(),
                }
            }
        });
        // From both ends: what is about to begin, and what has long to wait.
        for number in (0..TASKS / 2).flat_map(|number| [number, TASKS - 1 - number]).step_by(3) {
            if tasks[number as usize].cancel() {
                cancelled.insert(number);
            }
        }
        killer.join().unwrap();
    });
    let mut lost = 0;
    for (number, task) in (0..).zip(tasks) {
        match outcome(&format!("task {number}"), task) {
            Ok(result) => assert!(result == 2 * number && !cancelled.contains(&number)),
            Err(TaskError::Cancelled(_)) => assert!(cancelled.contains(&number)),
            Err(TaskError::WorkerDied(_)) if kill => lost += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_works(&pool);
    let ran: Vec<u64> = read_lines(&log).iter().map(|line| line.parse().unwrap()).collect();
    let different: HashSet<_> = ran.iter().copied().collect();
    assert_eq!(different.len(), ran.len(), "a task ran twice");
    assert!(different.is_disjoint(&cancelled), "a task was cancelled and ran");
    assert!(lost <= pool.stats().deaths);
    let stats = pool.stats();
    assert_eq!(stats.cancelled, cancelled.len() as u64);
    assert_eq!(stats.completed + stats.failed + stats.cancelled, TASKS + 8);
    assert_eq!((stats.queued, stats.running), (0, 0));
}

#[test]
fn s6_exact_under_load() {
    watched(|| exactly(false));
}

#[test]
fn s6_exact_while_workers_die() {
    watched(|| exactly(true));
}

/// Also what lies ready at a busy worker can be cancelled, and is free of it at once.
#[test]
fn s6_ready_at_a_worker() {
    watched(|| {
        let pool = pool(1);
        let gate = Gate::new();
        let holding = pool.submit(hold, gate.pass()).unwrap();
        gate.wait_arrivals(1);
        let ready: Vec<_> = (0..400).map(|number| pool.submit(double, number).unwrap()).collect();
        assert!(!holding.cancel());
        for task in ready.iter().step_by(2) {
            assert!(task.cancel() && task.is_done());
        }
        // The worker dies with the cancelled ones in its hands; the others go on.
        processes::send(gate.arrivals()[0], Signal::KILL);
        assert!(matches!(outcome("the one that ran", holding), Err(TaskError::WorkerDied(_))));
        for (number, task) in (0..).zip(ready) {
            match outcome("one that lay ready", task) {
                Ok(result) => assert!(number % 2 == 1 && result == 2 * number),
                Err(error) => assert!(number % 2 == 0 && error.is_cancelled(), "{error}"),
            }
        }
        assert_eq!(pool.stats().cancelled, 200);
    });
}

/// A map that is dropped leaves nothing behind that still runs for long.
#[test]
fn m9_a_dropped_map() {
    watched(|| {
        let pool = pool(2);
        let scratch = Scratch::new();
        let log = scratch.path("log");
        let mut map = pool.map(note, (0..).map(|number| (log.clone(), number)));
        step("the first of endless results");
        assert_eq!(map.next().unwrap().unwrap(), 0);
        drop(map);
        until("all is quiet", || pool.stats().running == 0 && pool.stats().queued == 0);
        let ran = read_lines(&log).len();
        assert_works(&pool);
        assert_eq!(read_lines(&log).len(), ran);
    });
}

/// A large argument that waited is put into memory of its own when its turn comes; cancelled meanwhile, it costs no other task.
#[test]
fn a_large_task_is_cancelled_while_it_is_prepared() {
    watched(|| {
        let pool = pool(1);
        for round in 0..60 {
            let gate = Gate::new();
            let first = pool.submit(hold, gate.pass()).unwrap();
            gate.wait_arrivals(1);
            // With tasks before it, it waits as plain bytes.
            let before: Vec<_> = (0..300).map(|number| pool.submit(double, number).unwrap()).collect();
            let large = pool.submit(|bytes: Bytes| bytes.is_pattern(), Bytes::pattern(32 * MIB)).unwrap();
            let behind = pool.submit(double, round).unwrap();
            gate.open();
            // The supervisor hears of the end of the first, and prepares the large one.
            thread::sleep(Duration::from_millis(round % 30));
            let cancelled = large.cancel();
            outcome("the first", first).unwrap();
            before.into_iter().for_each(|one| _ = outcome("one before it", one).unwrap());
            assert_eq!(outcome(&format!("round {round}: the one behind it"), behind).unwrap(), 2 * round);
            match outcome("the large one", large) {
                Ok(right) => assert!(right && !cancelled),
                Err(error) => assert!(cancelled && matches!(error, TaskError::Cancelled(_)), "{error}"),
            }
        }
    });
}

/// A worker that is ended because its task was stopped has not died of itself, and the task has not failed.
#[test]
fn what_is_stopped_is_counted_as_cancelled() {
    watched(|| {
        let pool = quiet(1).stop_grace(Duration::ZERO).build().unwrap();
        let gate = Gate::new();
        let running = pool.submit(|pass: Pass| pass.go(), gate.pass()).unwrap();
        gate.wait_arrivals(1);
        running.stop();
        assert!(outcome("a stopped task", running).unwrap_err().is_cancelled());
        let stats = pool.stats();
        assert_eq!((stats.cancelled, stats.failed, stats.deaths, stats.completed), (1, 0, 0, 0));
        // One that is ended by its limit has failed, and its worker is a death.
        let options = TaskOptions::new().run_timeout(SHORT);
        let endless = pool.submit_with(options, |pass: Pass| pass.go(), gate.pass()).unwrap();
        assert!(outcome("an endless task", endless).unwrap_err().is_timed_out());
        let stats = pool.stats();
        assert_eq!((stats.cancelled, stats.failed, stats.deaths, stats.completed), (1, 1, 1, 0));
        // Those that the pool's owner ends have not died of themselves either.
        let gate = Gate::new();
        let running = pool.submit(|pass: Pass| pass.go(), gate.pass()).unwrap();
        gate.wait_arrivals(1);
        pool.kill_workers();
        let death = only_death(outcome("a task", running));
        assert!(death.contains("SIGKILL, by its pool") && death.contains("as the pool's owner ordered"), "{death}");
        let stats = pool.stats();
        assert_eq!((stats.cancelled, stats.failed, stats.deaths, stats.completed), (1, 2, 1, 0));
    });
}
