//! The code of the README, on every executor and both ways to worker processes.

use concurrent_futures::{ExecutorSpec, prelude::*};
// Keeps the panics of the example from being printed, in its worker processes as well.
use executor_conformance as _;
use executor_core::{Executor, TaskError};
use process_executor::{ProcessPoolExecutor, TransportKind};
use std::time::Duration;

/// Defines items, and a list of their texts.
macro_rules! as_in_the_readme {
    ($($item:item)*) => {
        $($item)*

        const ITEMS: &[&str] = &[$(stringify!($item)),*];
    };
}

as_in_the_readme! {
    fn count_primes(below: u64) -> u64 {
        (2..below).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0)).count() as u64
    }

    fn parse(text: String) -> u32 {
        match text.as_str() {
            "crash" => std::process::abort(),
            "hang" => std::thread::sleep(Duration::MAX),
            _ => {}
        }
        text.parse().expect("a number")
    }
}

/// Returns code without comments and white space.
fn bare(code: &str) -> String {
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.flat_map(str::chars).filter(|letter| !letter.is_whitespace()).collect()
}

#[test]
fn the_functions_here_are_those_of_the_readme() {
    let readme = bare(include_str!("../README.md"));
    for item in ITEMS {
        assert!(readme.contains(&bare(item)), "not in the README: {item}");
    }
}

fn every_executor(run: fn(&dyn Executor, &str)) {
    for word in ["serial", "threads", "threads:2", "processes", "processes:2", "processes?"] {
        let pool = word.parse::<ExecutorSpec>().unwrap().build_any().unwrap();
        run(&pool, word);
    }
    run(&over_ipc_channel(), "processes over ipc-channel");
}

fn over_ipc_channel() -> ProcessPoolExecutor {
    ProcessPoolExecutor::builder().workers(2).transport(TransportKind::IpcChannel).build().unwrap()
}

#[test]
fn the_first_example_runs_on_every_executor() {
    every_executor(|pool, word| {
        let future = pool.submit(count_primes, 10_000).unwrap();
        let counts: Vec<_> = pool.map(count_primes, [10, 100, 1_000]).map(Result::unwrap).collect();
        assert_eq!(counts, [4, 25, 168], "{word}");
        assert_eq!(future.result().unwrap(), 1229, "{word}");
    });
}

#[test]
fn the_second_example_without_crashes_runs_on_every_executor() {
    every_executor(|pool, word| {
        let futures = ["1", "2", "three", "4"].map(|text| pool.submit(parse, text.to_owned()).unwrap());
        let [one, two, three, four] = futures.map(concurrent_futures::Future::result);
        assert_eq!((one.unwrap(), two.unwrap(), four.unwrap()), (1, 2, 4), "{word}");
        assert!(matches!(three, Err(TaskError::Panicked(_))), "{word}: {three:?}");
    });
}

#[test]
fn the_second_example_survives_in_worker_processes() {
    let through = |pool: &dyn Executor| {
        // The other tasks have time enough, however busy the machine is.
        let limit = |text| Duration::from_secs(if text == "hang" { 1 } else { 3600 });
        let options = |text| TaskOptions::new().run_timeout(limit(text));
        let texts = ["1", "crash", "2", "hang", "three", "4"];
        let futures = texts.map(|text| pool.submit_with(options(text), parse, text.to_owned()).unwrap());
        match futures.map(concurrent_futures::Future::result) {
            [
                Ok(1),
                Err(TaskError::WorkerDied(_)),
                Ok(2),
                Err(TaskError::TimedOut(_)),
                Err(TaskError::Panicked(_)),
                Ok(4),
            ] => {}
            other => panic!("{other:?}"),
        }
    };
    through(&ProcessPoolExecutor::with_workers(2).unwrap());
    through(&over_ipc_channel());
}
