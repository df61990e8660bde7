//! A worker that dies after its result is complete and before anybody in the parent has looked: the result counts.
//!
//! The parent is a program of its own, which its own task stops (SIGSTOP) just before it returns, so that it cannot look.

use crate::child::{self, Running};
use crate::processes;
use crate::support::{Scratch, append, assert_works, pool, read_lines, until};
use crate::watchdog::watched;
use executor_core::ExecutorExt;
use rustix::process::Signal;

/// Stops the parent, and returns.
fn stop_parent((notes, bytes): (String, usize)) -> Vec<u8> {
    append(&notes, &format!("{}\n", std::process::id()));
    let parent = rustix::process::getppid().unwrap().as_raw_nonzero().get().unsigned_abs();
    processes::stop(parent);
    append(&notes, "stopped\n");
    vec![7; bytes]
}

#[test]
fn the_program() {
    let Some(argument) = child::argument() else { return };
    let (notes, bytes) = argument.split_once(' ').unwrap();
    let bytes: usize = bytes.parse().unwrap();
    watched(|| {
        let pool = pool(1);
        let task = pool.submit(stop_parent, (notes.to_owned(), bytes)).unwrap();
        assert_eq!(task.result().unwrap(), vec![7; bytes]);
        until("the death is noticed", || pool.stats().deaths == 1);
        assert_works(&pool);
        // It ran once: it was not taken for lost and run again.
        assert_eq!(read_lines(notes).len(), 2);
    });
}

fn dies_unnoticed(bytes: usize) {
    let scratch = Scratch::new();
    let (notes, said) = (scratch.path("notes"), scratch.path("said"));
    let mut parent = Running::start("unnoticed::the_program", &format!("{notes} {bytes}"), &said, |_| ());
    until("the task is at its end", || read_lines(&notes).len() == 2);
    let worker: u32 = read_lines(&notes)[0].parse().unwrap();
    // Nothing is left to do for it but to sleep.
    until("the worker sleeps", || processes::is_asleep(worker));
    processes::send(worker, Signal::KILL);
    until("the worker is dead", || !processes::is_alive(worker));
    processes::send(parent.pid(), Signal::CONT);
    let end = parent.end();
    assert!(end.success(), "{end}\n{}", std::fs::read_to_string(&said).unwrap());
}

#[test]
fn p1_a_small_result_is_not_lost() {
    watched(|| dies_unnoticed(3));
}

#[test]
fn p1_a_result_in_a_block_is_not_lost() {
    watched(|| dies_unnoticed(1000));
}

#[test]
fn p1_a_large_result_is_not_lost() {
    watched(|| dies_unnoticed(1024 * 1024));
}
