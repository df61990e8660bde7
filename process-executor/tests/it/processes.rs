//! Processes as the system sees them.

use crate::watchdog::step;
use rustix::process::{Pid, Signal};
use std::fs;

/// The state of a process, as a letter; `None` if there is no such process.
pub(crate) fn state(pid: u32) -> Option<char> {
    stat(pid)?.first()?.chars().next()
}

/// Returns whether a process runs; one that has ended and only waits to be reaped does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// Returns whether all threads of a process wait for something.
pub(crate) fn is_asleep(pid: u32) -> bool {
    all_threads_are(pid, "S")
}

/// Stops a process (SIGSTOP) and returns when it stands still: `kill` returns before its threads do.
pub(crate) fn stop(pid: u32) {
    send(pid, Signal::STOP);
    wait_until_stopped(pid);
}

/// Returns when all threads of a process stand still.
pub(crate) fn wait_until_stopped(pid: u32) {
    step(format!("waiting until process {pid} stands still"));
    while !is_stopped(pid) {
        std::thread::yield_now();
    }
}

/// Returns whether all threads of a process have been stopped by a signal.
pub(crate) fn is_stopped(pid: u32) -> bool {
    all_threads_are(pid, "T")
}

fn all_threads_are(pid: u32, wanted: &str) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        fields(&stat).first().is_some_and(|state| state == wanted)
    })
}

/// How often those threads of a process whose names begin so have gone to sleep.
pub(crate) fn wake_ups(pid: u32, name: &str) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    // One may end meanwhile.
    let statuses = threads.filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
    let of_those = statuses.filter(|status| status.starts_with(&format!("Name:\t{name}")));
    let of_thread = |status: String| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    };
    of_those.map(of_thread).sum()
}

/// Returns whether a count stays the same for a while: not a wait for an event, but a time in which none may happen.
pub(crate) fn rests<T: PartialEq>(count: impl Fn() -> T) -> bool {
    let before = count();
    std::thread::sleep(std::time::Duration::from_millis(300));
    before == count()
}

/// The children of a process, ended ones included.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|&pid| stat(pid).is_some_and(|fields| fields.get(1) == Some(&parent.to_string()))).collect()
}

/// The process group of a process.
pub(crate) fn group(pid: u32) -> Option<u32> {
    stat(pid)?.get(2)?.parse().ok()
}

/// Where the descriptors of a process lead.
pub(crate) fn descriptors(pid: u32) -> Vec<(u32, String)> {
    let Ok(all) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let mut all: Vec<_> = all
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
        })
        .collect();
    all.sort();
    all
}

/// The command line of a process.
pub(crate) fn command_line(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ")
}

/// Sends a signal to one process, if it is there.
pub(crate) fn send(pid: u32, signal: Signal) {
    let _ = rustix::process::kill_process(identifier(pid), signal);
}

/// Has this thread trace a process, and hold it back when it ends, for as long as this thread is there. False: the system does
/// not allow it.
pub(crate) fn hold_at_end(pid: u32) -> bool {
    const NOTHING: *const libc::c_void = std::ptr::null();
    let options = libc::PTRACE_O_TRACEEXIT as usize;
    // SAFETY: attaches to a process, by its number; no memory of either is touched.
    let attached = unsafe { libc::ptrace(libc::PTRACE_SEIZE, identifier(pid).as_raw_pid(), NOTHING, options) };
    attached == 0
}

/// Sends a signal to a process group.
pub(crate) fn send_to_group(group: u32, signal: Signal) {
    rustix::process::kill_process_group(identifier(group), signal).unwrap();
}

/// The system's name of a process.
pub(crate) fn identifier(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

/// What follows the name in a process's `stat`: state, parent, group ...
fn stat(pid: u32) -> Option<Vec<String>> {
    Some(fields(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
}

fn fields(stat: &str) -> Vec<String> {
    // The name stands in parentheses and may contain anything.
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    rest.split_whitespace().map(str::to_owned).collect()
}
