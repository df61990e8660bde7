//! Workers that are killed and do not end, as one that waits for a disk or lies in a frozen control group. Here a debugger
//! holds them at the very end of their process, where nothing but the debugger lets them go.

use crate::support::{
    Gate, Pass, SHORT, Scratch, append, double, note_untested, only_death, outcome, own_pid, quiet, read_lines, until,
};
use crate::watchdog::{step, watched};
use crate::{child, processes};
use executor_core::{ExecutorExt, TaskError, TaskOptions};
use process_executor::ProcessPoolExecutor;
use std::time::Duration;

fn for_ever(pass: Pass) {
    pass.arrive();
    loop {
        std::thread::park();
    }
}

/// A debugger that holds a process back when it ends, until it is dropped.
struct Debugger {
    gate: Gate,
    process: child::Running,
    _scratch: Scratch,
}

impl Debugger {
    /// `None`: this system lets nobody debug.
    fn attach(pid: u32) -> Option<Self> {
        let (gate, scratch) = (Gate::new(), Scratch::new());
        let report = scratch.path("report");
        let argument = format!("{pid} {report} {}", gate.pass().path());
        let process = child::Running::start("unreaped::debugger", &argument, &scratch.path("said"), |_| {});
        until("the debugger has tried", || !read_lines(&report).is_empty());
        let debugger = Self { gate, process, _scratch: scratch };
        (read_lines(&report) == ["attached"]).then_some(debugger)
    }

    /// Lets the process end.
    fn let_go(mut self) {
        self.gate.open();
        self.process.end();
    }
}

/// The debugger's process; what it holds goes on when it ends.
#[test]
fn debugger() {
    let Some(argument) = child::argument() else { return };
    let mut words = argument.split(' ');
    let mut next = || words.next().unwrap();
    let (pid, report, pass) = (next().parse::<u32>().unwrap(), next(), next());
    let is_attached = processes::hold_at_end(pid);
    append(report, if is_attached { "attached\n" } else { "refused\n" });
    if is_attached {
        Pass::at(pass).go();
    }
}

/// A pool whose only worker is held at its end.
fn held_pool() -> Option<(ProcessPoolExecutor, u32, Debugger)> {
    let pool = quiet(1).stop_grace(Duration::ZERO).build().unwrap();
    let pid = outcome("the first task", pool.submit(own_pid, ()).unwrap()).unwrap();
    let Some(debugger) = Debugger::attach(pid) else {
        note_untested("a killed worker that does not end: this system lets nobody debug");
        return None;
    };
    Some((pool, pid, debugger))
}

/// The seat is free, the end of the pool waits for nothing, and the process is reaped when it can be.
fn assert_goes_on(pool: ProcessPoolExecutor, held: u32, debugger: Debugger) {
    let other = outcome("the next task", pool.submit(own_pid, ()).unwrap()).unwrap();
    assert_ne!(other, held);
    step("the end of a pool with a worker that does not end");
    drop(pool);
    assert!(processes::state(held).is_some(), "it has ended, which proves nothing");
    debugger.let_go();
    until("it is reaped", || processes::state(held).is_none());
}

#[test]
fn a_run_limit_ends_a_task_whose_worker_does_not_end() {
    watched(|| {
        let Some((pool, pid, debugger)) = held_pool() else { return };
        let options = TaskOptions::new().run_timeout(SHORT);
        let gate = Gate::new();
        let endless = pool.submit_with(options, for_ever, gate.pass()).unwrap();
        let behind = pool.submit(double, 4).unwrap();
        let error = outcome("an endless task", endless).unwrap_err();
        assert!(matches!(error, TaskError::TimedOut(_)), "{error}");
        assert!(error.to_string().contains(&format!("not yet reaped (pid {pid})")), "{error}");
        assert_eq!(outcome("the one behind", behind).unwrap(), 8);
        assert_goes_on(pool, pid, debugger);
    });
}

#[test]
fn stop_ends_a_task_whose_worker_does_not_end() {
    watched(|| {
        let Some((pool, pid, debugger)) = held_pool() else { return };
        let gate = Gate::new();
        let endless = pool.submit(for_ever, gate.pass()).unwrap();
        gate.wait_arrivals(1);
        endless.stop();
        let error = outcome("a stopped task", endless).unwrap_err();
        assert!(error.is_cancelled(), "{error}");
        assert!(error.to_string().contains(&format!("not yet reaped (pid {pid})")), "{error}");
        assert_goes_on(pool, pid, debugger);
    });
}

#[test]
fn the_pool_ends_although_a_killed_worker_does_not() {
    watched(|| {
        let Some((pool, pid, debugger)) = held_pool() else { return };
        let gate = Gate::new();
        let endless = pool.submit(for_ever, gate.pass()).unwrap();
        gate.wait_arrivals(1);
        pool.kill_workers();
        let death = only_death(outcome("a task", endless));
        assert!(death.contains(&format!("not yet reaped (pid {pid})")), "{death}");
        step("the end of a pool with a worker that does not end");
        drop(pool);
        debugger.let_go();
        until("it is reaped", || processes::state(pid).is_none());
    });
}
