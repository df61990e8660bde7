//! When the parent is gone, by whatever cause and in whatever state, nothing is left: no worker, nothing that a worker has
//! started, no name in shared memory, no file.
//!
//! The parent is a program of its own: this binary, running the test `the_program` alone. It writes the processes that must
//! not outlive it into a file, then says "ready".

use crate::child::{self, Running};
use crate::processes;
use crate::support::{Gate, Pass, Scratch, append, double, leave_a_child, pool, read_lines, until};
use crate::watchdog::{step, watched};
use executor_core::{Executor, ExecutorExt, Shutdown};
use process_executor::{ProcessPoolExecutor, SharedBuffer};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

/// What the tasks of the program do when it ends.
fn note_self(notes: String) {
    append(notes, &format!("{}\n", std::process::id()));
}

fn loop_for_ever(notes: String) {
    note_self(notes);
    loop {
        std::hint::spin_loop();
    }
}

fn sleep_for_ever(notes: String) {
    note_self(notes);
    loop {
        std::thread::park();
    }
}

/// Is stopped, and hears nothing any more, not even the end of its connection.
fn stand_still(notes: String) {
    note_self(notes);
    processes::send(std::process::id(), Signal::STOP);
    loop {
        std::thread::park();
    }
}

/// Starts a process, which itself starts another, and waits for them.
fn wait_for_child(notes: String) {
    let script =
        format!("echo $$ >> {notes}; sleep 1000 & echo $! >> {notes}; echo {} >> {notes}; wait", std::process::id());
    Command::new("sh").args(["-c", &script]).status().unwrap();
}

/// As `wait_for_child`; those processes ignore SIGHUP, which the system sends to a group that stands still when nobody is left
/// who could continue it.
fn wait_for_unresponsive_child(notes: String) {
    let script = format!(
        "trap '' HUP; echo $$ >> {notes}; sleep 1000 & echo $! >> {notes}; echo {} >> {notes}; wait",
        std::process::id()
    );
    Command::new("sh").args(["-c", &script]).status().unwrap();
}

/// Leaves a process behind, and returns.
fn leave_child(notes: String) {
    let left = leave_a_child();
    append(notes, &format!("{left}\n{}\n", std::process::id()));
}

fn hold_a_buffer((notes, buffer): (String, SharedBuffer)) -> usize {
    note_self(notes);
    loop {
        std::hint::black_box(&buffer);
        std::thread::park();
    }
}

/// Has a pool of its own, which is at work.
fn loop_in_a_pool(notes: String) {
    note_self(notes.clone());
    drop(pool(1).submit(loop_for_ever, notes).unwrap().result());
}

/// Forks the program, without another to follow: what it has open stays open, until the file is gone.
fn fork(notes: &str) {
    let notes = CString::new(notes).unwrap();
    // SAFETY: the child calls nothing but what is allowed between fork and exec, and never returns.
    unsafe {
        if libc::fork() == 0 {
            while libc::access(notes.as_ptr(), libc::F_OK) == 0 {
                libc::usleep(10_000);
            }
            libc::_exit(0);
        }
    }
}

/// A pool that nobody will ever drop, and whose workers may say what they want.
fn leaked(workers: usize) -> &'static ProcessPoolExecutor {
    Box::leak(Box::new(ProcessPoolExecutor::with_workers(workers).unwrap()))
}

/// Starts two of such tasks and waits until they have noted `lines` processes.
fn busy(task: fn(String), notes: &str, lines: usize) -> &'static ProcessPoolExecutor {
    let pool = leaked(2);
    for _ in 0..2 {
        drop(pool.submit(task, notes.to_owned()).unwrap());
    }
    until("all are noted", || read_lines(notes).len() == lines);
    pool
}

/// Stops (SIGSTOP) each worker, or what `send` sends to instead.
fn stop(pool: &ProcessPoolExecutor, send: fn(u32, Signal)) {
    for worker in pool.worker_infos() {
        send(worker.pid(), Signal::STOP);
        processes::wait_until_stopped(worker.pid());
    }
}

/// Brings the program into a state.
fn reach(state: &str, notes: &str) {
    match state {
        "idle" => {
            let pool = leaked(2);
            pool.submit(note_self, notes.to_owned()).unwrap().result().unwrap();
        }
        "busy" => drop(busy(sleep_for_ever, notes, 2)),
        "looping" => drop(busy(loop_for_ever, notes, 2)),
        "with-pools" => drop(busy(loop_in_a_pool, notes, 4)),
        "with-a-fork" => {
            busy(loop_for_ever, notes, 2);
            fork(notes);
        }
        "standing-still" => {
            let pool = busy(stand_still, notes, 2);
            pool.worker_infos().iter().for_each(|worker| processes::wait_until_stopped(worker.pid()));
        }
        "idle-standing-still" => {
            let pool = leaked(1);
            pool.submit(note_self, notes.to_owned()).unwrap().result().unwrap();
            stop(pool, processes::send);
        }
        "with-children" => drop(busy(wait_for_child, notes, 6)),
        "with-children-standing-still" => stop(busy(wait_for_child, notes, 6), processes::send),
        "with-children-all-standing-still" => stop(busy(wait_for_child, notes, 6), processes::send_to_group),
        "with-unresponsive-children-standing-still" => {
            stop(busy(wait_for_unresponsive_child, notes, 6), processes::send)
        }
        "with-orphans" => drop(busy(leave_child, notes, 4)),
        "full-queue" => {
            let pool = busy(sleep_for_ever, notes, 2);
            (0..10_000).for_each(|number| drop(pool.submit(double, number).unwrap()));
        }
        "with-buffers" => {
            let pool = leaked(1);
            let buffer = SharedBuffer::from_slice(&[1; 1 << 20]).unwrap();
            drop(pool.submit(hold_a_buffer, (notes.to_owned(), buffer)).unwrap());
            until("it is noted", || read_lines(notes).len() == 1);
        }
        "starting" => {
            let gate: &Gate = Box::leak(Box::new(Gate::new()));
            let pool = crate::support::quiet(2).initializer_with(hold_start, (notes.to_owned(), gate.pass()));
            let pool = Box::leak(Box::new(pool.build().unwrap()));
            drop(pool.submit(double, 1).unwrap());
            until("one is noted", || !read_lines(notes).is_empty());
        }
        "shutting-down" => {
            busy(sleep_for_ever, notes, 2).shutdown(Shutdown::no_wait());
        }
        other => panic!("unknown: {other}"),
    }
}

#[test]
fn the_program() {
    let Some(argument) = child::argument() else { return };
    let (what, notes) = argument.split_once(' ').unwrap();
    let (state, end) = what.split_once('/').unwrap();
    watched(|| {
        crate::support::hear_interrupts();
        reach(state, notes);
        append(notes, "ready\n");
        match end {
            "wait" => loop {
                std::thread::park();
            },
            "return" => {}
            "panic" => panic!("the parent panics on purpose"),
            "exit" => crate::support::exit(5),
            "abort" => std::process::abort(),
            other => panic!("unknown: {other}"),
        }
    });
}

fn hold_start((notes, pass): (String, Pass)) -> Result<(), String> {
    note_self(notes);
    pass.go();
    Ok(())
}

fn names_in_shared_memory() -> BTreeSet<String> {
    let names = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

struct Ended {
    status: ExitStatus,
    said: String,
}

/// Starts the program in that state, ends it, and expects that nothing is left.
fn nothing_is_left(state_and_end: &str, end: impl FnOnce(&Running)) -> Ended {
    let before = names_in_shared_memory();
    let (scratch, temporary) = (Scratch::new(), Scratch::new());
    let (notes, said) = (scratch.path("notes"), scratch.path("said"));
    let mut parent = Running::start("parent::the_program", &format!("{state_and_end} {notes}"), &said, |command| {
        command.env("TMPDIR", temporary.folder()).process_group(0);
    });
    let mut processes = Vec::new();
    until(&format!("the program {state_and_end} is ready"), || {
        processes = read_lines(&notes);
        processes.last().is_some_and(|line| line == "ready")
    });
    processes.pop();
    end(&parent);
    let status = parent.end();
    for process in processes {
        until(&format!("{process} is gone, {state_and_end}"), || !processes::is_alive(process.parse().unwrap()));
    }
    until("no name is left in shared memory", || names_in_shared_memory().difference(&before).next().is_none());
    let mut left: Vec<_> = fs::read_dir(temporary.folder()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    // A gate of the program's own, not of the pool.
    left.retain(|name| !name.to_string_lossy().starts_with("process-executor-test-"));
    assert!(left.is_empty(), "left in the temporary folder: {left:?}");
    Ended { status, said: fs::read_to_string(said).unwrap() }
}

fn killed(state: &str) {
    let ended = nothing_is_left(&format!("{state}/wait"), |parent| processes::send(parent.pid(), Signal::KILL));
    assert_eq!(ended.status.signal(), Some(9), "{}", ended.said);
}

#[test]
fn killed_while_its_workers_are_idle() {
    watched(|| killed("idle"));
}

#[test]
fn killed_while_its_workers_are_busy() {
    watched(|| killed("busy"));
}

#[test]
fn killed_while_its_workers_loop_for_ever() {
    watched(|| killed("looping"));
}

#[test]
fn killed_while_its_workers_have_workers() {
    watched(|| killed("with-pools"));
}

/// The other ends of the workers' sockets are still open then.
#[test]
fn killed_while_a_fork_of_it_lives() {
    watched(|| killed("with-a-fork"));
}

#[test]
fn killed_while_its_workers_stand_still() {
    watched(|| killed("standing-still"));
}

#[test]
fn killed_while_its_idle_worker_stands_still() {
    watched(|| killed("idle-standing-still"));
}

#[test]
fn killed_while_its_workers_stand_still_before_their_children() {
    watched(|| {
        killed("with-children-standing-still");
        killed("with-children-all-standing-still");
        killed("with-unresponsive-children-standing-still");
    });
}

/// The system continues nobody there whose parent dies: orphans are not the system's, but this program's children.
#[test]
fn killed_below_a_program_that_takes_orphans_in() {
    watched(|| {
        for state in [
            "idle",
            "idle-standing-still",
            "standing-still",
            "with-children-standing-still",
            "with-children-all-standing-still",
            "with-unresponsive-children-standing-still",
        ] {
            child::run("parent::takes_orphans_in", state, |_| ());
        }
    });
}

#[test]
fn takes_orphans_in() {
    let Some(state) = child::argument() else { return };
    watched(|| {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        killed(&state);
    });
}

#[test]
fn killed_while_its_workers_wait_for_children() {
    watched(|| killed("with-children"));
}

#[test]
fn killed_when_tasks_have_left_processes_behind() {
    watched(|| killed("with-orphans"));
}

#[test]
fn killed_while_its_queue_is_full() {
    watched(|| killed("full-queue"));
}

#[test]
fn killed_while_buffers_are_shared() {
    watched(|| killed("with-buffers"));
}

#[test]
fn killed_while_its_workers_start() {
    watched(|| killed("starting"));
}

#[test]
fn killed_while_it_shuts_down() {
    watched(|| killed("shutting-down"));
}

/// S11, S12: a pool that nobody drops does not keep the program from ending, nor do its workers outlive it.
#[test]
fn s12_main_returns() {
    watched(|| {
        for state in ["idle", "looping", "with-children", "full-queue"] {
            let ended = nothing_is_left(&format!("{state}/return"), |_| ());
            assert!(ended.status.success(), "{}", ended.said);
        }
    });
}

#[test]
fn the_parent_panics() {
    watched(|| {
        for state in ["idle", "looping"] {
            let ended = nothing_is_left(&format!("{state}/panic"), |_| ());
            assert_eq!(ended.status.code(), Some(101), "{}", ended.said);
        }
    });
}

#[test]
fn the_parent_exits() {
    watched(|| {
        let ended = nothing_is_left("with-children/exit", |_| ());
        assert_eq!(ended.status.code(), Some(5), "{}", ended.said);
    });
}

#[test]
fn the_parent_aborts() {
    watched(|| {
        let ended = nothing_is_left("looping/abort", |_| ());
        assert_eq!(ended.status.signal(), Some(6), "{}", ended.said);
    });
}

/// One Ctrl-C, which the terminal sends to the program's group, ends it all: promptly, and without a word from the workers.
#[test]
fn one_interrupt_is_enough() {
    watched(|| {
        for state in ["idle", "busy", "looping", "with-children", "full-queue", "starting"] {
            let ended = nothing_is_left(&format!("{state}/wait"), |parent| {
                processes::send_to_group(parent.pid(), Signal::INT);
            });
            assert_eq!(ended.status.signal(), Some(2), "{}", ended.said);
            for word in ["panic", "backtrace", "error", "died", "killed"] {
                assert!(!ended.said.contains(word), "{word} in what was said: {}", ended.said);
            }
        }
    });
}

/// A pool on the stack of what panics is dropped in the unwinding: what it accepted is done (S9).
#[test]
fn s9_unwinding_through_a_pool() {
    watched(|| {
        let gate = Gate::new();
        let (told, hear) = std::sync::mpsc::channel();
        let pass = gate.pass();
        let unwinding = std::thread::spawn(move || {
            let pool = pool(1);
            let running = pool.submit(|pass: Pass| pass.go(), pass).unwrap();
            let queued = pool.submit(double, 4).unwrap();
            told.send((running, queued)).unwrap();
            panic!("on purpose, with a pool on the stack");
        });
        let (running, queued) = hear.recv().unwrap();
        gate.wait_arrivals(1);
        gate.open();
        step("the end of a thread that unwinds through a pool");
        assert!(unwinding.join().is_err());
        assert!(running.is_done() && queued.is_done());
        assert_eq!(queued.result().unwrap(), 8);
    });
}
