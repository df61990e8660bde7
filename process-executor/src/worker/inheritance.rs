//! What a worker makes of what it inherits: descriptors, signals, the terminal. On the main thread, before there is another.

use crate::system;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, Signal, getppid};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// What is left of it.
pub(super) struct Inheritance {
    /// The socket to the parent.
    pub(super) socket: OwnedFd,
    pub(super) parent: Option<Pid>,
    /// Why files of the parent's are still open here, if they are.
    pub(super) closed: io::Result<()>,
}

impl Inheritance {
    /// Takes over what a worker needs, and sets the rest as a program expects it at its start.
    pub(super) fn take() -> io::Result<Self> {
        let parent = getppid();
        // One that is stopped (SIGSTOP) when its parent dies would never hear of the end of the connection. It is told on
        // behalf of this thread, which lives as long as the process, when the one that started it ends.
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::CONT));
        // Before anything is opened, which would get those numbers.
        system::fill_standard()?;
        let closed = system::close_inherited();
        let socket = system::take_stdin()?;
        system::leave_terminal();
        settle_signals();
        Ok(Self { socket, parent, closed })
    }
}

/// Has every signal do what it does in a program at its start, whatever the parent had made of it: what the parent ignored, or
/// blocked in the thread that started this process, would be so here, and in whatever tasks start.
fn settle_signals() {
    // Between those are the C library's own. A program that ignores SIGXFSZ has an error instead of its end when memory or a file
    // grows beyond a limit, and so have its workers.
    let all = (1..=31).chain(libc::SIGRTMIN()..=libc::SIGRTMAX());
    for signal in all.filter(|signal| *signal != libc::SIGXFSZ) {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: only asks. What is not ignored is the default or, from a library that was loaded first, a handler: that is to
        // stay.
        let is_ignored = unsafe {
            libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) == 0
                && action.assume_init_ref().sa_sigaction == libc::SIG_IGN
        };
        if is_ignored {
            // SAFETY: sets a default.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
    // SAFETY: as std does before `main`: a write to a closed pipe is an error, not the end.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let mut none = MaybeUninit::uninit();
    // SAFETY: the set is emptied before it is used.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}
