//! The worker process: takes tasks from the shared memory, one after the other, and leaves their replies there.
//!
//! ```text
//!  main thread: settings ─► waits for the next, and ends the process with it
//!  worker thread, called as the worker is: initializer ─► Ready ─► slot, slot, slot ... ─► Retire
//!  connection thread: buffers, Retire; the end of the connection is the end of the process group
//! ```
//! User code runs on the worker thread alone, unless it starts threads of its own.

mod connection;
mod messages;
mod printed;
mod reply;
mod running;
mod tasks;

use crate::image::Image;
use crate::layout::{SIZE, Shared};
use crate::mapping::{Access, Mapping};
use crate::message::{Message, Received, Receiver};
use crate::system;
use crate::worker_settings::WorkerSettings;
use connection::Connection;
use executor_core::fork::Origin;
use executor_core::remote::{Job, Output};
use messages::Messages;
use running::{Silent, leave_if_forked};
use rustix::fd::{AsFd, OwnedFd};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// The worker thread's stack: as large as a main thread's usually is.
const STACK: usize = 8 * 1024 * 1024;

/// What a worker ends with when it could not begin; the parent has the reason in words by then, if there was a way.
const COULD_NOT_BEGIN: i32 = 70;

/// Runs the worker on a thread of its own, and ends the process with it. The thread that calls this is the main thread,
/// maybe before `main`.
pub(crate) fn become_worker() -> ! {
    // One that is stopped (SIGSTOP) when its parent dies would never hear of the end of the connection. It is told on behalf of
    // this thread, which lives as long as the process, when the one that started it ends.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::CONT));
    let thread = Welcome::receive().and_then(|welcome| {
        // For a program, too, the thread on which its tasks run has the worker's name: its panics are printed with it.
        let builder = std::thread::Builder::new().name(welcome.settings.name.clone()).stack_size(STACK);
        builder.spawn(move || work(welcome))
    });
    if let Ok(Ok(Ok(()))) = thread.map(std::thread::JoinHandle::join) {
        end_in_order();
    }
    // SAFETY: nothing of this process is to be done any more.
    unsafe { libc::_exit(COULD_NOT_BEGIN) }
}

/// Ends a worker that was told to: as any program ends, with what is left to be printed, the exit handlers that its tasks and its
/// constructors have registered, and the profile of a build that measures coverage. All of that may hang, or run into threads
/// that tasks have left: it is the last thing that happens here, and the parent waits for it no longer than for any worker that
/// was told to end.
#[expect(clippy::disallowed_methods, reason = "no destructor of ours is left to run; nobody calls this from a program")]
fn end_in_order() -> ! {
    std::process::exit(0)
}

/// What a worker has once its parent has listed it.
struct Welcome {
    socket: OwnedFd,
    receiver: Receiver,
    settings: WorkerSettings,
    memory: OwnedFd,
    /// The ends of the other transport, if there is one: inputs, replies.
    messages: Option<(OwnedFd, OwnedFd)>,
}

impl Welcome {
    fn receive() -> io::Result<Self> {
        system::close_inherited();
        let socket = take_socket()?;
        settle_signals();
        let mut receiver = Receiver::default();
        let Received::Message(Message::Welcome { settings }, files) = receiver.receive(&socket, true) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut files = files.into_iter();
        let mut next = || files.next().ok_or(io::ErrorKind::InvalidData);
        let (memory, settings_file) = (next()?, next()?);
        let messages = next().ok().zip(next().ok());
        Ok(Self { socket, receiver, settings: read_settings(settings_file, settings)?, memory, messages })
    }
}

fn work(welcome: Welcome) -> io::Result<()> {
    let Welcome { socket, receiver, settings, memory, messages } = welcome;
    let messages = messages.map(|(inputs, replies)| Messages::new(&inputs, &replies)).transpose()?;
    let shared = Shared::new(Mapping::new(memory, SIZE, Access::ReadWrite)?).ok_or(io::ErrorKind::InvalidData)?;
    let shared = Arc::new(shared);
    let connection = Connection::start(socket, receiver, shared.clone())?;
    if let Err(text) = prepare(&settings, &shared, &connection) {
        let length = reply::write_first_block(&shared, text.as_bytes());
        Message::Failed { text: length }.send(connection.socket(), &[])?;
        return Ok(());
    }
    tasks::run(&shared, &connection, messages.as_ref(), &settings);
    Ok(())
}

/// Moves the socket from standard input, where it came in, to a place of its own.
fn take_socket() -> io::Result<OwnedFd> {
    let socket = rustix::io::fcntl_dupfd_cloexec(std::io::stdin().as_fd(), 100)
        .or_else(|_| rustix::io::fcntl_dupfd_cloexec(std::io::stdin().as_fd(), 3))?;
    let nothing = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty())?;
    rustix::stdio::dup2_stdin(&nothing)?;
    Ok(socket)
}

/// Signals as a program expects them at its start, whatever the parent had made of them.
fn settle_signals() {
    for signal in [libc::SIGCHLD, libc::SIGINT, libc::SIGTERM, libc::SIGQUIT, libc::SIGHUP] {
        // SAFETY: sets a default; no handler of this process is replaced, since none was set yet.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // As std does before `main`: a write to a closed pipe is an error, not the end.
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

fn read_settings(file: OwnedFd, length: u64) -> io::Result<WorkerSettings> {
    let buffer = crate::buffer::Buffer::receive(0, file, length)?;
    postcard::from_bytes(buffer.bytes()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// All that comes before the first task. The error is for the parent.
fn prepare(settings: &WorkerSettings, shared: &Shared, connection: &Connection) -> Result<(), String> {
    let image = Image::of_this_process().map_err(|error| error.to_string())?;
    if image.identity() != settings.image {
        return Err("the worker runs another executable than its parent; a wrapper or loader started it?".to_owned());
    }
    let name = name_of_thread(&settings.name);
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
    // The process is called as its main thread is, which else has the name of the link by which it was started.
    write_to("/proc/self/comm", name);
    yield_memory_to_the_parent();
    if settings.nice != 0 {
        rustix::process::nice(settings.nice).map_err(|error| format!("nice({}) failed: {error}", settings.nice))?;
    }
    let mut reply = Vec::new();
    if let Some((name, input)) = &settings.initializer {
        let function = WorkerSettings::initializer_name(*name)
            .resolve(image)
            .ok_or("the initializer is not where the parent said it is")?;
        let stop = AtomicU32::new(0);
        let output = Output::new(&mut reply);
        let worker = Origin::here();
        let mut progress = Silent(worker);
        let mut job = Job { input, output, stop: &stop, timed: false, worker: &settings.name, progress: &mut progress };
        // SAFETY: a genuine descriptor, and the function it was made for, as the parent says, which started this process.
        unsafe { function.descriptor.run(function.code, &mut job) };
        leave_if_forked(&worker);
    }
    let initializer = reply::write_first_block(shared, &reply);
    let image = u64::from_le_bytes(image.identity()[..8].try_into().unwrap_or_default());
    Message::Ready { image, initializer }.send(connection.socket(), &[]).map_err(|error| error.to_string())
}

/// If memory runs out, the kernel ends whoever uses most of it, which may be a parent with large data and many futures. A
/// worker counts as if it used half of all memory beside its own, and its death costs one task. No more: something else that
/// takes most of the memory is to go before workers do.
fn yield_memory_to_the_parent() {
    const HALF: i32 = 500;
    const FILE: &str = "/proc/self/oom_score_adj";
    let now = std::fs::read_to_string(FILE).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if now.is_some_and(|now| now < HALF) {
        write_to(FILE, &HALF.to_string());
    }
}

/// Writes to a file of the system's, if it may be written to.
fn write_to(file: &str, text: &str) {
    let file = std::fs::OpenOptions::new().write(true).open(file);
    let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
}

/// Returns what the kernel keeps of a thread's name: 15 bytes, and no part of a character.
fn name_of_thread(name: &str) -> &str {
    let end = (0..=name.len().min(15)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    &name[..end]
}

/// Ends this process and the group that it was made the leader of, without a word: whoever could listen is gone. Another
/// group, if a task has moved the process there, is nobody's to end.
fn end_group() -> ! {
    let _ = system::signal_group(std::process::id(), rustix::process::Signal::KILL);
    // SAFETY: nothing of this process is to be done any more.
    unsafe { libc::_exit(0) }
}
