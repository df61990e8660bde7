//! The worker process: takes tasks from the shared memory, one after the other, and leaves their replies there.
//!
//! ```text
//!  main thread: settings ─► waits for the next, and ends the process with it
//!  worker thread, called as the worker is: initializer ─► Ready ─► slot, slot, slot ... ─► Retire
//!  connection thread: buffers, Retire; the end of the connection is the end of the process group
//! ```
//! User code runs on the worker thread alone, unless it starts threads of its own.

pub(crate) mod connection;
pub(crate) mod ending;
pub(crate) mod passage;
mod printed;
pub(crate) mod reply;
pub(crate) mod running;
pub(crate) mod shared_memory;
pub(crate) mod tasks;

use crate::protocol::layout::{SIZE, Shared};
use crate::protocol::message::{self, Message, Received};
use crate::protocol::worker_settings::WorkerSettings;
use connection::Connection;
use executor_core::fork::Origin;
use executor_core::remote::{Job, Output};
use process_core::frame;
use process_core::image::Image;
use process_core::memory::{Access, Mapping};
use process_core::system;
use process_core::{ExitCode, Parts, Refusal};
use running::{Silent, leave_if_forked};
use rustix::fd::OwnedFd;
use rustix::process::Pid;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use tasks::Transport;

/// The worker thread's stack: as large as a main thread's usually is.
const STACK: usize = 8 * 1024 * 1024;

/// Begins the worker's process, on its main thread, maybe before `main`: runs the worker on a thread of its own.
///
/// A worker that was told to end ends as any program does, with what is left to be printed, the exit handlers that its tasks and its
/// constructors have registered, and the profile of a build that measures coverage. All of that may hang, or run into threads that
/// tasks have left: its parent waits for it no longer than for any worker that was told to end.
pub(crate) fn entry<T: Transport>(connection: process_core::Connection) -> ExitCode {
    match begin::<T>(connection.into_parts()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Some(error)) => Refusal::Failed.end(&format!("a worker process could not begin: {error}")),
        Err(None) => Refusal::Failed.end_silently(),
    }
}

/// Why a worker did not begin; `None`: its parent is gone, or has been told.
pub(crate) type NotBegun = Option<io::Error>;

fn begin<T: Transport>(parts: Parts) -> Result<(), NotBegun> {
    let welcome = Welcome::receive(parts)?;
    // For a program, too, the thread on which its tasks run has the worker's name: its panics are printed with it.
    let builder = std::thread::Builder::new().name(welcome.settings.name.clone()).stack_size(STACK);
    builder.spawn(move || work::<T>(welcome))?.join().unwrap_or(Err(None))
}

/// What a worker has once its parent has listed it.
struct Welcome {
    socket: OwnedFd,
    receiver: frame::Receiver,
    parent: Option<Pid>,
    settings: WorkerSettings,
    memory: OwnedFd,
    /// What its transport needs beside the memory and the socket.
    ends: Vec<OwnedFd>,
}

impl Welcome {
    fn receive(parts: Parts) -> Result<Self, NotBegun> {
        let Parts { socket, mut receiver, parent, attachments } = parts;
        let length = loop {
            match message::receive(&mut receiver, &socket, true) {
                Received::Message(Message::Welcome { settings }, _) => break settings,
                // A fork of the parent's may hold the other end of the socket.
                Received::Nothing if system::parent() == parent => {}
                Received::Nothing | Received::End => return Err(None),
                Received::Message(..) | Received::Garbage => return Err(Some(unknown("what it is told"))),
            }
        };
        let mut files = attachments.into_iter();
        let mut next = || files.next().ok_or_else(|| unknown("the descriptors that it is given"));
        let (memory, settings) = (next()?, next()?);
        let settings = read_settings(settings, length)?;
        Ok(Self { socket, receiver, parent, settings, memory, ends: files.collect() })
    }
}

fn unknown(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} by its standard input is not what a pool says"))
}

/// Does the work of a worker, until its parent has no more.
fn work<T: Transport>(welcome: Welcome) -> Result<(), NotBegun> {
    let Welcome { socket, receiver, parent, settings, memory, ends } = welcome;
    let memory = Mapping::new(memory, SIZE, Access::ReadWrite)?;
    let shared = Arc::new(Shared::new(memory).ok_or_else(|| unknown("the memory that it is given"))?);
    let transport = match T::open(ends) {
        Ok(transport) => transport,
        Err(error) => return refuse(&shared, &socket, &error.to_string()),
    };
    let connection = Connection::start(socket, parent, receiver, shared.clone())?;
    if let Err(text) = prepare(&settings, &shared, &connection) {
        return refuse(&shared, connection.socket(), &text);
    }
    tasks::run(&shared, &connection, &transport, &settings);
    Ok(())
}

/// Tells the parent why this process is no worker.
fn refuse(shared: &Shared, socket: &OwnedFd, text: &str) -> Result<(), NotBegun> {
    let length = reply::write_first_block(shared, text.as_bytes());
    Message::Failed { text: length }.send(socket, &[]).map_err(|_| None)
}

fn read_settings(file: OwnedFd, length: u64) -> io::Result<WorkerSettings> {
    let buffer = process_core::memory::Buffer::receive(0, file, length)?;
    postcard::from_bytes(buffer.bytes()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Does all that comes before the first task. The error is for the parent.
fn prepare(settings: &WorkerSettings, shared: &Shared, connection: &Connection) -> Result<(), String> {
    let image = Image::of_this_process().map_err(|error| error.to_string())?;
    let name = name_of_thread(&settings.name);
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
    // The process is called as its main thread is, which would otherwise have the name of the link by which it was started.
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
        // SAFETY: a genuine trampoline, and the function it was made for, as the parent says, which started this process.
        unsafe { function.trampoline.run(function.code, &mut job) };
        leave_if_forked(&worker);
    }
    let initializer = reply::write_first_block(shared, &reply);
    Message::Ready { image: image.digest(), initializer }
        .send(connection.socket(), &[])
        .map_err(|error| error.to_string())
}

/// Makes workers go before their parent if memory runs out: the kernel ends the process that uses most of it, which may be a parent with
/// large data and many futures, and a worker's death costs one task. A worker counts as if it used half of all memory beside its own. No
/// more: something else that takes most of the memory is to go before workers do.
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
