//! Workers that do not get as far as their first task: when the pool goes on trying, when it is broken, and that it does not
//! stay so.

use crate::processes;
use crate::support::{LONG, Scratch, append, assert_works, double, exit, kill_self, outcome, quiet, read_lines, until};
use crate::watchdog::{step, watched};
use executor_core::{ExecutorExt, SubmitError, TaskError};
use rustix::process::Signal;
use std::path::Path;
use std::time::Duration;

/// How a worker begins as long as there is a certain file.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
enum Start {
    Hangs,
    IsKilled,
    Exits,
    /// Takes longer than `WITHIN` before that.
    ExitsLate,
}

/// A time in which so many starts may fail.
const WITHIN: Duration = Duration::from_millis(100);

fn start((how, file, log): (Start, String, String)) -> Result<(), String> {
    append(log, &format!("{}\n", std::process::id()));
    while Path::new(&file).exists() {
        match how {
            Start::Hangs => std::thread::sleep(Duration::from_millis(1)),
            Start::IsKilled => kill_self(),
            Start::Exits => exit(9),
            Start::ExitsLate => {
                std::thread::sleep(2 * WITHIN);
                exit(9)
            }
        }
    }
    Ok(())
}

/// A file that makes starts fail, and a log of the starts.
struct Trouble {
    file: String,
    log: String,
    _scratch: Scratch,
}

impl Trouble {
    fn new() -> Self {
        let scratch = Scratch::new();
        let (file, log) = (scratch.path("trouble"), scratch.path("log"));
        append(&file, "");
        Self { file, log, _scratch: scratch }
    }

    fn starts(&self) -> Vec<u32> {
        read_lines(&self.log).iter().map(|line| line.parse().unwrap()).collect()
    }

    fn end(&self) {
        std::fs::remove_file(&self.file).unwrap();
    }

    fn arguments(&self, how: Start) -> (Start, String, String) {
        (how, self.file.clone(), self.log.clone())
    }
}

#[track_caller]
fn assert_broken<R: std::fmt::Debug>(outcome: Result<R, TaskError>, words: &[&str]) {
    let Err(TaskError::Broken(_, broken)) = outcome else { panic!("not broken: {outcome:?}") };
    for word in words {
        assert!(broken.to_string().contains(word), "{word:?} is missing in {broken}");
    }
}

/// Whoever kills workers, it says nothing of the program.
#[test]
fn workers_killed_before_they_are_ready_are_started_again() {
    watched(|| {
        let trouble = Trouble::new();
        let pool = quiet(1).initializer_with(start, trouble.arguments(Start::Hangs)).build().unwrap();
        let waiting = pool.submit(double, 4).unwrap();
        for killed in 0..8 {
            until("another worker begins", || trouble.starts().len() > killed);
            processes::send(trouble.starts()[killed], Signal::KILL);
        }
        until("another worker begins", || trouble.starts().len() > 8);
        trouble.end();
        assert_eq!(outcome("a task that waited", waiting).unwrap(), 8);
        assert_works(&pool);
    });
}

/// No task waits for ever for a worker that somebody always kills.
#[test]
fn tasks_end_if_workers_are_killed_for_long() {
    watched(|| {
        let trouble = Trouble::new();
        let within = Duration::from_millis(100);
        let builder = quiet(1).restart_intensity(1, within);
        let pool = builder.initializer_with(start, trouble.arguments(Start::IsKilled)).build().unwrap();
        let waiting = pool.submit(double, 4).unwrap();
        assert_broken(outcome("a task that waits", waiting), &["killed as they start", "SIGKILL, not by its pool"]);
        trouble.end();
        assert_works(&pool);
    });
}

#[test]
fn a_program_that_never_begins_is_started_so_often_and_no_more() {
    watched(|| {
        let trouble = Trouble::new();
        let builder = quiet(1).restart_intensity(4, LONG);
        let pool = builder.initializer_with(start, trouble.arguments(Start::Exits)).build().unwrap();
        let waiting = pool.submit(double, 4).unwrap();
        assert_broken(outcome("a task", waiting), &["exited with code 9", "before it was ready"]);
        assert_eq!(trouble.starts().len(), 4);
        for _ in 0..3 {
            let Err(SubmitError::Broken(broken)) = pool.submit(double, 1) else { panic!("it takes another task") };
            assert!(broken.to_string().contains("exited with code 9"), "{broken}");
        }
        step("the end of a broken pool");
        drop(pool);
        assert_eq!(trouble.starts().len(), 4);
    });
}

/// So many failures never fit into so short a time, as the pauses between them grow.
#[test]
fn a_program_that_never_begins_is_not_started_for_ever() {
    watched(|| {
        let trouble = Trouble::new();
        let builder = quiet(1).restart_intensity(20, Duration::from_millis(200));
        let pool = builder.initializer_with(start, trouble.arguments(Start::Exits)).build().unwrap();
        let waiting = pool.submit(double, 4).unwrap();
        assert_broken(outcome("a task", waiting), &["exited with code 9", "before it was ready"]);
        step("the end of a broken pool");
        drop(pool);
    });
}

/// What broke the pool has passed: it is tried again after a while, by itself. How long a start takes does not matter.
#[test]
fn a_pool_is_broken_for_a_while_only() {
    watched(|| {
        for how in [Start::Exits, Start::ExitsLate] {
            let trouble = Trouble::new();
            let builder = quiet(1).restart_intensity(3, WITHIN).queue_capacity(1);
            let pool = builder.initializer_with(start, trouble.arguments(how)).build().unwrap();
            assert_broken(outcome("a task", pool.submit(double, 4).unwrap()), &["exited with code 9"]);
            assert_eq!(trouble.starts().len(), 3);
            // Also those that find no room, or wait for it, are refused meanwhile.
            until("it is tried again", || trouble.starts().len() > 3 || pool.try_submit(double, 1).is_ok());
            trouble.end();
            let mut done = None;
            until("it works again", || {
                done = pool.submit(double, 4).ok().and_then(|future| future.result().ok());
                done.is_some()
            });
            assert_eq!(done, Some(8));
            assert_works(&pool);
        }
    });
}

/// What will not pass by itself is said at once, with the call and what to do, and to all at once.
#[test]
fn what_the_system_refuses_for_good_breaks_the_pool_at_once() {
    watched(|| {
        let scratch = Scratch::new();
        let folder = scratch.path("folder");
        std::fs::create_dir(&folder).unwrap();
        let within = Duration::from_millis(500);
        let pool = quiet(2).current_dir(&folder).restart_intensity(1, within).build().unwrap();
        std::fs::remove_dir(&folder).unwrap();
        step("a thousand inputs for workers that cannot be started");
        let outcomes: Vec<_> = pool.map(double, 0..1000_u64).collect();
        for outcome in outcomes {
            let text = outcome.unwrap_err().to_string();
            assert!(text.contains(&format!("chdir to {folder} failed: No such file")), "{text}");
        }
        std::fs::create_dir(&folder).unwrap();
        until("it works again", || pool.submit(double, 4).is_ok_and(|future| future.result().is_ok()));
    });
}

/// More environment than a process may have.
#[test]
fn too_large_an_environment() {
    watched(|| {
        let pool = quiet(1).env("LARGE", "x".repeat(4 << 20)).build().unwrap();
        let task = outcome("a task", pool.submit(double, 1).unwrap());
        assert_broken(task, &["posix_spawn", "Argument list too long", "make the environment smaller"]);
        assert!(matches!(pool.submit(double, 1), Err(SubmitError::Broken(_))));
    });
}
