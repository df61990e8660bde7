//! Shutdown at the same moment as everything else: whichever wins, every future resolves and nothing hangs.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;

use executor_core::{Executor, ExecutorExt, Future, Shutdown, SubmitError};

use super::support::Counter;
use crate::case::{Case, Needs};
use crate::stage::Stage;
use crate::subject::{Config, Subject};
use crate::{step, tasks};

const ROUNDS: usize = 40;

pub(crate) const CASES: &[Case] = &[
    Case::new("shutdown_race.with_submit", &["S1", "E6", "H25", "H55"], Needs::ANY, with_submit),
    Case::new("shutdown_race.with_submit_and_cancel", &["S14", "H30"], Needs::ANY, with_submit_and_cancel),
    Case::new("shutdown_race.with_shutdown", &["S2", "H30"], Needs::ANY, with_shutdown),
    Case::new("shutdown_race.with_callbacks", &["F19", "F20", "H30"], Needs::ANY, with_callbacks),
    Case::new("shutdown_race.with_drop_of_the_last_pointer", &["S10", "H54"], Needs::ANY, with_last_pointer),
    Case::new("shutdown_race.with_a_map", &["M19", "H47"], Needs::ANY, with_a_map),
];

/// Every way to shut down, in turn.
fn how(round: usize) -> Shutdown {
    match round % 4 {
        0 => Shutdown::wait(),
        1 => Shutdown::no_wait(),
        2 => Shutdown::wait().cancel_futures(),
        _ => Shutdown::no_wait().cancel_futures(),
    }
}

/// An accepted task has an outcome, which is its value or "cancelled"; a refused one was refused for the shutdown.
fn submit_until_refused(pool: &dyn Executor, cancel: bool) {
    let mut accepted = Vec::new();
    for number in 0_u64.. {
        match pool.submit(tasks::double, number) {
            Ok(future) => accepted.push((number, future)),
            Err(SubmitError::ShutDown) => break,
            Err(other) => panic!("{other:?}"),
        }
        if cancel && let Some((_, future)) = accepted.get(accepted.len() / 2) {
            let _ = future.cancel();
        }
    }
    for (number, future) in accepted {
        match future.result() {
            Ok(value) => assert_eq!(value, 2 * number),
            Err(error) => assert!(error.is_cancelled(), "{error:?}"),
        }
    }
}

fn race_with_submit(subject: &Subject, cancel: bool) {
    for round in 0..ROUNDS {
        let (stage, ready) = (Stage::new(subject), Barrier::new(3));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    ready.wait();
                    submit_until_refused(stage.pool(), cancel);
                });
            }
            ready.wait();
            step(format!("round {round}: shutting down while two threads submit"));
            stage.pool().shutdown(how(round));
        });
    }
}

fn with_submit(subject: &Subject) {
    race_with_submit(subject, false);
}

fn with_submit_and_cancel(subject: &Subject) {
    race_with_submit(subject, true);
}

fn with_shutdown(subject: &Subject) {
    for round in 0..ROUNDS {
        let (stage, ready) = (Stage::new(subject), Barrier::new(3));
        let futures: Vec<_> = (0..5).map(|number| stage.pool().submit(tasks::double, number).unwrap()).collect();
        thread::scope(|scope| {
            for other in 0..3 {
                let (stage, ready) = (&stage, &ready);
                scope.spawn(move || {
                    ready.wait();
                    stage.pool().shutdown(how(round + other));
                });
            }
        });
        step("shutting down once more");
        stage.pool().shutdown(Shutdown::wait());
        assert!(futures.iter().all(Future::is_done));
    }
}

/// A callback is called once for each accepted task, whatever its outcome.
fn with_callbacks(subject: &Subject) {
    for round in 0..ROUNDS {
        let (stage, called, over) = (Stage::new(subject), Counter::default(), AtomicBool::new(false));
        let accepted = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                // Every sixteenth fails: a panic is slow where backtraces are asked for.
                let argument = || 2 - u64::from(accepted.load(Relaxed).is_multiple_of(16));
                while let Ok(future) = stage.pool().submit(tasks::double_even, argument()) {
                    let count = called.clone();
                    future.add_done_callback(move |_| count.add());
                    accepted.fetch_add(1, Relaxed);
                }
                over.store(true, Relaxed);
            });
            stage.pool().shutdown(how(round));
        });
        assert!(over.load(Relaxed));
        step("waiting for the workers of a shut down executor");
        stage.pool().shutdown(Shutdown::wait());
        assert_eq!(called.get(), accepted.load(Relaxed));
    }
}

fn with_last_pointer(subject: &Subject) {
    for _ in 0..ROUNDS {
        let pool: Arc<dyn Executor> = Arc::from(subject.build(&Config::default()));
        let other = Arc::clone(&pool);
        let submitting = thread::spawn(move || other.submit(tasks::double, 4).unwrap());
        drop(pool);
        step("joining the thread that may drop the executor");
        assert_eq!(submitting.join().unwrap().result().unwrap(), 8);
    }
}

/// The result is never short: results in order, perhaps cancelled ones, and at most one refusal, which comes last.
fn with_a_map(subject: &Subject) {
    for round in 0..ROUNDS {
        let (stage, ready) = (Stage::new(subject), Barrier::new(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                ready.wait();
                let outcomes: Vec<_> = stage.pool().map(tasks::double, 0..200).collect();
                let refused = outcomes.last().is_some_and(|last| last.as_ref().is_err_and(|e| !e.is_cancelled()));
                assert!(refused || outcomes.len() == 200, "{} outcomes and no refusal", outcomes.len());
                for (number, outcome) in (0..).zip(&outcomes[..outcomes.len() - usize::from(refused)]) {
                    match outcome {
                        Ok(value) => assert_eq!(*value, 2 * number),
                        Err(error) => assert!(error.is_cancelled(), "{error:?}"),
                    }
                }
            });
            ready.wait();
            stage.pool().shutdown(how(round));
        });
    }
}
