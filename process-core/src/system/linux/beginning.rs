//! How a process begins: as whose child, with whose rights, on which thread, with which signals.

use rustix::process::{Pid, Signal};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// Returns the parent of this process.
#[must_use]
pub fn parent() -> Option<Pid> {
    rustix::process::getppid()
}

/// Returns whether this is the main thread.
#[must_use]
pub fn is_main_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

/// Returns whether the kernel has given this process rights that its parent may not have. Its environment, its descriptors and its
/// executable's name are the parent's then, and not to be trusted.
#[must_use]
pub fn is_privileged() -> bool {
    // SAFETY: reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Has a stopped process (SIGSTOP) go on when its parent ends: it would never hear of the end of the connection. The signal comes at
/// the end of the thread that started this process.
pub fn continue_without_parent() {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::CONT));
}

/// Has every signal do what it does in a program at its start, whatever the parent had made of it: what the parent ignored, or
/// blocked in the thread that started this process, would be so here, and in whatever this process starts.
pub fn settle_signals() {
    // Between those are the C library's own. A program that ignores SIGXFSZ has an error instead of its end when memory or a file
    // grows beyond a limit, and so have its children.
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

/// Writes to standard error in one piece, also before `main`, when nothing of std's is set up.
///
/// # Errors
///
/// `write` fails.
pub fn write_error(text: &str) -> io::Result<()> {
    rustix::io::write(rustix::stdio::stderr(), text.as_bytes())?;
    Ok(())
}

/// Ends this process at once: no destructor and no exit handler runs.
pub fn end_at_once(code: i32) -> ! {
    // SAFETY: nothing of this process is to be done any more.
    unsafe { libc::_exit(code) }
}
