//! How a process ended, in words.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Who has sent a signal.
#[derive(Clone, Copy, Debug)]
pub enum By {
    /// This process: the pool that the child belongs to, for a reason that stands elsewhere, or for this one.
    Us(Option<&'static str>),
    /// The child itself, for this reason.
    Itself(&'static str),
    /// Another process, or the kernel.
    Others,
}

/// Returns how a process ended, and, if a signal ended it, by whom that was sent. `None`: another part of the program took the
/// status, as one does that ignores or handles SIGCHLD.
#[must_use]
pub fn describe(status: Option<ExitStatus>, by: By) -> String {
    let Some(status) = status else {
        return "ended (how is not known: the program reaps all children itself)".to_owned();
    };
    if let Some(code) = status.code() {
        return format!("exited with code {code}");
    }
    match status.signal() {
        Some(signal) => {
            let core = if status.core_dumped() { ", core dumped" } else { "" };
            format!("was killed by signal {signal} ({}{core})", signal_words(signal, by))
        }
        None => format!("ended with status {status}"),
    }
}

/// Returns the name of a signal, and what it usually means.
fn signal_words(signal: i32, by: By) -> String {
    let words = match (signal, by) {
        (libc::SIGKILL, By::Us(None)) => "SIGKILL, by its pool",
        (libc::SIGKILL, By::Us(Some(why))) => return format!("SIGKILL, by its pool: {why}"),
        (libc::SIGKILL, By::Itself(why)) => return format!("SIGKILL, by itself: {why}"),
        (libc::SIGKILL, By::Others) => "SIGKILL, not by its pool but by another program, the kernel, or its task",
        (libc::SIGTERM, By::Us(_)) => "SIGTERM, asked to end by its pool",
        (libc::SIGTERM, By::Others | By::Itself(_)) => "SIGTERM, asked to end, not by its pool",
        (libc::SIGABRT, _) => "SIGABRT, abort",
        (libc::SIGSEGV, _) => "SIGSEGV, invalid memory access or stack overflow",
        (libc::SIGBUS, _) => "SIGBUS, memory that cannot be had",
        (libc::SIGFPE, _) => "SIGFPE, arithmetic error",
        (libc::SIGILL, _) => "SIGILL, illegal instruction",
        (libc::SIGTRAP, _) => "SIGTRAP, trap",
        (libc::SIGINT, _) => "SIGINT, interrupted",
        (libc::SIGHUP, _) => "SIGHUP, hung up",
        (libc::SIGQUIT, _) => "SIGQUIT, quit",
        (libc::SIGPIPE, _) => "SIGPIPE, broken pipe",
        (libc::SIGALRM, _) => "SIGALRM, alarm clock",
        (libc::SIGXCPU, _) => "SIGXCPU, limit on processor time",
        (libc::SIGXFSZ, _) => "SIGXFSZ, limit on file size",
        (libc::SIGSYS, _) => "SIGSYS, forbidden system call",
        (libc::SIGUSR1, _) => "SIGUSR1",
        (libc::SIGUSR2, _) => "SIGUSR2",
        _ => "no common name",
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::{By, describe};
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    #[test]
    fn code_and_signal_are_told_apart() {
        assert_eq!(describe(Some(ExitStatus::from_raw(3 << 8)), By::Others), "exited with code 3");
        let killed = describe(Some(ExitStatus::from_raw(libc::SIGKILL)), By::Others);
        assert!(killed.contains("signal 9") && killed.contains("SIGKILL, not by its pool"), "{killed}");
        let killed = describe(Some(ExitStatus::from_raw(libc::SIGKILL)), By::Us(Some("it was told to end")));
        assert!(killed.contains("SIGKILL, by its pool: it was told to end"), "{killed}");
        assert!(describe(None, By::Others).contains("not known"));
    }
}
