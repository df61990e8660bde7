//! How a process ended, in words.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Says how it ended; `None`: somebody else took the status, as a program does that ignores or handles SIGCHLD.
pub(crate) fn describe(status: Option<ExitStatus>) -> String {
    let Some(status) = status else {
        return "ended (how is not known: the program reaps all children itself)".to_owned();
    };
    if let Some(code) = status.code() {
        return format!("exited with code {code}");
    }
    match status.signal() {
        Some(signal) => {
            let core = if status.core_dumped() { ", core dumped" } else { "" };
            format!("was killed by signal {signal} ({}{core})", signal_words(signal))
        }
        None => format!("ended with status {status}"),
    }
}

/// The name of a signal, and what it usually means.
fn signal_words(signal: i32) -> &'static str {
    match signal {
        libc::SIGABRT => "SIGABRT, abort",
        libc::SIGSEGV => "SIGSEGV, invalid memory access or stack overflow",
        libc::SIGBUS => "SIGBUS, memory that cannot be had",
        libc::SIGFPE => "SIGFPE, arithmetic error",
        libc::SIGILL => "SIGILL, illegal instruction",
        libc::SIGTRAP => "SIGTRAP, trap",
        libc::SIGKILL => "SIGKILL, killed from outside",
        libc::SIGTERM => "SIGTERM, asked to end from outside",
        libc::SIGINT => "SIGINT, interrupted",
        libc::SIGHUP => "SIGHUP, hung up",
        libc::SIGQUIT => "SIGQUIT, quit",
        libc::SIGPIPE => "SIGPIPE, broken pipe",
        libc::SIGALRM => "SIGALRM, alarm clock",
        libc::SIGXCPU => "SIGXCPU, limit on processor time",
        libc::SIGXFSZ => "SIGXFSZ, limit on file size",
        libc::SIGSYS => "SIGSYS, forbidden system call",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGUSR2 => "SIGUSR2",
        _ => "no common name",
    }
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
    use super::describe;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    #[test]
    fn code_and_signal_are_told_apart() {
        assert_eq!(describe(Some(ExitStatus::from_raw(3 << 8))), "exited with code 3");
        let killed = describe(Some(ExitStatus::from_raw(libc::SIGKILL)));
        assert!(killed.contains("signal 9") && killed.contains("SIGKILL"), "{killed}");
        assert!(describe(None).contains("not known"));
    }
}
