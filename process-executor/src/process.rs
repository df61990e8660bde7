//! A worker process as its supervisor has it: started, signalled, reaped.

use crate::before_main::MARKER;
use crate::buffer::Buffer;
use crate::image::Image;
use crate::link::Link;
use crate::mapping::{Access, Mapping};
use crate::message::Message;
use crate::protocol::layout::{SIZE, Shared};
use crate::protocol::worker_settings::WorkerSettings;
use crate::settings::{Settings, WorkerOutput};
use crate::start_error::{CHDIR, Calling, StartError};
use crate::system::{self, ChildState, Credentials, leave};
use executor_core::remote::Initializer;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

/// A process that was started and not yet reaped; dropped like this, it is killed. Nothing here waits.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Readable once the process has ended; there is none if the system had no descriptor left for it.
    end: Option<OwnedFd>,
    reaped: bool,
}

/// What became of a signal.
#[must_use = "a process that may not be signalled must be ended in another way"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signalled {
    Sent,
    /// The process has ended.
    Gone,
    /// The system forbids it: the process has other rights than this one has now.
    Refused,
}

/// A worker that could not be started, and the process that is left to be reaped, if it came that far.
pub(crate) struct NotStarted {
    pub(crate) error: StartError,
    pub(crate) process: Option<Process>,
}

impl From<StartError> for NotStarted {
    fn from(error: StartError) -> Self {
        Self { error, process: None }
    }
}

/// A worker that was started, and the ways to it.
pub(crate) struct Started {
    pub(crate) process: Process,
    pub(crate) shared: Shared,
    pub(crate) link: Arc<Link>,
    pub(crate) welcome: Welcome,
    /// With whose rights it runs.
    pub(crate) credentials: Credentials,
}

/// The order to begin, with the descriptors for it. A worker waits for it, and runs nothing of the user's before.
pub(crate) struct Welcome {
    memory: OwnedFd,
    settings: Buffer,
    /// What the transport hands over beside these.
    worker_ends: Vec<OwnedFd>,
}

impl Welcome {
    /// Sends the order; never blocks. A worker that has ended is no error here: its end is an event that follows, and says why.
    pub(crate) fn send(&self, link: &Link) -> io::Result<()> {
        let mut files = vec![self.memory.as_fd(), self.settings.file().as_fd()];
        files.extend(self.worker_ends.iter().map(AsFd::as_fd));
        let order = Message::Welcome { settings: self.settings.length() };
        match order.send(link.socket(), &files) {
            Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
            sent => sent,
        }
    }
}

/// What makes memory that can be shared.
const MAKING_MEMORY: &str = "memfd_create, ftruncate or fcntl(F_ADD_SEALS)";

/// Starts a worker: the process, the memory it shares, the socket to it. It begins when it is welcomed.
pub(crate) fn start(
    settings: &Settings,
    image: &Image,
    index: usize,
    environment: &[(OsString, OsString)],
    worker_ends: Vec<OwnedFd>,
) -> Result<Started, NotStarted> {
    let credentials = Credentials::now();
    let memory = system::anonymous_memory("concurrent-futures-ring", SIZE).calling(MAKING_MEMORY)?;
    let mapping = Mapping::new(&memory, SIZE, Access::ReadWrite).calling("mmap")?;
    mapping.keep_out_of_forks();
    let shared = Shared::new(mapping).ok_or(io::ErrorKind::InvalidData).calling("mmap")?;
    let words = settings_for(settings, image, index).calling("naming the initializer")?;
    let words = Buffer::copy_of(&words).calling(MAKING_MEMORY)?;
    let (ours, theirs) = system::socket_pair().calling("socketpair")?;
    let mut command = command(settings, index, environment, theirs).calling("open")?;
    let child = command.spawn().calling(&name_of_spawn(settings))?;
    let mut process = Process { child, end: None, reaped: false };
    let end = process.number().and_then(system::end_of_process);
    match end.calling("pidfd_open") {
        Ok(end) => process.end = Some(end),
        // It sees the end of the connection, and ends.
        Err(error) => return Err(NotStarted { error, process: Some(process) }),
    }
    let welcome = Welcome { memory, settings: words, worker_ends };
    Ok(Started { process, shared, link: Arc::new(Link::new(ours)), welcome, credentials })
}

/// What has failed if the process was not started: std does not tell, but a folder is the likeliest.
fn name_of_spawn(settings: &Settings) -> String {
    match &settings.current_dir {
        Some(folder) if !folder.is_dir() => format!("{CHDIR}{}", folder.display()),
        _ => "posix_spawn of /proc/self/exe".to_owned(),
    }
}

fn settings_for(settings: &Settings, image: &Image, index: usize) -> io::Result<Vec<u8>> {
    let initializer = settings.initializer.as_ref().map(|initializer| name_of(initializer, image)).transpose()?;
    let settings = WorkerSettings {
        image: image.identity(),
        name: settings.worker_name(index),
        initializer,
        may_look: num_cpus::get() > 1,
        nice: settings.nice,
    };
    postcard::to_stdvec(&settings).map_err(io::Error::other)
}

fn name_of(initializer: &Initializer, image: &Image) -> io::Result<([u64; 3], Vec<u8>)> {
    let name = crate::function::FunctionName::of(initializer.function, image)
        .ok_or_else(|| io::Error::other("the initializer is not part of the executable"))?;
    Ok(([name.trampoline, name.code, name.fingerprint], initializer.input.clone()))
}

/// The same executable, found by what the kernel knows of this process and not by a path, which may lead to another file by
/// now. Nothing is set here that would make std fork instead of spawning: the time must not grow with the parent's memory.
fn command(
    settings: &Settings,
    index: usize,
    environment: &[(OsString, OsString)],
    socket: OwnedFd,
) -> io::Result<Command> {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(name_for_ps(settings, index))
        .env(MARKER, "1")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(socket))
        .stdout(stdio(settings.stdout)?)
        .stderr(stdio(settings.stderr)?)
        // So that ending it ends what its tasks have started, and that an interrupt from the terminal is the parent's alone.
        .process_group(0);
    if let Some(folder) = &settings.current_dir {
        command.current_dir(folder);
    }
    Ok(command)
}

/// What std opens for [`Stdio::null`] may get a standard number itself, and needs `/dev`.
fn stdio(output: WorkerOutput) -> io::Result<Stdio> {
    Ok(match output {
        WorkerOutput::Inherit => Stdio::inherit(),
        WorkerOutput::Null => system::null_device()?.into(),
    })
}

fn name_for_ps(settings: &Settings, index: usize) -> OsString {
    let program = std::env::args_os().next().unwrap_or_default();
    let program = std::path::Path::new(&program).file_name().unwrap_or_default();
    let mut name = program.to_owned();
    name.push(format!(" (worker {} of {})", settings.worker_name(index), std::process::id()));
    name
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn number(&self) -> io::Result<Pid> {
        i32::try_from(self.pid()).ok().and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Readable once the process has ended.
    pub(crate) fn end(&self) -> Option<BorrowedFd<'_>> {
        self.end.as_ref().map(AsFd::as_fd)
    }

    /// From now on it is known by its number alone, which is its own until it is reaped.
    pub(crate) fn leave_end(&mut self) {
        self.end.take().into_iter().for_each(leave);
    }

    /// Signals the process and what belongs to its group; the process itself once, also if it has left the group.
    pub(crate) fn signal(&self, signal: Signal) -> Signalled {
        let group = system::signal_group(self.pid(), signal);
        if signal == Signal::KILL || group.is_err() || !system::leads_its_group(self.pid()) {
            return self.signal_alone(signal);
        }
        Signalled::Sent
    }

    fn signal_alone(&self, signal: Signal) -> Signalled {
        let sent = match &self.end {
            Some(end) => rustix::process::pidfd_send_signal(end, signal),
            // Until it is reaped, the number is its own.
            None => self.number().map_err(|_| Errno::SRCH).and_then(|pid| rustix::process::kill_process(pid, signal)),
        };
        match sent {
            Ok(()) => Signalled::Sent,
            Err(Errno::SRCH) => Signalled::Gone,
            Err(_) => Signalled::Refused,
        }
    }

    /// Reaps the process if it has ended, after ending what is left of its group: until it is reaped, its number, which is
    /// the group's, cannot belong to anybody else. Returns how it ended, where that can be known; `None` if it has not.
    pub(crate) fn try_reap(&mut self) -> Option<Option<ExitStatus>> {
        match system::state_of_child(self.pid()) {
            ChildState::Running => return None,
            // There is nobody left in most groups, and whoever has other rights is not ours to end.
            ChildState::Ended => drop(system::signal_group(self.pid(), Signal::KILL)),
            // A program that ignores SIGCHLD has it reaped already.
            ChildState::Reaped => {}
        }
        self.reaped = true;
        Some(self.child.try_wait().ok().flatten())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped && self.signal(Signal::KILL) != Signalled::Refused {
            // If it is not gone yet, the system reaps it with this process.
            let _ = self.try_reap();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Welcome;
    use crate::buffer::Buffer;
    use crate::link::{Event, Link};
    use crate::protocol::layout::SIZE;
    use crate::system;

    fn welcome() -> Welcome {
        let memory = system::anonymous_memory("concurrent-futures-test", SIZE).unwrap();
        Welcome { memory, settings: Buffer::copy_of(b"settings").unwrap(), worker_ends: Vec::new() }
    }

    /// That it has ended, and why, is told by its end.
    #[test]
    fn a_worker_that_has_ended_may_be_welcomed() {
        let (ours, theirs) = system::socket_pair().unwrap();
        let link = Link::new(ours);
        drop(theirs);
        welcome().send(&link).unwrap();
        assert_eq!(link.read(), [Event::Closed]);
    }

    /// It ended with something unread.
    #[test]
    fn a_worker_whose_connection_was_reset_may_be_welcomed() {
        let (ours, theirs) = system::socket_pair().unwrap();
        let link = Link::new(ours);
        welcome().send(&link).unwrap();
        drop(theirs);
        welcome().send(&link).unwrap();
    }
}
