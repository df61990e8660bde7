//! How a process becomes a worker, or does not, and what it inherits.

use crate::bytes::{Bytes, MIB};
use crate::child;
use crate::processes;
use crate::program;
use crate::support::{
    Gate, LONG, Pass, Scratch, append, assert_works, double, hear_interrupts, note_untested, outcome, own_pid, pool,
    quiet, read_lines, until,
};
use crate::system_calls;
use crate::watchdog::{step, watched};
use executor_core::ExecutorExt;
use process_executor::{ProcessPoolExecutor, SharedBuffer, TransportKind, WorkerOutput};
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::thread;

/// In the environment of a worker that begins.
const MARKER: &str = "CONCURRENT_FUTURES_WORKER_PROCESS";

/// Exit codes of processes that have the marker and become no workers.
const FAILED: i32 = 70;
const PRIVILEGED: i32 = 77;
const NOT_ASKED: i32 = 78;

/// A user who has no other processes.
const NOBODY: u32 = 54_322;

/// Runs this program with the marker. Its `main` would list the tests, and do no more.
fn run_marked(change: impl FnOnce(&mut Command)) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("--list").env(MARKER, "1").stdin(Stdio::null());
    change(&mut command);
    command.output().unwrap()
}

/// The same with a socket as standard input, in which these bytes are, and whose other end is gone.
fn run_on_socket(bytes: &[u8]) -> Output {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(bytes).unwrap();
    drop(ours);
    run_marked(|command| {
        command.stdin(OwnedFd::from(theirs));
    })
}

#[track_caller]
fn assert_refused(output: &Output, code: i32, word: &str) {
    let (out, err) = (child::text(&output.stdout), child::text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    assert_eq!(out, "", "its main has run");
    assert!(err.contains(word) && (word.is_empty() == err.is_empty()), "{err:?} is said, {word:?} is missing");
}

#[test]
fn a_process_with_the_marker_never_comes_to_main() {
    watched(|| {
        step("one without a socket");
        assert_refused(&run_marked(|_| ()), NOT_ASKED, MARKER);
        step("one with a socket that no pool has");
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let other = run_marked(|command| {
            command.stdin(OwnedFd::from(socket));
        });
        assert_refused(&other, NOT_ASKED, MARKER);
        step("one whose standard input is closed");
        let closed = run_marked(|command| {
            let mut by_shell = Command::new("sh");
            by_shell.args(["-c", "exec \"$0\" --list <&-"]).arg(command.get_program()).env(MARKER, "1");
            *command = by_shell;
        });
        assert_refused(&closed, NOT_ASKED, MARKER);
        step("one whose socket is closed at once");
        assert_refused(&run_on_socket(&[]), FAILED, "");
        step("one whose socket says a part of a message");
        assert_refused(&run_on_socket(&[1; 7]), FAILED, "");
        step("one whose socket says what makes no sense");
        let garbage = run_on_socket(&[0xff; 64]);
        assert_refused(&garbage, FAILED, "not what a parent says");
        step("one whose socket says what only a worker does");
        let mut bell = [0; 32];
        bell[0] = 6;
        let bell = run_on_socket(&bell);
        assert_refused(&bell, FAILED, "not what a parent says");
        step("one that is told to begin in another executable");
        let mut begin = [0; 32];
        begin[1] = 1;
        let begin = run_on_socket(&begin);
        assert_refused(&begin, FAILED, "could not begin: the process runs another executable");
    });
}

/// Sets rights on a program's file.
type Rights = fn(&str) -> std::io::Result<()>;

fn set_user_id(program: &str) -> std::io::Result<()> {
    fs::set_permissions(program, Permissions::from_mode(0o4755))
}

/// The capability to change the owners of files, as `setcap cap_chown=ep` gives it.
fn set_capability(program: &str) -> std::io::Result<()> {
    const REVISION_2: u32 = 0x0200_0000;
    const EFFECTIVE: u32 = 1;
    const CHOWN: u32 = 1;
    fs::set_permissions(program, Permissions::from_mode(0o755))?;
    let words = [REVISION_2 | EFFECTIVE, CHOWN, 0, 0, 0];
    let value: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    Ok(rustix::fs::setxattr(program, "security.capability", &value, rustix::fs::XattrFlags::empty())?)
}

/// A program with rights of its file: no pool is built there, and with the marker it ends.
#[test]
fn a_program_with_rights_of_its_file() {
    watched(|| {
        if !rustix::process::getuid().is_root() {
            return note_untested("only root makes a program that anybody else runs with more rights");
        }
        let kinds: [(&str, Rights); 2] = [("set-user-ID", set_user_id), ("capabilities", set_capability)];
        for (name, give) in kinds {
            step(format!("a program with {name}"));
            assert_refuses_with(name, give);
        }
    });
}

fn assert_refuses_with(name: &str, give: Rights) {
    let scratch = Scratch::new();
    let program = scratch.path("program");
    program::copy_to(&program);
    fs::set_permissions(scratch.folder(), Permissions::from_mode(0o755)).unwrap();
    if let Err(error) = give(&program) {
        return note_untested(&format!("a program with {name}: {error}"));
    }
    let as_nobody = |command: &mut Command| {
        child::start_by(command, |_| Command::new(&program));
        command.uid(NOBODY).gid(NOBODY);
    };
    child::run("beginnings::privileged_program", "1", as_nobody);
    let (_kept_open, socket) = UnixStream::pair().unwrap();
    step("a worker with rights of its file");
    let output = run_marked(|command| {
        *command = Command::new(&program);
        command.arg("--list").env(MARKER, "1").stdin(OwnedFd::from(socket)).uid(NOBODY).gid(NOBODY);
    });
    if is_privileged_here(&program) {
        assert_refused(&output, PRIVILEGED, "rights of its file");
    }
}

/// Returns whether such programs have their rights in this folder: not where it was mounted without.
fn is_privileged_here(program: &str) -> bool {
    let flags = rustix::fs::statvfs(program).unwrap().f_flag;
    let is = !flags.contains(rustix::fs::StatVfsMountFlags::NOSUID);
    if !is {
        note_untested("the folder for temporary files gives programs no rights");
    }
    is
}

#[test]
fn privileged_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        // SAFETY: reads the auxiliary vector, whose file such a program may not read.
        let secure = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
        match ProcessPoolExecutor::with_workers(1) {
            Err(error) => {
                assert!(secure && error.to_string().contains("set-user-ID"), "{error}");
            }
            Ok(_) => assert!(!secure, "a pool is built, whose workers would not be taken over"),
        }
        assert_eq!(processes::children(std::process::id()), []);
    });
}

/// The dynamic loader was started, and the program is its argument: what the kernel knows of this process is the loader.
#[test]
fn a_program_that_was_started_by_way_of_the_loader() {
    watched(|| {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let is_loader = |path: &&str| path.rsplit('/').next().is_some_and(|name| name.starts_with("ld"));
        let Some(loader) = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(is_loader) else {
            return note_untested("this program has no loader");
        };
        child::run("beginnings::loaded_program", "1", |command| {
            child::start_by(command, |program| {
                let mut by_loader = Command::new(loader);
                by_loader.arg(program);
                by_loader
            });
        });
    });
}

#[test]
fn loaded_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let error = ProcessPoolExecutor::with_workers(1).unwrap_err().to_string();
        assert!(error.contains("dynamic loader") && error.contains("/ld"), "{error}");
    });
}

/// What a program that waits for signals by a descriptor has made of them is not so in its workers, nor in what they start.
#[test]
fn signals_that_the_program_blocks_and_ignores() {
    watched(|| child::run("beginnings::unresponsive_program", "1", |_| ()));
}

/// Lines of a process's or a thread's status, in which signals are the bits of a number.
fn signals(status: &str, line: &str) -> u64 {
    let status = fs::read_to_string(status).unwrap();
    let found = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    // Those between are the C library's, which sees to them itself.
    let own: u64 = (32..libc::SIGRTMIN()).map(|signal| 1 << (signal - 1)).sum();
    u64::from_str_radix(found.trim_start_matches(':').trim(), 16).unwrap() & !own
}

/// Blocked, ignored: in the worker's thread, and in a process that it starts.
fn look_at_signals(_: ()) -> [(u64, u64); 2] {
    let here = "/proc/thread-self/status";
    let mut started = Command::new("sleep").arg("1000").spawn().unwrap();
    let there = format!("/proc/{}/status", started.id());
    let found = [here, &there].map(|status| (signals(status, "SigBlk"), signals(status, "SigIgn")));
    started.kill().unwrap();
    started.wait().unwrap();
    found
}

fn run_on(pass: Pass) {
    pass.arrive();
    loop {
        thread::park();
    }
}

#[test]
fn unresponsive_program() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        system_calls::block_and_ignore_signals();
        let pool = quiet(1).stop_grace(LONG).build().unwrap();
        let [(blocked, ignored), (child_blocked, child_ignored)] =
            outcome("a look at signals", pool.submit(look_at_signals, ()).unwrap()).unwrap();
        // As std has it in every program, and undoes it in what that starts.
        let broken_pipe = 1 << (libc::SIGPIPE - 1);
        assert_eq!((blocked, ignored, child_blocked, child_ignored), (0, broken_pipe, 0, 0));
        let gate = Gate::new();
        let task = pool.submit(run_on, gate.pass()).unwrap();
        gate.wait_arrivals(1);
        task.stop();
        assert!(outcome("a task that hears SIGTERM", task).unwrap_err().is_cancelled());
    });
}

/// A daemon that has closed its standard descriptors: none of ours takes their place, in the program or in a worker.
#[test]
fn a_program_without_standard_descriptors() {
    watched(|| {
        for transport in ["shared memory", "ipc-channel"] {
            let scratch = Scratch::new();
            child::run("beginnings::closed_program", &format!("{} {transport}", scratch.path("file")), |_| ());
        }
    });
}

/// Prints while a file is open that was opened when the numbers of standard output and error were to be had.
fn print_beside_a_file(path: String) -> Vec<(u32, String)> {
    let mut file = File::create(path).unwrap();
    file.write_all(b"of the task\n").unwrap();
    let _ = writeln!(io::stdout(), "printed");
    let _ = io::stdout().flush();
    let _ = writeln!(io::stderr(), "said");
    processes::descriptors(std::process::id()).into_iter().take(3).collect()
}

fn share(_: ()) -> SharedBuffer {
    SharedBuffer::from_slice(&[7; MIB]).unwrap()
}

#[test]
fn closed_program() {
    let Some(argument) = child::argument() else { return };
    let (path, transport) = argument.split_once(' ').unwrap();
    let transport = if transport == "ipc-channel" { TransportKind::IpcChannel } else { TransportKind::SharedMemory };
    watched(|| {
        let kept = system_calls::close_standard();
        let pool = ProcessPoolExecutor::builder().workers(2).transport(transport).build().unwrap();
        let ours = SharedBuffer::from_slice(&[1; MIB]).unwrap();
        let theirs = outcome("shared memory", pool.submit(share, ()).unwrap()).unwrap();
        let large = outcome("a large result", pool.submit(Bytes::pattern, MIB).unwrap()).unwrap();
        let found = outcome("a task that prints", pool.submit(print_beside_a_file, path.to_owned()).unwrap()).unwrap();
        let silent = quiet(1).stdout(WorkerOutput::Null).transport(transport).build().unwrap();
        let silent_found =
            outcome("a silent task", silent.submit(print_beside_a_file, path.to_owned()).unwrap()).unwrap();
        // The supervisor reads files of the system's now and then, which are closed at once.
        until("the standard numbers are free", system_calls::are_standard_closed);
        system_calls::restore_standard(kept);
        let nothing = [0, 1, 2].map(|number| (number, "/dev/null".to_owned()));
        assert_eq!((found, silent_found), (nothing.to_vec(), nothing.to_vec()));
        assert_eq!(fs::read_to_string(path).unwrap(), "of the task\n");
        assert!(ours.len() == theirs.len() && large.is_pattern());
    });
}

/// Descriptors of the program that have no close-on-exec do not stay open in workers, also where `close_range` is refused.
#[test]
fn close_range_is_refused() {
    watched(|| {
        for error in [libc::ENOSYS, libc::EPERM] {
            child::run("beginnings::filtered_program", &error.to_string(), |_| ());
        }
    });
}

fn leads_to(path: String) -> bool {
    processes::descriptors(std::process::id()).iter().any(|(_, leads)| *leads == path)
}

#[test]
fn filtered_program() {
    let Some(error) = child::argument().and_then(|argument| argument.parse().ok()) else { return };
    watched(|| {
        let scratch = Scratch::new();
        let path = scratch.folder().canonicalize().unwrap().join("secret");
        let secret = File::create(&path).unwrap();
        rustix::io::fcntl_setfd(&secret, rustix::io::FdFlags::empty()).unwrap();
        let leads = |pool: &ProcessPoolExecutor| {
            outcome("a look at descriptors", pool.submit(leads_to, path.to_str().unwrap().to_owned()).unwrap())
        };
        assert!(!leads(&pool(1)).unwrap());
        system_calls::refuse(&[libc::SYS_close_range], error);
        assert!(!leads(&pool(1)).unwrap(), "a file of the program's is open in a worker");
        // Nor can they be found: no worker begins with them.
        system_calls::refuse(&[libc::SYS_getdents64], error);
        let reason = leads(&pool(1)).unwrap_err().to_string();
        assert!(reason.contains("close_range") && reason.contains("/proc/self/fd"), "{reason}");
    });
}

/// Nothing in `/dev` is needed.
#[test]
fn an_empty_dev() {
    watched(|| {
        let is_root = rustix::process::getuid().is_root();
        let separate = || {
            let mut command = Command::new("unshare");
            command.args(if is_root { &["-m"][..] } else { &["-r", "-m"][..] });
            command
        };
        let script = "mount -t tmpfs none /dev && exec \"$0\" \"$@\"";
        let tried = separate().args(["sh", "-c", script, "true"]).output();
        if !tried.is_ok_and(|output| output.status.success()) {
            return note_untested("nothing can be mounted here");
        }
        child::run("beginnings::program_without_devices", "1", |command| {
            child::start_by(command, |program| {
                let mut command = separate();
                command.args(["sh", "-c", script]).arg(program);
                command
            });
        });
    });
}

#[test]
fn program_without_devices() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        assert_eq!(fs::read_dir("/dev").unwrap().count(), 0);
        let scratch = Scratch::new();
        let path = scratch.path("file");
        for pool in [pool(1), quiet(1).stdout(WorkerOutput::Null).build().unwrap()] {
            assert_works(&pool);
            outcome("a task that prints", pool.submit(print_beside_a_file, path.clone()).unwrap()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "of the task\n");
        }
        let kept = system_calls::close_standard();
        let pool = pool(1);
        let found = outcome("a task that prints", pool.submit(print_beside_a_file, path.clone()).unwrap());
        system_calls::restore_standard(kept);
        let numbers: Vec<_> = found.unwrap().into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "of the task\n");
    });
}

/// A pool starts and ends workers in a program on a terminal whose tasks use the terminal; an interrupt there is the program's.
#[test]
fn tasks_on_a_terminal() {
    watched(|| {
        let (master, slave) = system_calls::open_terminal();
        let scratch = Scratch::new();
        let notes = scratch.path("notes");
        let mut command = child::command("beginnings::program_on_a_terminal", &notes);
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        system_calls::lead_terminal(&mut command);
        let mut program = command.spawn().unwrap();
        drop(command);
        let mut keyboard = master.try_clone().unwrap();
        let mut screen = master;
        let shown = thread::spawn(move || {
            let mut text = Vec::new();
            // When nobody has the other end open any more, reading is an error.
            let _ = io::copy(&mut screen, &mut text);
            child::text(&text)
        });
        until("the program is ready, or has ended", || {
            !read_lines(&notes).is_empty() || !processes::is_alive(program.id())
        });
        keyboard.write_all(b"\x03").unwrap();
        step("the end of the program");
        let status = program.wait().unwrap();
        drop(keyboard);
        step("the end of what it shows");
        let shown = shown.join().unwrap();
        assert!(status.success() && shown.contains("1 passed") && shown.contains("printed by a task"), "{shown}");
    });
}

fn print_on_the_terminal(_: ()) {
    io::stdout().write_all(b"printed by a task\n").unwrap();
    io::stdout().flush().unwrap();
    io::stderr().write_all(b"said by a task\n").unwrap();
}

/// Has another program set something on the terminal; standard input is not it.
fn set_by_a_program(_: ()) -> bool {
    Command::new("sh").args(["-c", "stty -echo <&1"]).status().unwrap().success()
}

/// As programs do that ask for a password.
fn open_the_terminal(_: ()) -> bool {
    File::open("/dev/tty").is_ok()
}

#[test]
fn program_on_a_terminal() {
    let Some(notes) = child::argument() else { return };
    watched(|| {
        hear_interrupts();
        let interrupted = system_calls::note_interrupts();
        assert!(Command::new("stty").arg("tostop").status().unwrap().success());
        let pool = ProcessPoolExecutor::with_workers(1).unwrap();
        let pid = outcome("a task", pool.submit(own_pid, ()).unwrap()).unwrap();
        assert_eq!(processes::group(pid), Some(pid));
        outcome("a task that prints", pool.submit(print_on_the_terminal, ()).unwrap()).unwrap();
        assert!(outcome("a task that starts stty", pool.submit(set_by_a_program, ()).unwrap()).unwrap());
        outcome("a task that sets it itself", pool.submit(system_calls::set_terminal, ()).unwrap()).unwrap();
        assert!(!outcome("a task that opens it", pool.submit(open_the_terminal, ()).unwrap()).unwrap());
        let gate = Gate::new();
        let task = pool.submit(|pass: Pass| pass.go(), gate.pass()).unwrap();
        gate.wait_arrivals(1);
        append(&notes, "ready\n");
        until("the program is interrupted", interrupted);
        gate.open();
        outcome("a task during an interrupt", task).unwrap();
        assert_eq!(outcome("the same worker", pool.submit(own_pid, ()).unwrap()).unwrap(), pid);
        assert_eq!(outcome("a task", pool.submit(double, 4).unwrap()).unwrap(), 8);
    });
}
