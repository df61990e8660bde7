//! Starting a process of this executable at one of its functions.

use crate::connection::{BEGIN, Connection};
use crate::entry::{Entry, marker};
use crate::image::Image;
use crate::process::Process;
use crate::start_error::{CHDIR, Calling, StartError};
use crate::system;
use crate::take_over::is_ready;
use rustix::fd::{BorrowedFd, OwnedFd};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// How a process is started.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What `ps` shows; else the program's name.
    pub name: Option<OsString>,
    /// Environment variables beside the inherited ones, or in their place.
    pub environment: Vec<(OsString, OsString)>,
    /// The folder in which it begins; else this process's.
    pub current_dir: Option<PathBuf>,
    /// What becomes of what it writes to standard output.
    pub stdout: StandardOutput,
    /// What becomes of what it writes to standard error.
    pub stderr: StandardOutput,
}

/// What becomes of the output of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StandardOutput {
    /// It goes where that of this process goes.
    #[default]
    Inherit,
    /// It is thrown away.
    Null,
}

/// A process that was started, and the connection to it.
#[derive(Debug)]
pub struct Started {
    /// The process.
    pub process: Process,
    /// The connection to it.
    pub connection: Connection,
}

/// Why a process could not be started, and what is left to be reaped, if it came that far.
#[derive(Debug)]
pub struct NotStarted {
    /// The call that failed.
    pub error: StartError,
    /// The process, which ends by itself when it finds its connection closed.
    pub process: Option<Process>,
}

impl From<StartError> for NotStarted {
    fn from(error: StartError) -> Self {
        Self { error, process: None }
    }
}

impl std::fmt::Display for NotStarted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for NotStarted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// What to do where no process would be taken over.
const WOULD_RUN_MAIN: &str =
    "it would run main; call init() of this crate first in main, on its thread, or enable the feature `before-main`";

/// Starts a process of this executable, which begins with `entry` and has `attachments`; never waits for it.
///
/// The process is the leader of a group of its own, has no descriptor of this one's but standard output and error and those
/// attachments, and its signals are as in a program at its start. It is not ended with this process, but then finds the end of its
/// connection where it receives.
///
/// # Errors
///
/// A call fails; the error says which, and whether the same may succeed a moment later. Or no process of this program would be taken
/// over: see [`init`](crate::init).
pub fn start(entry: Entry, settings: &Settings, attachments: &[BorrowedFd<'_>]) -> Result<Started, NotStarted> {
    // It would run `main`, and start one that does the same, without end.
    is_ready().then_some(()).ok_or_else(|| io::Error::other(WOULD_RUN_MAIN)).calling("starting a process")?;
    let image = Image::of_this_process().map_err(io::Error::other).calling("finding the executable")?;
    let offset = image.code_offset(entry as *const ());
    let offset = offset.ok_or_else(|| io::Error::other("the entry point is not part of the executable"));
    let offset = offset.calling("naming the entry point")?;
    let (ours, theirs) = system::socket_pair().calling("socketpair")?;
    let child = command(settings, theirs).calling("open")?.spawn().calling(&name_of_spawn(settings))?;
    let mut process = Process::new(child);
    let connection = Connection::of_parent(ours);
    let begin = [BEGIN, image.digest(), offset, attachments.len() as u64];
    // Without its orders it sees the end of the connection, and ends.
    let ready = process.watch().calling("pidfd_open");
    let ready = ready.and_then(|()| order(&connection, begin, attachments).calling("sendmsg"));
    match ready {
        Ok(()) => Ok(Started { process, connection }),
        Err(error) => Err(NotStarted { error, process: Some(process) }),
    }
}

/// Tells the process where it begins. One that has ended is no error here: its end is an event that follows, and says why.
fn order(connection: &Connection, begin: [u64; 4], attachments: &[BorrowedFd<'_>]) -> io::Result<()> {
    match connection.send_frame(begin, attachments) {
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
        sent => sent,
    }
}

/// Returns what has failed if the process was not started: std does not tell, but a folder is the likeliest.
fn name_of_spawn(settings: &Settings) -> String {
    match &settings.current_dir {
        Some(folder) if !folder.is_dir() => format!("{CHDIR}{}", folder.display()),
        _ => "posix_spawn of /proc/self/exe".to_owned(),
    }
}

/// Returns the command for the same executable, by what the kernel knows of this process and not by a path, which may lead to another file by now.
/// Nothing is set here that would make std fork instead of spawning: the time must not grow with the parent's memory.
fn command(settings: &Settings, socket: OwnedFd) -> io::Result<Command> {
    let mut command = Command::new("/proc/self/exe");
    let name = settings.name.clone().or_else(|| std::env::args_os().next()).unwrap_or_default();
    command
        .arg0(name)
        .env(marker(), "1")
        .envs(settings.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(socket))
        .stdout(stdio(settings.stdout)?)
        .stderr(stdio(settings.stderr)?)
        // So that ending it ends what it has started, and that an interrupt from the terminal is the parent's alone.
        .process_group(0);
    if let Some(folder) = &settings.current_dir {
        command.current_dir(folder);
    }
    Ok(command)
}

/// Not std's [`Stdio::null`]: what that opens may get a standard number itself, and needs `/dev`.
fn stdio(output: StandardOutput) -> io::Result<Stdio> {
    Ok(match output {
        StandardOutput::Inherit => Stdio::inherit(),
        StandardOutput::Null => system::null_device()?.into(),
    })
}
