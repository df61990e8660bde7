//! Pools inside tasks: they work, they share the machine, and their depth is bounded.

use crate::child;
use crate::processes;
use crate::support::{Scratch, append, assert_works, double, outcome, pool, quiet, read_lines, until};
use crate::watchdog::{step, watched};
use executor_core::{ExecutorExt, TaskError};
use process_executor::ProcessPoolExecutor;

fn sum_of_doubles(count: u64) -> u64 {
    let pool = pool(2);
    pool.map(double, 0..count).map(Result::unwrap).sum()
}

#[test]
fn a_pool_in_a_task() {
    watched(|| {
        let pool = pool(2);
        let tasks: Vec<_> = (0..4).map(|_| pool.submit(sum_of_doubles, 100).unwrap()).collect();
        for task in tasks {
            assert_eq!(outcome("a task with a pool", task).unwrap(), 9900);
        }
    });
}

/// Each level builds a pool until that is refused; the refusal comes back through all levels.
fn nest(depth: u64) -> (u64, String) {
    match quiet(1).build() {
        Ok(pool) => match pool.submit(nest, depth + 1).unwrap().result() {
            Ok(deepest) => deepest,
            Err(error) => (depth, format!("unexpected: {error}")),
        },
        Err(error) => (depth, error.to_string()),
    }
}

#[test]
fn the_depth_is_bounded() {
    watched(|| {
        step("pools in pools in pools");
        let (depth, text) = nest(0);
        assert_eq!(depth, 8, "{text}");
        assert!(text.contains("nested 9 deep"), "{text}");
    });
}

/// The depth comes from the environment, where it may be any number.
#[test]
fn a_depth_beyond_all_numbers_is_too_deep() {
    watched(|| {
        child::run("nested::too_deep_program", "1", |command| {
            command.env("CONCURRENT_FUTURES_DEPTH", u32::MAX.to_string());
        });
    });
}

#[test]
fn too_deep_program() {
    if child::argument().is_some() {
        assert!(nest(0).1.contains("nested 4294967295 deep"));
    }
}

/// The workers of a worker end with it: they are its children, and see that it is gone.
#[test]
fn inner_workers_end_with_the_outer_one() {
    fn inner(notes: String) {
        append(notes, &format!("{}\n", std::process::id()));
        loop {
            std::thread::park();
        }
    }
    fn outer(notes: String) {
        let pool = pool(2);
        let tasks: Vec<_> = (0..2).map(|_| pool.submit(inner, notes.clone()).unwrap()).collect();
        tasks.into_iter().for_each(|task| drop(task.result()));
    }
    watched(|| {
        let pool = pool(1);
        let scratch = Scratch::new();
        let notes = scratch.path("notes");
        let task = pool.submit(outer, notes.clone()).unwrap();
        until("the inner tasks run", || read_lines(&notes).len() == 2);
        task.stop();
        assert!(matches!(outcome("the outer task", task), Err(TaskError::Cancelled(_))));
        for pid in read_lines(&notes) {
            until("an inner worker is gone", || !processes::is_alive(pid.parse().unwrap()));
        }
        assert_works(&pool);
    });
}

#[test]
fn workers_learn_their_share() {
    watched(|| {
        child::run("nested::share_program", "1", |command| {
            command.env("CONCURRENT_FUTURES_WORKERS", "8").env_remove("RAYON_NUM_THREADS");
            command.env("OMP_NUM_THREADS", "5");
        });
    });
}

/// The variable is about pools without a count. To others it only tells the share of their workers, for which there is a
/// default.
#[test]
fn a_bad_variable_is_nothing_to_a_pool_with_a_count() {
    watched(|| {
        for bad in ["many", "0", "", "99999999"] {
            child::run("nested::bad_variable_program", bad, |command| {
                command.env("CONCURRENT_FUTURES_WORKERS", bad);
            });
        }
    });
}

#[test]
fn bad_variable_program() {
    let Some(bad) = child::argument() else { return };
    watched(|| {
        let error = ProcessPoolExecutor::new().unwrap_err().to_string();
        assert!(error.contains(&bad), "{error}");
        let pool = pool(2);
        let share = outcome("a look", pool.submit(variable, "CONCURRENT_FUTURES_WORKERS".to_owned()).unwrap()).unwrap();
        assert!(share.is_some_and(|share| share.parse::<usize>().is_ok_and(|share| share > 0)));
    });
}

fn variable(name: String) -> Option<String> {
    std::env::var(name).ok()
}

fn share_of_inner_workers(_: ()) -> (usize, Option<String>) {
    let pool = ProcessPoolExecutor::new().unwrap();
    let share = pool.submit(variable, "RAYON_NUM_THREADS".to_owned()).unwrap().result().unwrap();
    (executor_core::Executor::workers(&pool), share)
}

#[test]
fn share_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let pool = pool(4);
        let ask = |name: &str| outcome(name, pool.submit(variable, name.to_owned()).unwrap()).unwrap();
        assert_eq!(ask("RAYON_NUM_THREADS").as_deref(), Some("2"));
        assert_eq!(ask("CONCURRENT_FUTURES_WORKERS").as_deref(), Some("2"));
        // What the user has set stays.
        assert_eq!(ask("OMP_NUM_THREADS").as_deref(), Some("5"));
        let inner = outcome("a pool in a task", pool.submit(share_of_inner_workers, ()).unwrap()).unwrap();
        assert_eq!(inner, (2, Some("1".to_owned())));
        // More workers than there are processors: one thread each, not none.
        let many = quiet(20).build().unwrap();
        let share = outcome("a worker of many", many.submit(variable, "RAYON_NUM_THREADS".to_owned()).unwrap());
        assert_eq!(share.unwrap().as_deref(), Some("1"));
        // The program's own environment is as it was.
        assert_eq!(std::env::var("RAYON_NUM_THREADS").ok(), None);
    });
}

/// What the user has set stays as it is, however deep.
#[test]
fn variables_that_the_user_has_set() {
    watched(|| {
        child::run("nested::variables_program", "1", |command| {
            command.env("OMP_NUM_THREADS", "5").env_remove("MKL_NUM_THREADS").env_remove("RAYON_NUM_THREADS");
        });
    });
}

fn variables(depth: u64) -> Vec<String> {
    if depth == 0 {
        let names = ["OMP_NUM_THREADS", "RAYON_NUM_THREADS", "MKL_NUM_THREADS"];
        return names.map(|name| std::env::var(name).unwrap_or_default()).to_vec();
    }
    pool(1).submit(variables, depth - 1).unwrap().result().unwrap()
}

#[test]
fn variables_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let pool = quiet(1).env("RAYON_NUM_THREADS", "7").build().unwrap();
        for depth in 0..3 {
            let found = outcome("a task", pool.submit(variables, depth).unwrap()).unwrap();
            assert_eq!(found[..2], ["5", "7"], "{depth} below");
            assert!(found[2].parse::<usize>().is_ok_and(|share| share > 0), "{depth} below: {found:?}");
        }
    });
}
