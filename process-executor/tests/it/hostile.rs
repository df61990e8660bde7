//! Tasks that treat their process as they like. They may spoil it for themselves; the pool goes on, and ends.

use crate::bytes::{Bytes, KIB, MIB};
use crate::child;
use crate::processes;
use crate::support::{
    Gate, Pass, SHORT, Scratch, append, assert_works, double, kill_self, leave_a_child, only_death, outcome, own_pid,
    pool, quiet, read_lines, until,
};
use crate::watchdog::{step, watched};
use executor_core::{Executor, ExecutorExt, Shutdown, TaskError, TaskOptions};
use rustix::process::Signal;
use std::os::unix::process::CommandExt;
use std::thread;

/// Closes all descriptors from `first` up, as a program does that makes itself a daemon.
fn close_from(first: u32) {
    // SAFETY: none for this process: descriptors that others own are closed. That is what is tested.
    unsafe { libc::close_range(first, libc::c_uint::MAX, 0) };
}

fn close_all_and_give((first, length): (u32, usize)) -> Bytes {
    close_from(first);
    Bytes::pattern(length)
}

/// A program makes itself a daemon after it has made a pool, and has files of its own under the numbers of the pool's. Its tasks
/// end, and its files stay as they are.
#[test]
fn a_program_closes_all_descriptors() {
    watched(|| {
        for how in ["busy", "at rest"] {
            child::run("hostile::closing_program", how, |_| ());
        }
    });
}

#[test]
fn closing_program() {
    fn take_numbers() -> Vec<std::fs::File> {
        let scratch = Scratch::new();
        let files = (0..300).map(|number| std::fs::File::create_new(scratch.path(&number.to_string())).unwrap());
        files.collect()
    }
    let Some(how) = child::argument() else { return };
    watched(|| {
        let pool = pool(2);
        let buffer = process_executor::SharedBuffer::build(MIB, |_| ()).unwrap();
        outcome("a large task", pool.submit(|bytes: Bytes| bytes, Bytes::pattern(MIB)).unwrap()).unwrap();
        assert_works(&pool);
        // A descriptor that a thread is just using, as the supervisor does while it starts a worker, is nobody's to close.
        let both = Gate::new();
        let starts: Vec<_> = (0..2).map(|_| pool.submit(|pass: Pass| pass.go(), both.pass()).unwrap()).collect();
        both.wait_arrivals(2);
        both.open();
        starts.into_iter().for_each(|start| outcome("a worker's first task", start).unwrap());
        let gate = Gate::new();
        let held = (how == "busy").then(|| pool.submit(|pass: Pass| pass.go(), gate.pass()).unwrap());
        if held.is_some() {
            gate.wait_arrivals(1);
        }
        close_from(3);
        let files = take_numbers();
        until("no task is taken", || match pool.submit(double, 1) {
            Ok(task) => {
                drop(outcome("a task of a pool without descriptors", task));
                false
            }
            Err(error) => {
                assert!(error.to_string().contains("closed the pool's descriptors"), "{error}");
                true
            }
        });
        if let Some(held) = held {
            let death = only_death(outcome("a task that was running", held));
            assert!(death.contains("was killed by its pool: the program has closed the pool's descriptors"), "{death}");
            assert!(!death.contains("reaped"), "{death}");
        }
        step("the end");
        drop(pool);
        drop(buffer);
        for file in &files {
            assert_eq!(file.metadata().unwrap().len(), 0);
        }
    });
}

/// The result is right, or the worker is lost with it; nothing hangs, and no other task notices.
#[test]
fn a_task_closes_all_descriptors() {
    watched(|| {
        let pool = pool(2);
        for round in 0..5 {
            for first in [0, 3] {
                for length in [0, 1000, 100 * KIB, MIB] {
                    let task = pool.submit(close_all_and_give, (first, length)).unwrap();
                    let siblings: Vec<_> = (0..5).map(|number| pool.submit(double, number).unwrap()).collect();
                    match outcome(&format!("round {round}: {length} bytes without descriptors"), task) {
                        Ok(bytes) => assert!(bytes.0.len() == length && bytes.is_pattern()),
                        Err(error) => assert!(matches!(error, TaskError::WorkerDied(_)), "{error}"),
                    }
                    for (number, sibling) in (0..).zip(siblings) {
                        assert_eq!(outcome("a sibling", sibling).unwrap(), 2 * number);
                    }
                }
            }
        }
        assert_works(&pool);
    });
}

/// The same, with sockets of its own in the place of what was closed.
#[test]
fn a_task_puts_its_own_in_their_place() {
    fn replace(length: usize) -> Bytes {
        close_from(3);
        let pairs: Vec<_> = (0..200).map(|_| std::os::unix::net::UnixStream::pair().unwrap()).collect();
        Box::leak(Box::new(pairs));
        Bytes::pattern(length)
    }
    watched(|| {
        let pool = pool(1);
        for length in [0, 1000, MIB] {
            match outcome("a task with sockets of its own", pool.submit(replace, length).unwrap()) {
                Ok(bytes) => assert!(bytes.0.len() == length && bytes.is_pattern()),
                Err(error) => assert!(matches!(error, TaskError::WorkerDied(_)), "{error}"),
            }
            // In this worker, or the next.
            assert_works(&pool);
            let big = pool.submit(|bytes: Bytes| bytes.is_pattern(), Bytes::pattern(MIB)).unwrap();
            match outcome("a big argument", big) {
                Ok(right) => assert!(right),
                Err(error) => assert!(matches!(error, TaskError::WorkerDied(_)), "{error}"),
            }
        }
        step("the end");
        pool.shutdown(Shutdown::wait());
    });
}

#[test]
fn a_task_changes_and_removes_its_folder() {
    fn move_away(folder: String) -> u32 {
        std::fs::create_dir(&folder).unwrap();
        std::env::set_current_dir(&folder).unwrap();
        std::fs::remove_dir(&folder).unwrap();
        std::process::id()
    }
    fn folder(_: ()) -> Option<std::path::PathBuf> {
        std::env::current_dir().ok()
    }
    watched(|| {
        let pool = pool(1);
        let scratch = Scratch::new();
        let moved = outcome("a task that moves", pool.submit(move_away, scratch.path("gone")).unwrap()).unwrap();
        assert_works(&pool);
        processes::send(moved, Signal::KILL);
        until("the worker is replaced", || pool.submit(own_pid, ()).unwrap().result().is_ok_and(|pid| pid != moved));
        // The next worker is where the program is.
        let own = std::env::current_dir().unwrap();
        assert_eq!(outcome("a look around", pool.submit(folder, ()).unwrap()).unwrap(), Some(own));
    });
}

fn ignore_all_signals(_: ()) {
    for signal in 1..=64 {
        // SAFETY: signals are ignored from now on.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    let mut all = std::mem::MaybeUninit::uninit();
    // SAFETY: the set is filled before it is used.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
    }
}

#[test]
fn a_task_ignores_all_signals() {
    watched(|| {
        let pool = pool(1);
        outcome("an unresponsive task", pool.submit(ignore_all_signals, ()).unwrap()).unwrap();
        assert_works(&pool);
        // It ends when it is told, not by a signal.
        step("the end of a pool with an unresponsive worker");
        pool.shutdown(Shutdown::wait());
        assert_eq!(pool.stats().deaths, 0);
    });
}

#[test]
fn an_unresponsive_task_is_stopped() {
    fn unresponsive(pass: Pass) {
        ignore_all_signals(());
        pass.arrive();
        loop {
            thread::park();
        }
    }
    watched(|| {
        let pool = quiet(1).stop_grace(crate::support::SHORT).build().unwrap();
        let gate = Gate::new();
        let task = pool.submit(unresponsive, gate.pass()).unwrap();
        gate.wait_arrivals(1);
        task.stop();
        assert!(outcome("an unresponsive task", task).unwrap_err().is_cancelled());
        assert_works(&pool);
    });
}

#[test]
fn a_task_leaves_threads_behind() {
    fn leave(_: ()) {
        for number in 0..50 {
            thread::spawn(move || {
                assert!(number % 10 != 0, "on purpose");
                loop {
                    thread::park();
                }
            });
        }
    }
    watched(|| {
        let pool = pool(1);
        for _ in 0..3 {
            outcome("a task that leaves threads", pool.submit(leave, ()).unwrap()).unwrap();
        }
        assert_works(&pool);
        step("the end of a worker with threads");
        pool.shutdown(Shutdown::wait());
        assert_eq!(pool.stats().deaths, 0);
    });
}

/// A thread left behind ends the process, when no task runs or when another one does.
#[test]
fn a_thread_that_was_left_ends_the_worker() {
    fn leave(pass: Pass) {
        thread::spawn(move || {
            pass.go();
            crate::support::exit(3);
        });
    }
    watched(|| {
        let pool = pool(1);
        let gate = Gate::new();
        outcome("a task that leaves a thread", pool.submit(leave, gate.pass()).unwrap()).unwrap();
        gate.open();
        until("the death is noticed", || pool.stats().deaths == 1);
        assert_works(&pool);
        let gate = Gate::new();
        outcome("a task that leaves a thread", pool.submit(leave, gate.pass()).unwrap()).unwrap();
        let innocent = pool
            .submit(
                |pass: Pass| {
                    pass.open();
                    pass.go()
                },
                gate.pass(),
            )
            .unwrap();
        match outcome("an innocent task", innocent) {
            Ok(()) => {}
            Err(error) => assert!(error.to_string().contains("exited with code 3"), "{error}"),
        }
    });
}

/// What a task has started and left ends with its worker, however that ends.
#[test]
fn a_task_leaves_children_behind() {
    fn leave(notes: String) {
        let left = leave_a_child();
        append(&notes, &format!("{left}\n"));
    }
    watched(|| {
        let ends: [fn(&process_executor::ProcessPoolExecutor); 3] = [
            |pool| pool.shutdown(Shutdown::wait()),
            process_executor::ProcessPoolExecutor::kill_workers,
            |pool| drop(pool.submit(|_: ()| -> () { kill_self() }, ()).unwrap().result()),
        ];
        for end in ends {
            let pool = pool(1);
            let scratch = Scratch::new();
            let notes = scratch.path("notes");
            outcome("a task that leaves a child", pool.submit(leave, notes.clone()).unwrap()).unwrap();
            let left: u32 = read_lines(&notes)[0].parse().unwrap();
            assert!(processes::is_alive(left));
            end(&pool);
            until("what was left is gone", || !processes::is_alive(left));
        }
    });
}

/// A forked child has all that its parent, the worker, has open. Neither the worker's death nor the pool's end waits for it.
#[test]
fn a_task_forks() {
    /// A child that does nothing, in the worker's group or in one of its own, by setsid.
    fn fork((notes, away): (String, bool)) -> u32 {
        // SAFETY: the child calls nothing but what may be called after a fork.
        let child = unsafe { libc::fork() };
        if child == 0 {
            loop {
                // SAFETY: as above.
                unsafe {
                    if away {
                        libc::setsid();
                    }
                    libc::pause();
                }
            }
        }
        append(&notes, &format!("{child}\n"));
        std::process::id()
    }
    watched(|| {
        for away in [false, true] {
            let pool = pool(1);
            let scratch = Scratch::new();
            let notes = scratch.path("notes");
            let worker = outcome("a task that forks", pool.submit(fork, (notes.clone(), away)).unwrap()).unwrap();
            processes::send(worker, Signal::KILL);
            until("the death is noticed", || pool.stats().deaths == 1);
            assert_works(&pool);
            outcome("another one", pool.submit(fork, (notes.clone(), away)).unwrap()).unwrap();
            step("the end");
            pool.shutdown(Shutdown::wait());
            for left in read_lines(&notes) {
                let left = left.parse().unwrap();
                if away {
                    // It has left the worker's group, and is nobody's.
                    processes::send(left, Signal::KILL);
                }
                until("a forked child is gone", || !processes::is_alive(left));
            }
        }
    });
}

/// Forks; the child, which may leave the worker's group first, comes out of the task as the worker does, or panics. In the
/// worker, what became of the child.
fn fork_and_return((away, panics): (bool, bool)) -> i32 {
    // SAFETY: what the child calls is not for a fork of a process with threads; that is what is tested.
    let child = unsafe { libc::fork() };
    if child == 0 {
        if away {
            // SAFETY: concerns the child alone.
            unsafe { libc::setsid() };
        }
        assert!(!panics, "on purpose");
        return -1;
    }
    let mut status = 0;
    // SAFETY: a child of this process, and a place for its status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status
}

fn fork_and_return_at_start(_: ()) -> Result<(), String> {
    if fork_and_return((true, false)) == 0 { Ok(()) } else { Err("the child did not end well".to_owned()) }
}

/// A child that comes out of the task ends there: it is no worker, and what the worker says is said once.
#[test]
fn a_task_forks_and_the_child_returns() {
    watched(|| {
        let pool = quiet(1).initializer_with(fork_and_return_at_start, ()).build().unwrap();
        let worker = outcome("a task", pool.submit(own_pid, ()).unwrap()).unwrap();
        let ways = [(false, false), (true, false), (false, true), (true, true)];
        for way in ways {
            let task = pool.submit(fork_and_return, way).unwrap();
            assert_eq!(outcome(&format!("a task that forks, {way:?}"), task).unwrap(), 0);
        }
        step("a map of tasks that fork");
        let statuses: Vec<_> = pool.map(fork_and_return, ways.repeat(5)).map(Result::unwrap).collect();
        assert_eq!(statuses, [0; 20]);
        assert_works(&pool);
        assert_eq!(outcome("the same worker", pool.submit(own_pid, ()).unwrap()).unwrap(), worker);
        assert_eq!(processes::children(worker), []);
    });
}

/// The text of a death says what the worker's connection came to, not that somebody else has killed it.
#[test]
fn a_task_loses_the_connection() {
    fn become_another(_: ()) {
        let error = std::process::Command::new("sleep").arg("1000").exec();
        panic!("{error}");
    }
    fn close_all(_: ()) -> Bytes {
        close_all_and_give((3, MIB))
    }
    watched(|| {
        let pool = pool(1);
        let becoming = pool.submit(become_another, ()).unwrap();
        let deaths = [
            only_death(outcome("a task that becomes another program", becoming)),
            only_death(outcome("a task that closes all", pool.submit(close_all, ()).unwrap())),
        ];
        for death in deaths {
            assert!(death.contains("closed") && death.contains("connection"), "{death}");
            assert!(!death.contains("another program"), "{death}");
        }
        assert_works(&pool);
    });
}

/// A worker that has moved to the program's own process group must not take it along when it ends.
#[test]
fn a_task_joins_the_group_of_the_parent() {
    watched(|| {
        // In a group of its own, so that what goes wrong is not the end of all tests.
        child::run("hostile::group_program", "1", |command| {
            command.process_group(0);
        });
    });
}

fn join_group(group: u32) -> u32 {
    rustix::process::setpgid(None, Some(processes::identifier(group))).unwrap();
    processes::group(std::process::id()).unwrap()
}

#[test]
fn group_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let group = processes::group(std::process::id()).unwrap();
        let ends: [fn(&process_executor::ProcessPoolExecutor); 3] = [
            |pool| drop(pool.submit(close_all_and_give, (3, MIB)).unwrap().result()),
            |pool| pool.shutdown(Shutdown::wait()),
            process_executor::ProcessPoolExecutor::kill_workers,
        ];
        for end in ends {
            let pool = pool(1);
            let joined = outcome("a task that joins the group", pool.submit(join_group, group).unwrap()).unwrap();
            assert_eq!(joined, group);
            let pid = pool.worker_infos()[0].pid();
            step("the end of a worker in the program's group");
            end(&pool);
            until("it has ended", || processes::state(pid).is_none());
        }
    });
}

/// A worker that has left its own group, in which a child of it lives on, is ended all the same.
#[test]
fn a_task_leaves_its_group() {
    watched(|| {
        child::run("hostile::left_group_program", "1", |command| {
            command.process_group(0);
        });
    });
}

#[test]
fn left_group_program() {
    fn leave((group, pass): (u32, Pass)) {
        leave_a_child();
        join_group(group);
        pass.arrive();
        loop {
            thread::park();
        }
    }
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let group = processes::group(std::process::id()).unwrap();
        let pool = pool(1);
        let gate = Gate::new();
        let stopped = pool.submit(leave, (group, gate.pass())).unwrap();
        gate.wait_arrivals(1);
        stopped.stop();
        assert!(outcome("a stopped task", stopped).unwrap_err().is_cancelled());
        assert_works(&pool);
        let limited = TaskOptions::new().run_timeout(SHORT);
        let limited = pool.submit_with(limited, leave, (group, gate.pass())).unwrap();
        assert!(outcome("a task with a limit", limited).unwrap_err().is_timed_out());
        assert_works(&pool);
    });
}

/// A result whose destructor panics: the worker drops one, and so does the parent.
#[test]
fn a_result_panics_when_it_is_dropped() {
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Fussy(u64);
    impl Drop for Fussy {
        fn drop(&mut self) {
            assert!(thread::panicking(), "a destructor, on purpose");
        }
    }
    fn give(number: u64) -> Fussy {
        Fussy(number)
    }
    fn take(fussy: Fussy) -> u64 {
        let number = fussy.0;
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(fussy)));
        assert!(caught.is_err());
        number
    }
    let unwrap = |result: Result<Fussy, TaskError>| take(result.unwrap());
    watched(|| {
        let pool = pool(1);
        for number in 0..5 {
            assert_eq!(unwrap(outcome("a fussy result", pool.submit(give, number).unwrap())), number);
            assert_eq!(outcome("a fussy argument", pool.submit(take, Fussy(number)).unwrap()).unwrap(), number);
        }
        step("a map with fussy results");
        let numbers: Vec<_> = pool.map(give, 0..20).map(unwrap).collect();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>());
        // Futures that nobody asks: their results go with them, in this thread if they are there by then.
        for number in 0..20 {
            let future = pool.submit(give, number).unwrap();
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(future)));
        }
        assert_works(&pool);
        let worker = outcome("a task", pool.submit(own_pid, ()).unwrap()).unwrap();
        assert_eq!(pool.worker_infos()[0].pid(), worker);
        assert_eq!(pool.stats().deaths, 0);
    });
}

/// Writes all over the memory that this worker shares with the parent.
fn overwrite(seed: u64, length: usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let ring = maps.lines().find(|line| line.contains("concurrent-futures-ring")).unwrap();
    let (start, end) = ring.split_once(' ').unwrap().0.split_once('-').unwrap();
    let (start, end) = (usize::from_str_radix(start, 16).unwrap(), usize::from_str_radix(end, 16).unwrap());
    let mut random = seed;
    for address in (start..end.min(start + length)).step_by(8) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Among all else: states that exist.
        let word = if seed < 8 { seed << 32 | seed } else { random };
        // SAFETY: none; that is the test. The mapping is writable.
        unsafe { std::ptr::with_exposed_provenance_mut::<u64>(address).write_volatile(word) };
    }
}

fn overwrite_and_die((seed, length): (u64, usize)) {
    overwrite(seed, length);
    kill_self();
}

/// The state of a slot whose task has not begun.
const QUEUED: u64 = 1;

/// A task that writes all over the memory that it shares with the parent, and dies. The parent believes nothing of it:
/// every future has an outcome, and the pool goes on.
#[test]
fn a_task_overwrites_what_is_shared() {
    watched(|| {
        let pool = pool(1);
        for seed in (0..8).filter(|seed| *seed != QUEUED).chain(1000..1040) {
            // The head and the slots, or the blocks, too.
            let length = if seed % 2 == 0 { 512 * KIB } else { 16 * MIB };
            let task = pool.submit(overwrite_and_die, (seed, length)).unwrap();
            let siblings: Vec<_> = (0..20).map(|number| pool.submit(double, number).unwrap()).collect();
            // Any outcome is right, but there is one.
            drop(outcome(&format!("a task that overwrites with {seed}"), task));
            for sibling in siblings {
                drop(outcome(&format!("a sibling of one that overwrites with {seed}"), sibling));
            }
            assert_works(&pool);
        }
        step("the end");
        pool.shutdown(Shutdown::wait());
    });
}

/// One that makes it look as if it had not begun, and dies, is not run for ever.
#[test]
fn a_task_that_says_it_has_not_begun() {
    watched(|| {
        let pool = pool(1);
        let task = pool.submit(overwrite_and_die, (QUEUED, 16 * MIB)).unwrap();
        let error = outcome("a task that says it has not begun", task).unwrap_err();
        assert!(matches!(error, TaskError::WorkerDied(_)), "{error}");
        assert_works(&pool);
    });
}
