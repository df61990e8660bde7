//! What the pool sees to by itself, while no thread of the program waits for a result, submits, or looks: all that is told
//! here is told by callbacks.

use crate::support::{Gate, LONG, Pass, SHORT, pool, quiet};
use crate::watchdog::{step, watched};
use executor_core::{ExecutorExt, Future, TaskOptions};
use process_executor::{ProcessPoolExecutor, SharedBuffer};
use std::sync::mpsc::{Receiver, channel};

/// Workers become idle in between, and the pool's own threads fall asleep: mostly, so each test has some rounds.
const ROUNDS: usize = 20;

/// Returns whether it has succeeded, once it is over.
fn told<R: Send + 'static>(future: &Future<R>) -> Receiver<bool> {
    let (sender, receiver) = channel();
    future.add_done_callback(move |outcome| sender.send(outcome.is_ok()).unwrap());
    receiver
}

#[track_caller]
fn assert_told(what: &str, receiver: &Receiver<bool>, success: bool) {
    step(format!("{what}, told by a callback"));
    assert_eq!(receiver.recv().unwrap(), success);
}

fn nothing(_: ()) {}

fn for_ever(_: ()) {
    loop {
        std::thread::park();
    }
}

/// Lets every worker become ready and idle.
fn warm_up(pool: &ProcessPoolExecutor, workers: usize) {
    let gate = Gate::new();
    let first: Vec<_> = (0..workers).map(|_| told(&pool.submit(hold, Some(gate.pass())).unwrap())).collect();
    gate.wait_arrivals(workers);
    gate.open();
    first.iter().for_each(|first| assert_told("a first task", first, true));
}

fn hold(pass: Option<Pass>) {
    if let Some(pass) = pass {
        pass.go();
    }
}

#[test]
fn a_run_limit() {
    watched(|| {
        let pool = pool(1);
        for _ in 0..ROUNDS {
            assert_told("a task that makes the worker ready", &told(&pool.submit(nothing, ()).unwrap()), true);
            let limited = pool.submit_with(TaskOptions::new().run_timeout(SHORT), for_ever, ()).unwrap();
            assert_told("a limit that passes", &told(&limited), false);
        }
    });
}

/// The limit of a task is met although one with a longer limit began before.
#[test]
fn a_shorter_run_limit() {
    watched(|| {
        let pool = pool(2);
        for _ in 0..ROUNDS {
            warm_up(&pool, 2);
            let long = pool.submit_with(TaskOptions::new().run_timeout(LONG), for_ever, ()).unwrap();
            let limited = pool.submit_with(TaskOptions::new().run_timeout(SHORT), for_ever, ()).unwrap();
            assert_told("a limit that passes", &told(&limited), false);
            long.stop();
        }
    });
}

/// A limit is met although the task began behind one that has none, and no worker could take it over.
#[test]
fn a_run_limit_behind_a_task_that_has_none() {
    watched(|| {
        let pool = pool(1);
        for _ in 0..ROUNDS {
            let gate = Gate::new();
            let first = told(&pool.submit(hold, Some(gate.pass())).unwrap());
            gate.wait_arrivals(1);
            let limited = pool.submit_with(TaskOptions::new().run_timeout(SHORT), for_ever, ()).unwrap();
            gate.open();
            assert_told("the first", &first, true);
            assert_told("a limit that passes", &told(&limited), false);
        }
    });
}

#[test]
fn a_memory_limit() {
    fn eat(_: ()) {
        let eaten: Vec<u64> = (0..1 << 26).collect();
        std::hint::black_box(&eaten);
        for_ever(());
    }
    watched(|| {
        let pool = quiet(1).hard_memory_limit(200 << 20).build().unwrap();
        for _ in 0..3 {
            assert_told("a task that makes the worker ready", &told(&pool.submit(nothing, ()).unwrap()), true);
            assert_told("a task that eats memory", &told(&pool.submit(eat, ()).unwrap()), false);
        }
    });
}

/// What was dealt behind a task that then takes long goes to a worker that has nothing to do.
#[test]
fn a_task_behind_a_long_one() {
    watched(|| {
        let pool = pool(2);
        warm_up(&pool, 2);
        for _ in 0..ROUNDS {
            // Cheap, as far as the pool knows.
            let cheap: Vec<_> = (0..300).map(|_| told(&pool.submit(hold, None).unwrap())).collect();
            cheap.iter().for_each(|cheap| assert_told("a cheap task", cheap, true));
            let gate = Gate::new();
            let long = told(&pool.submit(hold, Some(gate.pass())).unwrap());
            let behind = told(&pool.submit(hold, None).unwrap());
            assert_told("the task behind a long one", &behind, true);
            gate.open();
            assert_told("the long one", &long, true);
        }
    });
}

/// While memory of one result is looked for in the socket, the bell for the next may be there, too.
#[test]
fn results_that_contain_memory() {
    fn build(length: usize) -> SharedBuffer {
        SharedBuffer::build(length, |bytes| bytes.fill(1)).unwrap()
    }
    watched(|| {
        let pool = pool(1);
        for round in 0..1000 {
            let some: Vec<_> = (1..10).map(|length| told(&pool.submit(build, length).unwrap())).collect();
            some.iter().for_each(|one| assert_told(&format!("a buffer of round {round}"), one, true));
        }
    });
}
