//! A program that drops its privileges while its pool has workers: they keep the old ones, and may not be signalled any more.

use crate::support::{Gate, Pass, double, note_untested, quiet, read_lines, until};
use crate::watchdog::{step, watched};
use crate::{child, processes};
use executor_core::{ExecutorExt, Stop, TaskOptions};
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
    let deaf = pool.submit(for_ever, gate.clone()).unwrap();
    wait_for(2);
    let deaf_pid = read_lines(&arrived)[1].parse().unwrap();
    processes::stop(deaf_pid);
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
    assert!([stopped.stop(), deaf.stop()] == [Stop::Requested; 2]);
    let error = stopped.result().unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    let error = deaf.result().unwrap_err();
    assert!(error.is_cancelled() && error.to_string().contains(&format!("(pid {deaf_pid})")), "{error}");
    for _ in 0..8 {
        assert_eq!(pool.submit(own_user, ()).unwrap().result().unwrap(), NOBODY);
    }
    drop(pool);
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
