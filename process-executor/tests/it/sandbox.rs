//! P22: sandboxes that refuse system calls. For each call of the table in SECURITY.md, the pool goes on without it, or says that it
//! needs it. A filter of the kernel's refuses it, as that of a container does.

use crate::bytes::{Bytes, MIB};
use crate::child;
use crate::support::{SHORT, double, quiet};
use crate::watchdog::{step, watched};
use executor_core::{Executor, ExecutorExt, Shutdown, TaskOptions};
use process_executor::SharedBuffer;

/// What becomes of a pool whose call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    /// It goes on, maybe more slowly.
    GoesOn,
    /// It says that the call failed.
    Named,
    /// It says that no process can be started.
    NoProcess,
    /// It says that its workers do not get as far as their first task.
    NoWorker,
}
use Without::{GoesOn, Named, NoProcess, NoWorker};

struct Call {
    /// As in the table: with the argument if only calls with that one are meant.
    name: &'static str,
    number: libc::c_long,
    /// Which argument has which value.
    argument: Option<(u32, u32)>,
    without: Without,
}

const fn call(name: &'static str, number: libc::c_long, without: Without) -> Call {
    Call { name, number, argument: None, without }
}

const fn with(name: &'static str, number: libc::c_long, argument: (u32, libc::c_int), without: Without) -> Call {
    Call { name, number, argument: Some((argument.0, argument.1 as u32)), without }
}

/// All that a pool of processes uses and a program with threads does not use anyway.
const CALLS: [Call; 29] = [
    call("memfd_create", libc::SYS_memfd_create, Named),
    call("ftruncate", libc::SYS_ftruncate, Named),
    with("fcntl(F_ADD_SEALS)", libc::SYS_fcntl, (1, libc::F_ADD_SEALS), Named),
    with("fcntl(F_GET_SEALS)", libc::SYS_fcntl, (1, libc::F_GET_SEALS), NoWorker),
    call("socketpair", libc::SYS_socketpair, Named),
    call("sendmsg", libc::SYS_sendmsg, Named),
    call("recvmsg", libc::SYS_recvmsg, NoWorker),
    call("recvfrom", libc::SYS_recvfrom, NoWorker),
    call("eventfd2", libc::SYS_eventfd2, Named),
    call("epoll_create1", libc::SYS_epoll_create1, Named),
    call("epoll_ctl", libc::SYS_epoll_ctl, Named),
    call("pidfd_open", libc::SYS_pidfd_open, Named),
    call("setpgid", libc::SYS_setpgid, NoProcess),
    call("setsockopt", libc::SYS_setsockopt, NoWorker),
    call("shutdown", libc::SYS_shutdown, GoesOn),
    call("kill", libc::SYS_kill, GoesOn),
    call("pidfd_send_signal", libc::SYS_pidfd_send_signal, GoesOn),
    call("getpgid", libc::SYS_getpgid, GoesOn),
    call("waitid", libc::SYS_waitid, GoesOn),
    call("futex_waitv", libc::SYS_futex_waitv, GoesOn),
    call("fallocate", libc::SYS_fallocate, GoesOn),
    with("madvise(MADV_COLLAPSE)", libc::SYS_madvise, (2, 25), GoesOn),
    with("madvise(MADV_DONTFORK)", libc::SYS_madvise, (2, libc::MADV_DONTFORK), GoesOn),
    call("close_range", libc::SYS_close_range, GoesOn),
    with("prctl(PR_SET_PDEATHSIG)", libc::SYS_prctl, (0, libc::PR_SET_PDEATHSIG), GoesOn),
    with("ioctl(FIONREAD)", libc::SYS_ioctl, (1, libc::FIONREAD as libc::c_int), GoesOn),
    with("ioctl(TIOCNOTTY)", libc::SYS_ioctl, (1, libc::TIOCNOTTY as libc::c_int), GoesOn),
    call("sysinfo", libc::SYS_sysinfo, GoesOn),
    call("prlimit64", libc::SYS_prlimit64, GoesOn),
];

/// Has the kernel refuse a call to this thread, and to all threads and processes that it starts.
fn refuse(call: &Call, errno: libc::c_int) {
    const NUMBER: u32 = 0;
    const ARGUMENTS: u32 = 16;
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let unless = |k: u32, skipped: u8| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: 0,
        jf: skipped,
        k,
    };
    let load = |offset: u32| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    let answer = |k: u32| statement(libc::BPF_RET | libc::BPF_K, k);
    let refusal = answer(libc::SECCOMP_RET_ERRNO | errno as u32);
    let mut filter = vec![load(NUMBER)];
    match call.argument {
        Some((index, value)) => {
            // The lower half comes first on machines that store it so.
            let half = if cfg!(target_endian = "big") { 4 } else { 0 };
            filter.extend([unless(call.number as u32, 3), load(ARGUMENTS + 8 * index + half), unless(value, 1)]);
        }
        None => filter.push(unless(call.number as u32, 1)),
    }
    filter.extend([refusal, answer(libc::SECCOMP_RET_ALLOW)]);
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program lives during the call, which copies it.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    assert!(refused, "{}", std::io::Error::last_os_error());
}

/// All that a pool does; the first error, as text.
fn use_a_pool() -> Result<(), String> {
    fn text(error: impl std::error::Error) -> String {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text.push_str(&format!("; {error}"));
            source = error.source();
        }
        text
    }
    step("a pool");
    let pool = quiet(2).stop_grace(SHORT).build().map_err(text)?;
    step("small tasks");
    let tasks: Result<Vec<_>, _> = (0..20).map(|number| pool.submit(double, number)).collect();
    for (number, task) in (0..).zip(tasks.map_err(text)?) {
        assert_eq!(task.result().map_err(text)?, 2 * number);
    }
    step("large values");
    let echo = pool.submit(|bytes: Bytes| bytes, Bytes::pattern(5 * MIB)).map_err(text)?;
    assert!(echo.result().map_err(text)?.is_pattern());
    let buffer = SharedBuffer::build(3 * MIB, |bytes| bytes.fill(3)).map_err(text)?;
    let sum = pool.submit(|buffer: SharedBuffer| buffer.iter().map(|byte| usize::from(*byte)).sum::<usize>(), buffer);
    assert_eq!(sum.map_err(text)?.result().map_err(text)?, 9 * MIB);
    step("a map");
    let doubled = pool.map(double, 0..100).collect::<Result<Vec<_>, _>>().map_err(text)?;
    assert!(doubled.into_iter().eq((0..100).map(double)));
    step("a run limit");
    let limited = TaskOptions::new().run_timeout(SHORT);
    let limited = pool.submit_with(limited, |()| -> () { crate::support::wait_for_ever() }, ()).map_err(text)?;
    assert!(limited.result().unwrap_err().is_timed_out());
    step("a callback");
    let (told, hear) = std::sync::mpsc::channel();
    let callback = pool.submit(double, 7).map_err(text)?;
    callback.add_done_callback(move |outcome| told.send(outcome.is_ok()).unwrap());
    assert!(hear.recv().unwrap());
    step("the end");
    pool.shutdown(Shutdown::wait());
    Ok(())
}

fn check(call: &Call, errno: libc::c_int) {
    refuse(call, errno);
    let (name, _) = call.name.split_once('(').unwrap_or((call.name, ""));
    match (use_a_pool(), call.without) {
        (Ok(()), GoesOn) => {}
        (Err(error), Named) => assert!(error.contains(name), "{name} is not named: {error}"),
        (Err(error), NoProcess) => assert!(error.contains("posix_spawn"), "{error}"),
        (Err(error), NoWorker) => assert!(error.contains("before it was ready") || error.contains(name), "{error}"),
        (outcome, expected) => panic!("{name} refused with {errno}: {outcome:?}, not {expected:?}"),
    }
}

/// Each call of the table, in a process of its own, refused as a kernel does that has no such call, and as a sandbox does.
#[test]
fn a_call_is_refused() {
    for call in &CALLS {
        for errno in [libc::ENOSYS, libc::EPERM] {
            watched(|| child::run("sandbox::refused_program", &format!("{} {errno}", call.name), |_| ()));
        }
    }
}

#[test]
fn refused_program() {
    let Some(argument) = child::argument() else { return };
    watched(|| {
        let (name, errno) = argument.split_once(' ').unwrap();
        let call = CALLS.iter().find(|call| call.name == name).unwrap();
        check(call, errno.parse().unwrap());
    });
}

/// The table says what was tested, and nothing else was.
#[test]
fn the_table_of_calls_is_what_is_tested() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../SECURITY.md")).unwrap();
    let rows = document.lines().filter(|line| line.starts_with("| `")).map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        (cells[0].trim_matches('`').to_owned(), cells[cells.len() - 1].to_owned())
    });
    let tested = CALLS.iter().map(|call| {
        let without = match call.without {
            GoesOn => "goes on",
            Named | NoProcess | NoWorker => "an error",
        };
        (call.name.to_owned(), without.to_owned())
    });
    assert_eq!(rows.collect::<Vec<_>>(), tested.collect::<Vec<_>>());
}
