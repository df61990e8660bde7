//! Workers: how many run at once, and what they run first.

use executor_core::{ExecutorExt, Future, Shutdown, SubmitError, TaskError, as_completed};

use crate::case::{Case, Needs};
use crate::stage::Stage;
use crate::subject::{Config, Initializer, Subject};
use crate::{step, tasks};

pub(crate) const CASES: &[Case] = &[
    Case::new("workers.count_is_told", &["T2"], Needs::ANY, count_is_told),
    Case::new("workers.zero_is_refused", &["E4"], Needs::ANY.sized(), zero_is_refused),
    Case::new("workers.all_run_at_once", &["T1", "T6"], Needs::CONCURRENT.workers(4).sized(), all_run_at_once),
    Case::new("workers.never_more_than_asked", &["T1", "T4"], Needs::CONCURRENT, never_more_than_asked),
    Case::new("workers.come_back_after_idling", &["T1", "T5"], Needs::ANY, come_back_after_idling),
    Case::new(
        "workers.initializer_runs_once_each",
        &["I1"],
        Needs::CONCURRENT.initializer(),
        initializer_runs_once_each,
    ),
    Case::new("workers.initializer_runs_first", &["I1"], Needs::ANY.initializer(), initializer_runs_first),
    Case::new(
        "workers.failing_initializer_breaks",
        &["I2", "I5", "I6", "H40"],
        Needs::ANY.initializer(),
        failing_breaks,
    ),
    Case::new("workers.panicking_initializer_breaks", &["I2", "I5"], Needs::ANY.initializer(), panicking_breaks),
    Case::new(
        "workers.broken_one_shuts_down",
        &["I2", "I6", "S2", "H55"],
        Needs::ANY.initializer(),
        broken_one_shuts_down,
    ),
];

fn count_is_told(subject: &Subject) {
    let stage = Stage::new(subject);
    assert!((1..=subject.traits.max_workers).contains(&stage.pool().workers()));
    if subject.traits.sized {
        let wanted = subject.traits.max_workers.min(3);
        assert_eq!(Stage::workers(subject, wanted).pool().workers(), wanted);
    }
}

fn zero_is_refused(subject: &Subject) {
    let built = (subject.factory)(&Config { workers: Some(0), ..Config::default() });
    let error = built.expect_err("no worker would ever run a task").to_string();
    assert!(error.contains("worker"), "{error}");
}

/// A burst finds all the workers there may be; in Python it may find fewer.
fn all_run_at_once(subject: &Subject) {
    let stage = Stage::workers(subject, 4);
    for round in 0..10 {
        let gate = stage.gate(&format!("round {round}"));
        let futures: Vec<_> = (0..4).map(|_| stage.pool().submit(tasks::pass, gate.clone()).unwrap()).collect();
        gate.wait_arrivals(4);
        gate.open();
        futures.into_iter().for_each(|future| future.result().unwrap());
    }
}

/// The lines are written inside the tasks, so they cannot show more tasks at once than there were.
fn never_more_than_asked(subject: &Subject) {
    let stage = Stage::new(subject);
    let (log, gate) = (stage.log("brackets"), stage.gate("open"));
    gate.open();
    let workers = stage.pool().workers();
    let futures: Vec<_> =
        (0..15 * workers).map(|_| stage.pool().submit(tasks::bracket, (log.clone(), gate.clone())).unwrap()).collect();
    assert_eq!(as_completed(futures).count(), 15 * workers);
    let mut inside = 0_usize;
    for line in log.lines() {
        inside = if line == "enter" { inside + 1 } else { inside - 1 };
        assert!(inside <= workers, "{inside} tasks at once");
    }
    assert_eq!(log.lines().len(), 30 * workers);
}

/// Returns whether idle workers stay or retire, the next task finds one.
fn come_back_after_idling(subject: &Subject) {
    let stage = Stage::new(subject);
    for number in 0..30 {
        assert_eq!(stage.pool().submit(tasks::double, number).unwrap().result().unwrap(), 2 * number);
        if number % 10 == 0 {
            // Long enough for a worker to fall asleep or to retire; either way the next task must run.
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

fn with_initializer(subject: &Subject, initializer: Initializer) -> Stage {
    Stage::with(subject, Config { initializer: Some(initializer), ..Config::default() })
}

fn initializer_runs_once_each(subject: &Subject) {
    let stage = with_initializer(subject, tasks::count_initializer);
    let gate = stage.gate("inside");
    let workers = stage.pool().workers();
    let futures: Vec<_> =
        (0..workers).map(|_| stage.pool().submit(tasks::initializer_runs, gate.clone()).unwrap()).collect();
    gate.wait_arrivals(workers);
    gate.open();
    assert!(futures.into_iter().all(|future| future.result().unwrap() == 1));
}

fn initializer_runs_first(subject: &Subject) {
    let stage = with_initializer(subject, tasks::count_initializer);
    let gate = stage.gate("open");
    gate.open();
    for _ in 0..50 {
        assert_eq!(stage.pool().submit(tasks::initializer_runs, gate.clone()).unwrap().result().unwrap(), 1);
    }
}

fn failing_breaks(subject: &Subject) {
    breaks(subject, tasks::failing_initializer);
}

fn panicking_breaks(subject: &Subject) {
    breaks(subject, tasks::panicking_initializer);
}

/// Queued and later tasks get the initializer's own error; Python has it in the log only.
fn breaks(subject: &Subject, initializer: Initializer) {
    let stage = with_initializer(subject, initializer);
    step("submitting to an executor whose workers cannot start");
    let outcome = stage.pool().submit(tasks::double, 1).map(Future::result);
    let text = match outcome {
        Ok(Err(error @ TaskError::Broken(..))) => error.to_string(),
        Err(error @ SubmitError::Broken(_)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(text.contains("no licence for this machine"), "{text}");
    let later = stage.pool().submit(tasks::double, 1);
    match later.map(Future::result) {
        Err(SubmitError::Broken(_)) => {}
        other => panic!("a broken executor accepts nothing: {other:?}"),
    }
}

fn broken_one_shuts_down(subject: &Subject) {
    let stage = with_initializer(subject, tasks::failing_initializer);
    let futures: Vec<_> = (0..4).filter_map(|number| stage.pool().submit(tasks::double, number).ok()).collect();
    step("waiting for the futures of a broken executor");
    assert!(as_completed(futures).all(|future| future.result().is_err()));
    step("shutting a broken executor down");
    stage.pool().shutdown(Shutdown::wait());
    stage.pool().shutdown(Shutdown::wait().cancel_futures());
}
