//! A program that drops its privileges while its pool has workers: they keep the old ones, and may not be signalled any more.

use crate::support::{Gate, Pass, double, note_untested, quiet, read_lines, until};
use crate::watchdog::{step, watched};
use crate::{child, processes};
use executor_core::{ExecutorExt, MapOptions, Stop, TaskError, TaskOptions};
use std::time::Duration;

/// The user and group nobody.
const NOBODY: u32 = 65534;

fn for_ever(pass: Pass) {
    pass.arrive();
    loop {
        std::thread::park();
    }
}

fn own_user(_: ()) -> u32 {
    rustix::process::getuid().as_raw()
}

/// For ever, and with all threads.
fn become_nobody() {
    // SAFETY: no memory is involved; the C library sees to all threads.
    let done = unsafe { libc::setresgid(NOBODY, NOBODY, NOBODY) == 0 && libc::setresuid(NOBODY, NOBODY, NOBODY) == 0 };
    assert!(done, "{}", std::io::Error::last_os_error());
}

/// A program that was started as root, and its four workers: one over its limit, one that is stopped by its future, one that
/// is stopped by a signal besides, and one that has nothing to do.
#[test]
fn program() {
    let Some(argument) = child::argument() else { return };
    let gate = Pass::at(&argument);
    let arrived = format!("{argument}/arrived");
    let wait_for = |count| until("a task has begun", || read_lines(&arrived).len() == count);
    let pool = quiet(4).stop_grace(Duration::from_secs(3600)).build().unwrap();
    let for_a_while = TaskOptions::new().run_timeout(Duration::from_secs(5));
    let stopped = pool.submit(for_ever, gate.clone()).unwrap();
    wait_for(1);
    let unresponsive = pool.submit(for_ever, gate.clone()).unwrap();
    wait_for(2);
    let unresponsive_pid = read_lines(&arrived)[1].parse().unwrap();
    processes::stop(unresponsive_pid);
    assert_eq!(pool.submit(double, 4).unwrap().result().unwrap(), 8);
    let limited = pool.submit_with(for_a_while, for_ever, gate.clone()).unwrap();
    wait_for(3);

    become_nobody();
    step("the first task of another user");
    let user = loop {
        // A worker that was in use just now is noticed within a second.
        match pool.submit(own_user, ()).unwrap().result().unwrap() {
            0 => std::thread::yield_now(),
            user => break user,
        }
    };
    assert_eq!(user, NOBODY);
    assert!(limited.result().unwrap_err().is_timed_out());
    assert!([stopped.stop(), unresponsive.stop()] == [Stop::Requested; 2]);
    let error = stopped.result().unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    let error = unresponsive.result().unwrap_err();
    assert!(error.is_cancelled() && error.to_string().contains(&format!("(pid {unresponsive_pid})")), "{error}");
    for _ in 0..8 {
        assert_eq!(pool.submit(own_user, ()).unwrap().result().unwrap(), NOBODY);
    }
    drop(pool);
}

/// Notes that it begins. The first waits.
fn item((number, pass): (u32, Pass)) -> u32 {
    match number {
        0 => pass.go(),
        _ => pass.arrive(),
    }
    number
}

/// A program that was started as root, and a chunk whose first item is over its limit in a worker that is stopped: that one
/// cannot be killed, and would begin the next item if it were continued.
#[test]
fn program_with_a_chunk() {
    let Some(argument) = child::argument() else { return };
    let gate = Pass::at(&argument);
    let arrived = format!("{argument}/arrived");
    let pool = quiet(1).build().unwrap();
    let options = MapOptions::new().chunk_size(4).run_timeout(Duration::from_secs(5));
    let mut outcomes = pool.map_with(options, item, (0..4).map(|number| (number, gate.clone())));
    until("the first item has begun", || read_lines(&arrived).len() == 1);
    let pid: u32 = read_lines(&arrived)[0].parse().unwrap();
    processes::stop(pid);
    become_nobody();
    step("the items of a worker that cannot be killed");
    let error = outcomes.next().unwrap().unwrap_err();
    assert!(error.is_timed_out(), "{error}");
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(error, TaskError::WorkerDied(_)), "{error}");
        assert!(error.to_string().contains(&format!("(pid {pid})")), "{error}");
    }
    assert_eq!(read_lines(&arrived).len(), 1, "an item runs elsewhere, which its first worker may still begin");
    assert_eq!(pool.submit(own_user, ()).unwrap().result().unwrap(), NOBODY);
}

/// Nothing runs twice.
#[test]
fn what_is_left_of_a_chunk_runs_nowhere_else() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else can drop privileges.
        return;
    }
    watched(|| {
        let gate = Gate::new();
        child::run("privileges::program_with_a_chunk", &gate.pass().path(), |_| {});
        for pid in gate.arrivals() {
            until("no worker is left", || !processes::is_alive(pid));
        }
    });
}

/// All end, and none of those that are left is dealt a task.
#[test]
fn workers_with_other_rights_end_and_are_replaced() {
    if !rustix::process::geteuid().is_root() {
        return note_untested("privileges that are dropped: only root has some");
    }
    watched(|| {
        let gate = Gate::new();
        child::run("privileges::program", &gate.pass().path(), |_| {});
        for pid in gate.arrivals() {
            // The one that was stopped is continued when its parent ends.
            until("no worker is left", || !processes::is_alive(pid));
        }
    });
}
