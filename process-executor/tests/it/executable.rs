//! P25: the executable, wherever it is and whatever has become of its file; and what a task finds in a worker that never ran `main`.

use crate::child;
use crate::processes;
use crate::program;
use crate::support::{Scratch, assert_works, kill_self, only_death, outcome, own_pid, pool, quiet};
use crate::watchdog::{step, watched};
use executor_core::{ExecutorExt, TaskError};
use process_executor::ProcessPoolExecutor;
use rustix::process::Signal;
use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

/// A program that was started by a link has its file removed, or replaced, while it runs.
#[test]
fn a_file_that_is_gone_or_another() {
    watched(|| {
        for what in ["stays", "is removed", "is replaced"] {
            let scratch = Scratch::new();
            let (file, link) = (scratch.path("program"), scratch.path("link"));
            program::copy_to(&file);
            symlink(&file, &link).unwrap();
            child::run("executable::program_without_a_file", &format!("{file} {what}"), |command| {
                child::start_by(command, |_| Command::new(&link));
            });
        }
    });
}

#[test]
fn program_without_a_file() {
    let Some(argument) = child::argument() else { return };
    let (file, what) = argument.split_once(' ').unwrap();
    watched(|| {
        let early = pool(1);
        let before = outcome("a task", early.submit(own_pid, ()).unwrap()).unwrap();
        match what {
            "stays" => {}
            "is removed" => fs::remove_file(file).unwrap(),
            _ => {
                fs::copy("/bin/true", format!("{file}-new")).unwrap();
                fs::rename(format!("{file}-new"), file).unwrap();
            }
        }
        assert_works(&pool(1));
        let killed = early.submit(|()| -> () { kill_self() }, ()).unwrap();
        only_death(outcome("a task that kills its worker", killed));
        assert_ne!(outcome("a task of the next worker", early.submit(own_pid, ()).unwrap()).unwrap(), before);
    });
}

/// Arguments, threads and their locals, output: as in any program.
#[test]
fn what_a_task_finds() {
    thread_local! {
        static CALLS: Cell<u32> = const { Cell::new(0) };
    }
    fn look(_: ()) -> (Vec<String>, u32, u32) {
        let count = || CALLS.with(|calls| calls.replace(calls.get() + 1));
        let here = count();
        let there = std::thread::spawn(count).join().unwrap();
        let _ = std::io::Write::flush(&mut std::io::stdout());
        (std::env::args().collect(), here, there)
    }
    watched(|| {
        let pool = pool(1);
        for call in 0..3 {
            let (arguments, here, there) = outcome("a task", pool.submit(look, ()).unwrap()).unwrap();
            assert!(arguments.len() == 1 && arguments[0].contains("(worker "), "{arguments:?}");
            assert_eq!((here, there), (call, 0));
        }
    });
}

#[inline(never)]
fn fall_down(depth: u32) {
    assert!(depth > 0, "on purpose");
    fall_down(std::hint::black_box(depth - 1));
    std::hint::black_box(());
}

/// The backtrace of a panic is that of the worker, if workers are to make one.
#[test]
fn a_backtrace() {
    watched(|| {
        for (wanted, expected) in [("1", true), ("0", false)] {
            let pool = quiet(1).env("RUST_BACKTRACE", wanted).build().unwrap();
            match outcome("a panic", pool.submit(fall_down, 3).unwrap()) {
                Err(TaskError::Panicked(panic)) => {
                    let found = panic.backtrace().is_some_and(|text| text.contains("fall_down"));
                    assert_eq!(found, expected, "RUST_BACKTRACE={wanted}: {:?}", panic.backtrace());
                }
                other => panic!("no panic: {other:?}"),
            }
        }
    });
}

fn fall(text: String) {
    panic!("{text}");
}

/// A worker prints what a panic says, as any program does. Tests silence only those that happen on purpose.
#[test]
fn the_message_of_a_panic() {
    watched(|| {
        let output = child::run("executable::panicking_program", "1", |_| ());
        let said = child::text(&output.stderr);
        for fault in ["a fault in a call", "a fault in a map"] {
            assert_eq!(said.matches(fault).count(), 1, "{fault:?} in {said}");
        }
        let (place, name) = (concat!("panicked at ", file!()), "thread 'painter_0'");
        assert_eq!((said.matches(place).count(), said.matches(name).count()), (2, 2), "{said}");
        assert!(!said.contains("on purpose"), "{said}");
    });
}

#[test]
fn panicking_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let pool = ProcessPoolExecutor::builder().workers(1).worker_name_prefix("painter").build().unwrap();
        for text in ["a fault in a call", "a panic on purpose"] {
            let error = outcome(text, pool.submit(fall, text.to_owned()).unwrap()).unwrap_err();
            assert!(error.is_panic(), "{error}");
        }
        step("a map with a panic");
        let texts = ["a fault in a map", "an item on purpose"].map(str::to_owned);
        assert!(pool.map(fall, texts).all(|outcome| outcome.unwrap_err().is_panic()));
    });
}

/// The program's own children are its own: it learns how they ended, also while workers die.
#[test]
fn children_of_the_program() {
    fn handled() -> String {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        status.lines().find(|line| line.starts_with("SigCgt")).unwrap().to_owned()
    }
    watched(|| {
        let before = handled();
        let mut children: Vec<_> =
            (0..3).map(|code| Command::new("sh").args(["-c", &format!("exit {code}")]).spawn().unwrap()).collect();
        let pool = pool(2);
        for _ in 0..3 {
            let pid = outcome("a task", pool.submit(own_pid, ()).unwrap()).unwrap();
            processes::send(pid, Signal::KILL);
            step("another worker");
            assert_works(&pool);
        }
        drop(pool);
        for (code, child) in (0..).zip(&mut children) {
            assert_eq!(child.wait().unwrap().code(), Some(code));
        }
        assert_eq!(handled(), before, "signals with handlers");
    });
}
