//! P21 and more: the system has no more of something, descriptors or processes. What needs it fails with the reason, nothing
//! hangs, and once there is more, all goes on.

use crate::bytes::{Bytes, KIB, MIB};
use crate::child;
use crate::processes;
use crate::support::{Gate, Pass, assert_works, double, outcome, own_pid, pool};
use crate::watchdog::{step, watched};
use executor_core::{CodecPhase, ExecutorExt, Future, TaskError};
use process_executor::{ProcessPoolExecutor, SharedBuffer};
use rustix::process::{Resource, Rlimit};
use std::fs::File;
use std::os::unix::process::CommandExt;

fn limit(resource: Resource, current: u64) {
    let maximum = rustix::process::getrlimit(resource).maximum;
    rustix::process::setrlimit(resource, Rlimit { current: Some(current), maximum }).unwrap();
}

/// Opens files until no more can be had.
fn use_up_descriptors() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

fn give(length: usize) -> Bytes {
    Bytes::pattern(length)
}

fn length(bytes: Bytes) -> usize {
    bytes.0.len()
}

#[track_caller]
fn assert_codec<R: std::fmt::Debug>(outcome: Result<R, TaskError>, phase: CodecPhase) {
    match outcome {
        Err(TaskError::Codec(error)) => assert_eq!(error.phase(), phase, "{error}"),
        other => panic!("no codec error: {other:?}"),
    }
}

#[test]
fn no_descriptors_in_the_parent() {
    watched(|| child::run("scarce::descriptors_program", "1", |_| ()));
}

#[test]
fn descriptors_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        limit(Resource::Nofile, 64);
        // Not even for the pool itself.
        let full = use_up_descriptors();
        step("a pool without descriptors");
        if let Ok(pool) = process_executor::ProcessPoolExecutor::with_workers(1) {
            assert!(outcome("a task", pool.submit(double, 1).unwrap()).is_err());
        }
        drop(full);

        // For the pool, but not for a worker.
        let pool = pool(1);
        let full = use_up_descriptors();
        let task = pool.submit(double, 1).unwrap();
        let error = outcome("a task for a worker that cannot be started", task).unwrap_err();
        assert!(matches!(error, TaskError::Broken(..)), "{error}");
        assert!(error.to_string().contains("open files"), "{error}");
        drop(full);
        assert_works(&pool);

        // For the worker, but not for what is large.
        let full = use_up_descriptors();
        let small = pool.submit(double, 4).unwrap();
        assert_eq!(outcome("a small task", small).unwrap(), 8);
        let large = pool.submit(length, Bytes::pattern(MIB)).unwrap();
        assert_codec(outcome("a large argument", large), CodecPhase::EncodeArgument);
        // For one large result at a time there is a descriptor.
        for _ in 0..3 {
            assert!(outcome("a large result", pool.submit(give, MIB).unwrap()).unwrap().is_pattern());
        }
        drop(full);
        let pid = outcome("a task", pool.submit(own_pid, ()).unwrap()).unwrap();
        assert_eq!(outcome("a large argument", pool.submit(length, Bytes::pattern(MIB)).unwrap()).unwrap(), MIB);
        assert!(outcome("a large result", pool.submit(give, MIB).unwrap()).unwrap().is_pattern());
        assert_eq!(outcome("a task", pool.submit(own_pid, ()).unwrap()).unwrap(), pid);
    });
}

/// A worker that has none left fails what needs one, and nothing else.
#[test]
fn no_descriptors_in_a_worker() {
    fn use_up(_: ()) -> u32 {
        limit(Resource::Nofile, 3);
        std::process::id()
    }
    watched(|| {
        let pool = pool(1);
        let pid = outcome("a task that uses all up", pool.submit(use_up, ()).unwrap()).unwrap();
        assert_eq!(outcome("a small task", pool.submit(own_pid, ()).unwrap()).unwrap(), pid);
        let large = outcome("a large argument", pool.submit(length, Bytes::pattern(MIB)).unwrap());
        assert!(matches!(large, Ok(MIB) | Err(TaskError::Codec(_) | TaskError::WorkerDied(_))), "{large:?}");
        let large = outcome("a large result", pool.submit(give, MIB).unwrap());
        assert!(matches!(large, Ok(_) | Err(TaskError::Codec(_) | TaskError::WorkerDied(_))), "{large:?}");
        assert_works(&pool);
    });
}

/// What waits costs memory, not descriptors.
#[test]
fn many_pending_tasks_with_few_descriptors() {
    watched(|| child::run("scarce::pending_program", "1", |_| ()));
}

fn hold(pass: Pass) {
    pass.go();
}

fn occupy(pool: &process_executor::ProcessPoolExecutor, gate: &Gate) -> Future<()> {
    let holding = pool.submit(hold, gate.pass()).unwrap();
    gate.wait_arrivals(1);
    holding
}

#[test]
fn pending_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        limit(Resource::Nofile, 64);
        let pool = pool(1);
        let gate = Gate::new();
        let holding = occupy(&pool, &gate);
        let pending: Vec<_> = (0..100_000).map(|number| pool.submit(double, number).unwrap()).collect();
        gate.open();
        outcome("the first", holding).unwrap();
        for (number, task) in (0..).zip(pending) {
            assert_eq!(outcome("one of many", task).unwrap(), 2 * number);
        }
    });
}

/// The same for arguments and results that are too large for a block.
#[test]
fn many_large_pending_tasks_with_few_descriptors() {
    watched(|| child::run("scarce::large_pending_program", "1", |_| ()));
}

#[test]
fn large_pending_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        const LARGE: usize = 300 * KIB;
        limit(Resource::Nofile, 64);
        let pool = pool(1);
        let results: Vec<_> = (0..200).map(|_| pool.submit(give, LARGE).unwrap()).collect();
        for task in results {
            assert!(outcome("one of many large results", task).unwrap().is_pattern());
        }
        let gate = Gate::new();
        let holding = occupy(&pool, &gate);
        let arguments: Vec<_> = (0..200).map(|_| pool.submit(length, Bytes::pattern(LARGE)).unwrap()).collect();
        gate.open();
        outcome("the first", holding).unwrap();
        for task in arguments {
            assert_eq!(outcome("one of many large arguments", task).unwrap(), LARGE);
        }
    });
}

/// Far more memory in one value than a socket holds, for a worker that reads, and for one that does not.
#[test]
fn more_memory_than_a_socket_holds() {
    watched(|| child::run("scarce::sockets_program", "1", |_| ()));
}

fn count_bytes(buffers: Vec<SharedBuffer>) -> (usize, u32) {
    (buffers.iter().map(|buffer| buffer.len()).sum(), std::process::id())
}

#[test]
fn sockets_program() {
    const MANY: usize = 3_000;
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let maximum = rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        limit(Resource::Nofile, maximum.min(4 * MANY as u64));
        let pool = pool(1);
        let pid = outcome("a task", pool.submit(own_pid, ()).unwrap()).unwrap();
        let buffers: Vec<_> =
            (0..MANY.min(maximum as usize / 4)).map(|_| SharedBuffer::from_slice(b"four").unwrap()).collect();
        let task = pool.submit(count_bytes, buffers.clone()).unwrap();
        assert_eq!(outcome("a worker that reads", task).unwrap(), (4 * buffers.len(), pid));

        processes::stop(pid);
        let others: Vec<_> = buffers.iter().map(|_| SharedBuffer::from_slice(b"five5").unwrap()).collect();
        let task = pool.submit(count_bytes, others).unwrap();
        let (bytes, second) = outcome("a worker that does not read", task).unwrap();
        assert_eq!(bytes, 5 * buffers.len());
        assert_ne!(second, pid);
        assert_works(&pool);
    });
}

/// Memory is full while a large argument, or result, is written: a limit on the size of files, which holds for memory behind a
/// descriptor as well, refuses what goes beyond it. The kernel does so with a signal that ends the program.
#[test]
fn memory_full_while_a_large_value_is_written() {
    watched(|| child::run("scarce::full_memory_program", "1", |_| ()));
}

/// Not even what a worker shares with its parent fits.
#[test]
fn no_room_for_the_memory_of_a_worker() {
    watched(|| child::run("scarce::no_room_program", "1", |_| ()));
}

/// A task that limits its own process: what it cannot return says why.
#[test]
fn a_result_beyond_the_limit_on_file_size() {
    fn limited(_: ()) -> Bytes {
        limit(Resource::Fsize, 100_000);
        Bytes::pattern(5 * MIB)
    }
    watched(|| {
        let error = outcome("a large result", pool(1).submit(limited, ()).unwrap()).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, TaskError::Codec(_)), "{text}");
        assert!(text.contains("RLIMIT_FSIZE") && text.contains("100000 bytes"), "{text}");
    });
}

#[test]
fn no_room_program() {
    if child::argument().is_none() {
        return;
    }
    const MOST: u64 = 100_000;
    let names_the_limit = |error: &str| {
        assert!(error.contains("RLIMIT_FSIZE") && error.contains("100000 bytes"), "{error}");
    };
    watched(|| {
        let before = rustix::process::getrlimit(Resource::Fsize);
        let pool = pool(1);
        limit(Resource::Fsize, MOST);
        step("a pool");
        let refused = process_executor::ProcessPoolExecutor::with_workers(1);
        names_the_limit(&refused.unwrap_err().to_string());
        let error = outcome("a task for a worker that cannot be started", pool.submit(double, 1).unwrap()).unwrap_err();
        assert!(matches!(error, TaskError::Broken(..)), "{error}");
        names_the_limit(&error.to_string());
        let error = SharedBuffer::from_slice(&[0; MOST as usize + 1]).unwrap_err();
        names_the_limit(&error.to_string());
        let error = SharedBuffer::build(MOST as usize + 1, |_| ()).unwrap_err();
        names_the_limit(&error.to_string());
        rustix::process::setrlimit(Resource::Fsize, before).unwrap();
    });
}

/// No room in the address space of a worker, or of its parent.
#[test]
fn no_address_space() {
    watched(|| child::run("scarce::address_space_program", "1", |_| ()));
}

/// Leaves this process so much address space beside what it has.
fn leave_address_space(bytes: usize) {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').next().unwrap().parse().unwrap();
    limit(Resource::As, (pages * rustix::param::page_size() + bytes) as u64);
}

#[test]
fn address_space_program() {
    const LARGE: usize = 128 * MIB;
    const LEFT: usize = 32 * MIB;
    if child::argument().is_none() {
        return;
    }
    let names_the_limit = |error: &TaskError| {
        assert!(error.to_string().contains("RLIMIT_AS"), "{error}");
    };
    watched(|| {
        let pool = pool(1);
        outcome("a task", pool.submit(leave_address_space, LEFT).unwrap()).unwrap();
        let error = outcome("a large argument", pool.submit(length, Bytes::pattern(LARGE)).unwrap()).unwrap_err();
        names_the_limit(&error);
        assert_codec(Err::<(), _>(error), CodecPhase::DecodeArgument);
        step("a large input of a map");
        let error = pool.map(length, [Bytes::pattern(LARGE)]).next().unwrap().unwrap_err();
        names_the_limit(&error);
        assert_works(&pool);
        drop(pool);

        let pool = crate::support::pool(1);
        assert_works(&pool);
        let before = rustix::process::getrlimit(Resource::As);
        leave_address_space(LEFT);
        let error = outcome("a large result", pool.submit(give, LARGE).unwrap()).map(|_| ()).unwrap_err();
        rustix::process::setrlimit(Resource::As, before).unwrap();
        names_the_limit(&error);
        assert_codec(Err::<(), _>(error), CodecPhase::DecodeResult);
        assert_works(&pool);
    });
}

#[test]
fn full_memory_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        const MOST: usize = 32 * MIB;
        const MORE: usize = MOST + 11 * MIB;
        limit(Resource::Fsize, MOST as u64);
        let pool = pool(1);
        let pid = outcome("a task", pool.submit(own_pid, ()).unwrap()).unwrap();
        for length_of_all in [MORE, MOST + 1] {
            let task = pool.submit(length, Bytes::pattern(length_of_all)).unwrap();
            assert_codec(outcome("a large argument", task), CodecPhase::EncodeArgument);
            let task = pool.submit(give, length_of_all).unwrap();
            assert_codec(outcome("a large result", task), CodecPhase::EncodeResult);
        }

        // Those that wait for their turn are written when it comes.
        let gate = Gate::new();
        let holding = occupy(&pool, &gate);
        let waiting = [1, MORE, MIB, MORE, MOST / 2]
            .map(|length_of_all| (length_of_all, pool.submit(length, Bytes::pattern(length_of_all)).unwrap()));
        gate.open();
        outcome("the first", holding).unwrap();
        for (length_of_all, task) in waiting {
            let outcome = outcome("one of those that waited", task);
            if length_of_all > MOST {
                assert_codec(outcome, CodecPhase::EncodeArgument);
            } else {
                assert_eq!(outcome.unwrap(), length_of_all);
            }
        }
        assert_eq!(outcome("a task", pool.submit(own_pid, ()).unwrap()).unwrap(), pid);
    });
}

/// No process can be started, nor a thread. As root there is no such limit, so the program runs as somebody else.
#[test]
fn no_processes() {
    watched(|| {
        let mut command = child::command("scarce::processes_program", "1");
        if rustix::process::getuid().is_root() {
            command.uid(NOBODY).gid(NOBODY).env("TMPDIR", "/tmp");
        }
        step("a program that may start no process");
        match command.output() {
            Ok(output) => {
                let (out, err) = (child::text(&output.stdout), child::text(&output.stderr));
                assert!(output.status.success() && out.contains("1 passed"), "{}\n{out}\n{err}", output.status);
            }
            // The binary lies where only root may go.
            Err(error) => {
                let note = format!(
                    "not tested: a program that may start no process: it cannot be run as another user: {error}\n"
                );
                let _ = std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes());
            }
        }
    });
}

/// A user who has no other processes.
const NOBODY: u32 = 54_321;

#[test]
fn processes_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let pool = pool(1);
        // Threads are counted, too: there are some already.
        limit(Resource::Nproc, 1);
        let task = pool.submit(double, 1).unwrap();
        let error = outcome("a task for a worker that cannot be started", task).unwrap_err();
        assert!(matches!(error, TaskError::Broken(..)), "{error}");
        let refused = ProcessPoolExecutor::with_workers(1).unwrap_err().to_string();
        assert!(refused.contains("a thread for callbacks could not be started: pthread_create failed"), "{refused}");
        assert!(refused.contains("ulimit -u"), "{refused}");
        let (told, hear) = std::sync::mpsc::channel();
        let task = pool.submit(double, 1).unwrap();
        task.add_done_callback(move |outcome| told.send(outcome.is_err()).unwrap());
        let allowed = rustix::process::getrlimit(Resource::Nproc).maximum.unwrap_or(1000).min(1000);
        // A callback may have to wait for a thread.
        limit(Resource::Nproc, allowed);
        step("a callback");
        let _ = hear.recv().unwrap();
        assert_works(&pool);
    });
}
