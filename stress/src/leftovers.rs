//! What a round must not leave behind: processes, descriptors, threads.

use std::fs;
use std::path::Path;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

/// In the environment of a round's workers, and so of whatever they start.
pub(crate) const MARK: &str = "COMPARE_STRESS_ROUND";
/// How long threads and orphans may take for their last steps.
const PATIENCE: Duration = Duration::from_secs(20);
/// The one thread that all limits of the program share stays for a while.
const CLOCK: &str = "task-limits";

/// What there was before the round.
pub(crate) struct Before {
    descriptors: usize,
    threads: usize,
}

impl Before {
    pub(crate) fn look() -> Self {
        Self { descriptors: descriptors().len(), threads: threads().len() }
    }

    /// The pools are gone: so must be their processes, at once if they are children, and all else they had.
    pub(crate) fn check(&self, mark: &str) {
        let children = children();
        assert!(children.is_empty(), "children are left: {children:?}");
        until_empty("processes that workers started", || marked(mark));
        until_empty("descriptors", || beyond(self.descriptors, descriptors()));
        until_empty("threads", || beyond(self.threads, threads()));
    }
}

fn until_empty(what: &str, mut left: impl FnMut() -> Vec<String>) {
    let begin = Instant::now();
    loop {
        let left = left();
        if left.is_empty() {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{what} are left: {left:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// All of them, if they are more than so many.
fn beyond(count: usize, all: Vec<String>) -> Vec<String> {
    if all.len() > count { all } else { Vec::new() }
}

/// Where the descriptors of this process lead.
fn descriptors() -> Vec<String> {
    let all = fs::read_dir("/proc/self/fd").expect("/proc").flatten();
    all.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned())).collect()
}

/// The names of the threads of this process.
fn threads() -> Vec<String> {
    let all = fs::read_dir("/proc/self/task").expect("/proc").flatten();
    let names = all.filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok());
    names.map(|name| name.trim_end().to_owned()).filter(|name| name != CLOCK).collect()
}

/// The processes whose environment has the mark.
fn marked(mark: &str) -> Vec<String> {
    let mark = format!("{MARK}={mark}");
    let is_marked = |pid: u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    processes().filter(|pid| is_marked(*pid)).map(describe).collect()
}

fn children() -> Vec<String> {
    processes().filter(|pid| is_child(*pid)).map(describe).collect()
}

/// Returns whether it is a child of this process, ended or not.
pub(crate) fn is_child(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields.get(1) == Some(&process::id().to_string()))
}

/// What the threads of a process are doing: their names and states.
pub(crate) fn threads_of(pid: u32) -> String {
    let all = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let threads = all.filter_map(|thread| {
        let name = fs::read_to_string(thread.path().join("comm")).ok()?;
        Some(format!("{} {}", name.trim_end(), fields(&thread.path().join("stat"))?.first()?))
    });
    threads.collect::<Vec<_>>().join(", ")
}

fn state_of(pid: u32) -> String {
    stat(pid).and_then(|fields| fields.first().cloned()).unwrap_or_else(|| "gone".to_owned())
}

fn stat(pid: u32) -> Option<Vec<String>> {
    fields(Path::new(&format!("/proc/{pid}/stat")))
}

/// What follows the name in a `stat`: state, parent ...
fn fields(stat: &Path) -> Option<Vec<String>> {
    let text = fs::read_to_string(stat).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    Some(fields.split(' ').map(str::to_owned).collect())
}

fn processes() -> impl Iterator<Item = u32> {
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn describe(pid: u32) -> String {
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
    format!("{pid} ({}) {command}", state_of(pid))
}
