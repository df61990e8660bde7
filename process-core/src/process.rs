//! [`Process`]: a child as its parent has it: signalled, awaited, reaped.

use crate::system::{self, ChildState, leave};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use std::io;
use std::process::{Child, ExitStatus};

/// A process that was started and not yet reaped; dropped like this, it is killed. Nothing here waits but [`wait`](Self::wait).
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Readable once the process has ended; there is none if the system had no descriptor left for it.
    end: Option<OwnedFd>,
    reaped: bool,
}

/// What became of a signal.
#[must_use = "a process that may not be signalled must be ended in another way"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signalled {
    /// The process gets it.
    Sent,
    /// The process has ended.
    Gone,
    /// The system forbids it: the process has other rights than this one has now.
    Refused,
}

impl Process {
    pub(crate) fn new(child: Child) -> Self {
        Self { child, end: None, reaped: false }
    }

    /// Has the system tell when the process has ended.
    pub(crate) fn watch(&mut self) -> io::Result<()> {
        self.end = Some(self.number().and_then(system::end_of_process)?);
        Ok(())
    }

    /// Returns the number of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn number(&self) -> io::Result<Pid> {
        i32::try_from(self.pid()).ok().and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Returns a descriptor that is readable once the process has ended; `None` if there is none any more.
    #[must_use]
    pub fn end(&self) -> Option<BorrowedFd<'_>> {
        self.end.as_ref().map(AsFd::as_fd)
    }

    /// Leaves that descriptor alone, which the program has closed by its number. From now on the process is known by its own number,
    /// which is nobody else's until it is reaped.
    pub fn leave_end(&mut self) {
        self.end.take().into_iter().for_each(leave);
    }

    /// Signals the process and what belongs to its group; the process itself once, also if it has left the group.
    pub fn signal(&self, signal: Signal) -> Signalled {
        let group = system::signal_group(self.pid(), signal);
        if signal == Signal::KILL || group.is_err() || !system::leads_its_group(self.pid()) {
            return self.signal_alone(signal);
        }
        Signalled::Sent
    }

    fn signal_alone(&self, signal: Signal) -> Signalled {
        match system::signal_process(self.pid(), self.end(), signal) {
            Ok(()) => Signalled::Sent,
            Err(Errno::SRCH) => Signalled::Gone,
            Err(_) => Signalled::Refused,
        }
    }

    /// Reaps the process if it has ended, after ending what is left of its group: until it is reaped, its number, which is
    /// the group's, cannot belong to anybody else. Returns how it ended, where that can be known; `None` if it has not.
    pub fn try_reap(&mut self) -> Option<Option<ExitStatus>> {
        match system::state_of_child(self.pid()) {
            ChildState::Running => return None,
            // There is nobody left in most groups, and a process with other rights is not ours to end.
            ChildState::Ended => drop(system::signal_group(self.pid(), Signal::KILL)),
            // A program that ignores SIGCHLD has it reaped already.
            ChildState::Reaped => {}
        }
        self.reaped = true;
        Some(self.child.try_wait().ok().flatten())
    }

    /// Waits until the process has ended, and reaps it. Returns how it ended, where that can be known.
    ///
    /// # Errors
    ///
    /// The system cannot tell when it ends.
    pub fn wait(&mut self) -> io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.try_reap() {
                return Ok(status);
            }
            let end = self.end().ok_or(io::ErrorKind::Unsupported)?;
            system::wait_readable(end)?;
        }
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
