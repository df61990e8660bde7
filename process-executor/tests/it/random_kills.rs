//! P1: workers are killed at random under load. Every future resolves; each result is right; no result is lost that was
//! complete; no death costs more than one task; no task runs twice unless it may.

use crate::processes;
use crate::support::{Scratch, assert_works, pool};
use crate::watchdog::{step, watched};
use executor_core::{ExecutorExt, Future, TaskError, TaskOptions};
use process_executor::{ProcessPoolExecutor, WorkerState};
use rustix::process::Signal;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// In an unoptimized build a process takes ten times as long to become a worker.
const KILLS: u64 = if cfg!(debug_assertions) { 100 } else { 500 };
const TASKS: u64 = if cfg!(debug_assertions) { 20_000 } else { 100_000 };

thread_local! {
    static LOG: RefCell<Option<File>> = const { RefCell::new(None) };
}

/// Notes that it runs, then works for a while that depends on its number.
fn work((log, number): (String, u64)) -> u64 {
    LOG.with_borrow_mut(|file| {
        let file = file.get_or_insert_with(|| OpenOptions::new().append(true).create(true).open(&log).unwrap());
        file.write_all(format!("{} {number}\n", std::process::id()).as_bytes()).unwrap();
    });
    result_of(number)
}

fn result_of(number: u64) -> u64 {
    (0..number % 1000 * 10).fold(number, |sum, step| std::hint::black_box(sum.wrapping_mul(31).wrapping_add(step)))
}

/// Kills workers that are ready, one each time that some tasks are over; gives how many.
fn kill_workers(pool: &ProcessPoolExecutor, over: &AtomicBool) -> u64 {
    let mut killed = 0;
    let mut random = 88_172_645_463_325_252_u64;
    while killed < KILLS && !over.load(Ordering::SeqCst) {
        let stats = pool.stats();
        if stats.completed + stats.failed < (killed + 1) * TASKS / (KILLS + 1) {
            thread::yield_now();
            continue;
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let ready = |state| matches!(state, WorkerState::Idle | WorkerState::Busy);
        let workers: Vec<_> = pool.worker_infos().into_iter().filter(|worker| ready(worker.state())).collect();
        if let Some(worker) = workers.get(random as usize % workers.len().max(1)) {
            // It is a child of this process: its number is not another's before the pool has noticed the death.
            processes::send(worker.pid(), Signal::KILL);
            killed += 1;
        }
    }
    killed
}

fn runs(log: &str) -> HashMap<u64, u64> {
    let mut runs = HashMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let number = line.split_once(' ').unwrap().1.parse().unwrap();
        *runs.entry(number).or_insert(0) += 1;
    }
    runs
}

struct Outcomes {
    lost: u64,
    deaths: u64,
}

/// Waits for all futures while workers are killed.
fn collect(pool: &ProcessPoolExecutor, futures: Vec<Future<u64>>) -> Outcomes {
    let over = AtomicBool::new(false);
    let mut lost = 0;
    let killed = thread::scope(|scope| {
        let killer = scope.spawn(|| kill_workers(pool, &over));
        for (number, future) in (0..).zip(futures) {
            step(format!("task {number}"));
            match future.result() {
                Ok(result) => assert_eq!(result, result_of(number), "task {number}"),
                Err(TaskError::WorkerDied(_)) => lost += 1,
                Err(error) => panic!("task {number}: {error}"),
            }
        }
        over.store(true, Ordering::SeqCst);
        killer.join().unwrap()
    });
    assert_works(pool);
    let stats = pool.stats();
    assert!(killed > KILLS / 2, "only {killed} workers were killed");
    assert_eq!(stats.completed + stats.failed, TASKS + 8);
    assert_eq!(stats.failed, lost);
    Outcomes { lost, deaths: stats.deaths }
}

#[test]
fn p1_without_retries() {
    watched(|| {
        let scratch = Scratch::new();
        let log = scratch.path("log");
        let pool = pool(2);
        let futures = (0..TASKS).map(|number| pool.submit(work, (log.clone(), number)).unwrap()).collect();
        let Outcomes { lost, deaths } = collect(&pool, futures);
        assert!(lost <= deaths, "{deaths} deaths cost {lost} tasks");
        let runs = runs(&log);
        assert!(runs.values().all(|runs| *runs == 1), "a task ran twice");
        assert!(runs.len() as u64 + lost >= TASKS, "a result came from a task that did not run");
    });
}

#[test]
fn p1_with_retries() {
    watched(|| {
        let scratch = Scratch::new();
        let log = scratch.path("log");
        let pool = pool(2);
        let options = || TaskOptions::new().retries(u32::MAX);
        let futures =
            (0..TASKS).map(|number| pool.submit_with(options(), work, (log.clone(), number)).unwrap()).collect();
        let Outcomes { lost, deaths } = collect(&pool, futures);
        assert_eq!(lost, 0);
        let runs = runs(&log);
        assert_eq!(runs.len() as u64, TASKS);
        let again: u64 = runs.values().map(|runs| runs - 1).sum();
        assert!(again <= deaths, "{deaths} deaths let {again} tasks run again");
    });
}

/// Items of a chunk that were over when the worker died are not run again, and not lost.
#[test]
fn m5_in_chunks_of_map() {
    watched(|| {
        let scratch = Scratch::new();
        let log = scratch.path("log");
        let pool = pool(2);
        let over = AtomicBool::new(false);
        let mut lost = 0;
        thread::scope(|scope| {
            let killer = scope.spawn(|| kill_by_items(&pool, &log, &over));
            for (number, outcome) in (0..).zip(pool.map(work, (0..TASKS).map(|number| (log.clone(), number)))) {
                step(format!("item {number}"));
                match outcome {
                    Ok(result) => assert_eq!(result, result_of(number), "item {number}"),
                    Err(TaskError::WorkerDied(death)) => {
                        assert_eq!(death.info().input(), Some(number));
                        lost += 1;
                    }
                    Err(error) => panic!("item {number}: {error}"),
                }
            }
            over.store(true, Ordering::SeqCst);
            killer.join().unwrap();
        });
        assert_works(&pool);
        let deaths = pool.stats().deaths;
        assert!(deaths > 0 && lost <= deaths, "{deaths} deaths cost {lost} items");
        let runs = runs(&log);
        assert!(runs.values().all(|runs| *runs == 1), "an item ran twice");
        assert!(runs.len() as u64 + lost >= TASKS);
    });
}

/// As `kill_workers`, for a map, whose chunks are few: counted by the bytes of the log.
fn kill_by_items(pool: &ProcessPoolExecutor, log: &str, over: &AtomicBool) {
    let mut next = 0;
    while !over.load(Ordering::SeqCst) {
        let written = fs::metadata(log).map_or(0, |log| log.len());
        let worker = pool.worker_infos().into_iter().find(|worker| worker.state() == WorkerState::Busy);
        match worker {
            Some(worker) if written >= next => {
                processes::send(worker.pid(), Signal::KILL);
                // A line is some ten bytes.
                next = written + TASKS / KILLS * 10;
            }
            _ => thread::yield_now(),
        }
    }
}
