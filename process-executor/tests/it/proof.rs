//! What the system itself says: a worker holds no descriptor that it was not given, no ended child is left unreaped, an
//! idle pool is silent, and starting a worker copies no memory.

use crate::bytes::{Bytes, MIB};
use crate::child;
use crate::processes;
use crate::support::{Gate, Pass, assert_works, double, exit, outcome, pool, quiet, until};
use crate::watchdog::{step, watched};
use executor_core::ExecutorExt;
use process_executor::{SharedBuffer, WorkerInfo, WorkerState};
use std::fs::{self, File};
use std::net::TcpListener;
use std::process::Command;

fn hold(pass: Pass) {
    pass.go();
}

/// What a worker is expected to hold besides the standard three: its socket, and memory that it was handed; and, where
/// `inherited` are expected, what this process would leave to any child.
fn assert_clean(pid: u32, inherited: &[(u32, String)]) {
    let mut all = processes::descriptors(pid);
    all.retain(|one| one.0 <= 2 || !inherited.contains(one));
    let (standard, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(number, _)| *number <= 2);
    assert_eq!(standard.len(), 3, "{standard:?}");
    assert_eq!(standard[0].1, "/dev/null");
    let sockets = others.iter().filter(|(_, leads)| leads.starts_with("socket:")).count();
    let memories = others.iter().filter(|(_, leads)| leads.starts_with("/memfd:")).count();
    assert_eq!(sockets, 1, "{others:?}");
    assert_eq!(sockets + memories, others.len(), "{others:?}");
}

/// The parent has files, sockets and other workers; a worker sees none of them.
#[test]
fn a_worker_holds_what_it_was_given() {
    watched(|| {
        let inherited = inheritable();
        let _file = File::open("/proc/self/status").unwrap();
        let _socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = pool(2);
        assert_works(&other);
        let pool = pool(3);
        let gate = Gate::new();
        let holding: Vec<_> = (0..3).map(|_| pool.submit(hold, gate.pass()).unwrap()).collect();
        gate.wait_arrivals(3);
        for worker in pool.worker_infos() {
            let is_noting = |(_, leads): &(u32, String)| leads.ends_with("/arrived");
            until("its task has closed what it wrote to", || {
                !processes::descriptors(worker.pid()).iter().any(is_noting)
            });
            assert_clean(worker.pid(), &inherited);
        }
        gate.open();
        holding.into_iter().for_each(|task| outcome("a task", task).unwrap());
    });
}

/// The descriptors of this process that are not closed on exec.
fn inheritable() -> Vec<(u32, String)> {
    let mut all = processes::descriptors(std::process::id());
    all.retain(|(number, _)| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or_default();
        i64::from_str_radix(flags.trim(), 8).is_ok_and(|flags| flags & i64::from(libc::O_CLOEXEC) == 0)
    });
    all
}

/// B13: what the parent itself would leave to any child, as a shell's redirections or a library in C do, stays with it.
#[test]
fn b13_a_worker_holds_nothing_inheritable() {
    watched(|| child::run("proof::inheritable_program", "1", |_| ()));
}

#[test]
fn inheritable_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        // Without close-on-exec, unlike all that std opens.
        let file =
            rustix::fs::open("/proc/self/status", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
        let pool = pool(1);
        assert_works(&pool);
        assert_clean(pool.worker_infos()[0].pid(), &[]);
        drop(file);
    });
}

/// Memory handed to a worker is given up when nobody needs it any more.
#[test]
fn a_worker_gives_up_what_it_was_given() {
    fn length(buffer: SharedBuffer) -> SharedBuffer {
        buffer
    }
    watched(|| {
        let pool = pool(1);
        let pid = pool.submit(crate::support::own_pid, ()).unwrap().result().unwrap();
        let before = processes::descriptors(pid).len();
        for _ in 0..50 {
            let buffer = SharedBuffer::from_slice(&[3; 100_000]).unwrap();
            let back = outcome("a buffer", pool.submit(length, buffer).unwrap()).unwrap();
            assert_eq!(back.len(), 100_000);
        }
        until("a worker gives buffers up", || {
            pool.submit(double, 1).unwrap().result().unwrap();
            processes::descriptors(pid).len() <= before + 2
        });
    });
}

/// After many deaths no child is left unreaped, and none of ours is left at all once the pool is dropped.
#[test]
fn no_zombies() {
    watched(|| child::run("proof::zombies_program", "1", |_| ()));
}

#[test]
fn zombies_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let own = std::process::id();
        let pool = pool(2);
        let tasks: Vec<_> = (0..40)
            .map(|number| {
                let task = |number: i32| match number % 4 {
                    0 => exit(number),
                    1 => std::process::abort(),
                    2 => panic!("on purpose"),
                    _ => crate::support::kill_self(),
                };
                pool.submit(task, number).unwrap()
            })
            .collect();
        for task in tasks {
            let ended: Result<(), _> = outcome("a fatal task", task);
            assert!(ended.is_err());
        }
        until("only workers are left", || processes::children(own).len() == pool.worker_infos().len());
        let children = processes::children(own);
        assert!(children.iter().all(|pid| processes::is_alive(*pid)), "a child is not reaped");
        step("the drop");
        drop(pool);
        assert_eq!(processes::children(own), []);
    });
}

/// Descriptors of the parent: none is left of a pool, however its workers ended.
#[test]
fn no_descriptors_are_left() {
    watched(|| child::run("proof::descriptors_program", "1", |_| ()));
}

#[test]
fn descriptors_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let own = std::process::id();
        let round = || {
            let pool = pool(2);
            for number in 0..4 {
                let end = |code: i32| if code % 2 == 0 { exit(code) } else { std::process::abort() };
                let ended: Result<(), _> = outcome("a fatal task", pool.submit(end, number).unwrap());
                assert!(ended.is_err());
            }
            let big = pool.submit(|bytes: crate::bytes::Bytes| bytes, crate::bytes::Bytes::pattern(1 << 20)).unwrap();
            assert!(outcome("a big one", big).unwrap().is_pattern());
        };
        // What is opened once and kept is opened now.
        round();
        let before = processes::descriptors(own);
        (0..5).for_each(|_| round());
        // The thread of the callbacks may still be on its way out.
        until("all is closed", || processes::descriptors(own).len() <= before.len());
    });
}

/// An idle pool uses no processor time: but for a look once a second, neither its workers nor the parent wake up.
#[test]
fn an_idle_pool_sleeps() {
    watched(|| child::run("proof::idle_program", "1", |_| ()));
}

#[test]
fn idle_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let pool = pool(2);
        assert_works(&pool);
        let rests = |worker: &WorkerInfo| worker.state() == WorkerState::Idle && processes::is_asleep(worker.pid());
        // One of the pool's own threads may be about to wake a worker that has seen its task before.
        until("all sleep", || pool.worker_infos().iter().all(rests) && pool_threads_sleep());
        let switches =
            || -> Vec<u64> { pool.worker_infos().iter().map(|worker| processes::wake_ups(worker.pid(), "")).collect() };
        // A thread that is about to sleep, and that the system shows as asleep, may be counted in it; the next such time shows
        // that it was the last.
        until("nobody wakes up for a while", || processes::rests(switches));
    });
}

/// Returns whether the pool's threads in this process wait for something.
fn pool_threads_sleep() -> bool {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let stats = threads.map(|thread| fs::read_to_string(thread.path().join("stat")).unwrap_or_default());
    stats.filter(|stat| stat.contains("(process-pool")).all(|stat| stat.contains(") S "))
}

/// `strace` sees how workers are started: by `vfork` or `clone` with shared memory, so that nothing of the parent is copied,
/// and nothing else is executed; and that no file, folder, link or socket with a name is made.
#[test]
fn workers_are_spawned_without_a_copy_and_nothing_gets_a_name() {
    watched(|| {
        if Command::new("strace").arg("-V").output().is_err() {
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                b"not tested: how workers are started: strace is not installed\n",
            );
            return;
        }
        let scratch = crate::support::Scratch::new();
        let trace = scratch.path("trace");
        let calls = "trace=/^(clone|clone3|v?fork|execve|execveat|open|openat|openat2|creat|mk.*|link.*|symlink.*|rename.*|bind|listen)$";
        let mut command = child::command("proof::spawn_program", "1");
        child::start_by(&mut command, |program| {
            let mut strace = Command::new("strace");
            strace.args(["-f", "-o", &trace, "-e", calls]).arg(program);
            strace
        });
        step("a program under strace");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", child::text(&output.stderr));
        let trace = fs::read_to_string(trace).unwrap();
        // Calls that were interrupted by other threads are shown in two parts; the first has the arguments.
        let starts = |line: &&str| ["clone(", "clone3(", "fork(", "vfork("].iter().any(|call| line.contains(call));
        let processes: Vec<_> = trace.lines().filter(starts).filter(|line| !line.contains("CLONE_THREAD")).collect();
        assert!(processes.len() >= 2, "{trace}");
        for line in processes {
            assert!(line.contains("CLONE_VM") || line.contains(" vfork("), "memory is copied: {line}");
        }
        let executed: Vec<_> =
            trace.lines().filter(|line| line.contains(" execve(") || line.contains(" execveat(")).skip(1).collect();
        assert!(executed.len() >= 2, "{trace}");
        for line in executed {
            assert!(line.contains("execve(\"/proc/self/exe\""), "something else is executed: {line}");
        }
        // The gate of the tasks consists of files.
        for line in trace.lines().filter(|line| !line.contains("/process-executor-test-")) {
            let makes = ["O_CREAT", " creat(", " mk", " link", " symlink", " rename", " bind(", " listen("];
            assert!(!makes.iter().any(|call| line.contains(call)), "something gets a name: {line}");
        }
    });
}

#[test]
fn spawn_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let pool = quiet(2).build().unwrap();
        let gate = Gate::new();
        let tasks: Vec<_> = (0..2).map(|_| pool.submit(hold, gate.pass()).unwrap()).collect();
        gate.wait_arrivals(2);
        gate.open();
        tasks.into_iter().for_each(|task| outcome("a task", task).unwrap());
        let large = outcome("large values", pool.submit(echo, Bytes::pattern(4 * MIB)).unwrap()).unwrap();
        assert!(large.is_pattern());
        let buffer = SharedBuffer::from_slice(&large.0).unwrap();
        assert_eq!(outcome("a buffer", pool.submit(first, buffer).unwrap()).unwrap(), large.0[0]);
    });
}

fn echo(bytes: Bytes) -> Bytes {
    bytes
}

fn first(buffer: SharedBuffer) -> u8 {
    buffer[0]
}
