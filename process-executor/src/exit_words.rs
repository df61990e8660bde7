//! How a process ended, in words.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Who has sent a signal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    /// The pool, for a reason that stands elsewhere, or for this one.
    Us(Option<&'static str>),
    /// The process, for this reason.
    Itself(&'static str),
    Others,
}

/// Says how it ended, if by a signal, by whose; `None`: somebody else took the status, as a program does that ignores or handles
/// SIGCHLD.
pub(crate) fn describe(status: Option<ExitStatus>, by: By) -> String {
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

/// The name of a signal, and what it usually means.
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

/// How often the kernel has killed a process of this control group for want of memory; `None` where that is not told.
pub(crate) fn out_of_memory_kills() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    // The first version of control groups has a tree for memory, the second one for all.
    let first = groups.lines().find_map(|line| line.split_once(":memory:")).map(|(_, group)| group);
    let second = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let count_in = |tree: &str, group: Option<&str>, file: &str| {
        // In a container, the group's name may be that of the host, and the tree begin with the group.
        [group?, ""].into_iter().find_map(|group| kills_in(&format!("/sys/fs/cgroup{tree}{group}/{file}")))
    };
    count_in("/memory", first, "memory.oom_control").or_else(|| count_in("", second, "memory.events"))
}

fn kills_in(file: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
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
