//! Processes: signalled, watched, and with whose rights they run.

use super::descriptors::beyond_standard;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::io;

/// Returns a descriptor that is readable once a child has ended.
///
/// # Errors
///
/// `pidfd_open` fails.
pub fn end_of_process(pid: Pid) -> io::Result<OwnedFd> {
    beyond_standard(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// Signals a process group by its leader's number. To be called before the leader is reaped: until then nobody else gets the
/// number.
///
/// # Errors
///
/// There is nobody in the group, or nobody who may be signalled.
pub fn signal_group(leader: u32, signal: Signal) -> io::Result<()> {
    let group = i32::try_from(leader).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    Ok(rustix::process::kill_process_group(group, signal)?)
}

/// Signals a child: by its [end](end_of_process), or by its number, which is its own until it is reaped.
///
/// # Errors
///
/// The process has ended, or may not be signalled.
pub fn signal_process(pid: u32, end: Option<BorrowedFd<'_>>, signal: Signal) -> Result<(), Errno> {
    match end {
        Some(end) => rustix::process::pidfd_send_signal(end, signal),
        None => {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
            rustix::process::kill_process(pid, signal)
        }
    }
}

/// Returns whether a process is about to end, for whatever reason: it runs nothing of its own any more.
#[must_use]
pub fn is_exiting(pid: u32) -> bool {
    const PF_EXITING: u64 = 4;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may contain anything. The flags are the seventh number behind it, the state counted as one.
    let flags = stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(6)?.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

/// How far a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// It has not ended, or its tracer has not seen yet that it has.
    Running,
    /// It has ended, and still has its number.
    Ended,
    /// Somebody has reaped it.
    Reaped,
}

/// Returns how far a child is; never waits.
#[must_use]
pub fn state_of_child(pid: u32) -> ChildState {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return ChildState::Reaped };
    match retry_on_intr(|| rustix::process::waitid(WaitId::Pid(pid), look)) {
        Ok(None) => ChildState::Running,
        Ok(Some(_)) => ChildState::Ended,
        Err(_) => ChildState::Reaped,
    }
}

/// Whose rights this process has: its real user and group, and its effective ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    user: u32,
    group: u32,
    effective_user: u32,
    effective_group: u32,
}

impl Credentials {
    /// Returns those of this moment.
    #[must_use]
    pub fn now() -> Self {
        Self {
            user: rustix::process::getuid().as_raw(),
            group: rustix::process::getgid().as_raw(),
            effective_user: rustix::process::geteuid().as_raw(),
            effective_group: rustix::process::getegid().as_raw(),
        }
    }

    /// Returns whether a process started now would be another's than one that was started `before`. Rights that were only put
    /// aside, to be taken up again, do not count: a process that is started meanwhile is not taken over.
    #[must_use]
    pub fn differ_for_good(&self, before: &Self) -> bool {
        let are_whole = self.user == self.effective_user && self.group == self.effective_group;
        are_whole && self != before
    }
}

/// Returns whether a process is in the group that bears its number.
#[must_use]
pub fn leads_its_group(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some() && rustix::process::getpgid(pid).ok() == pid
}

/// Returns whether a thread of this process waits for something else than a processor; also if nothing is known of it.
#[must_use]
pub fn is_blocked(thread: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{}/stat", thread.as_raw_pid()));
    // The state follows the name, which may contain anything but ends with the last parenthesis.
    let state = stat.ok().and_then(|stat| stat.rsplit_once(')')?.1.trim_start().chars().next());
    state != Some('R')
}

/// Gives up the terminal that controls this process, if there is one. From then on a terminal is to this process, and to those
/// that it starts, what any other file is: they are not stopped for using it.
pub fn leave_terminal() {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let terminal = rustix::fs::open("/dev/tty", flags, Mode::empty());
    let standard = [rustix::stdio::stdout(), rustix::stdio::stderr()];
    // Without `/dev`, one of those may still lead there.
    for file in terminal.iter().map(AsFd::as_fd).chain(standard) {
        // SAFETY: the request takes no argument, and concerns this process alone, which leads no group of terminals.
        if unsafe { libc::ioctl(file.as_raw_fd(), libc::TIOCNOTTY) } == 0 {
            return;
        }
    }
}
