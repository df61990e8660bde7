//! Ends the process when a test hangs: a hang must never be silent. It names the test and its last step, shows the panics so
//! far (a test that fails may hang while it unwinds, and its output is lost), and what each thread waits for, here and in the
//! processes that were started.

use executor_conformance::{other_panics, silence_panics_on_purpose};
use parking_lot::Mutex;
use std::any::type_name_of_val;
use std::cell::RefCell;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use std::{env, process, thread};

/// Far beyond what any test takes on a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Shorter in a child, which reports before its parent gives up.
const LIMIT_OF_CHILD: Duration = Duration::from_secs(40);

type LastStep = Arc<Mutex<String>>;

thread_local! {
    static LAST_STEP: RefCell<Option<LastStep>> = const { RefCell::new(None) };
}

/// Notes what the test is about to wait for, which is shown if it never comes.
pub(crate) fn step(text: impl Into<String>) {
    LAST_STEP.with_borrow(|last| {
        if let Some(last) = last {
            *last.lock() = text.into();
        }
    });
}

/// Runs a test's body on this thread and aborts the process if it takes longer than the limit. The path of the enclosing
/// function names the test.
pub(crate) fn watched<R>(body: impl FnOnce() -> R) -> R {
    // Before any pool of this process chains its own hook.
    silence_panics_on_purpose();
    let test = type_name_of_val(&body).trim_end_matches("::{{closure}}").to_owned();
    let last: LastStep = Arc::new(Mutex::new("the start".to_owned()));
    LAST_STEP.set(Some(Arc::clone(&last)));
    let (alive, ended) = channel::<()>();
    let watch = thread::spawn(move || watch(&ended, &test, &last));
    let _cleanup = Cleanup { alive: Some(alive), watch: Some(watch) };
    body()
}

/// Ends the watch when the test ends, however it ends.
struct Cleanup {
    alive: Option<Sender<()>>,
    watch: Option<thread::JoinHandle<()>>,
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        LAST_STEP.set(None);
        drop(self.alive.take());
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
    }
}

fn watch(ended: &Receiver<()>, test: &str, last: &LastStep) {
    let limit = if env::var_os(crate::child::VARIABLE).is_some() { LIMIT_OF_CHILD } else { LIMIT };
    if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
        let text = last.lock().clone();
        let (panics, processes) = (other_panics(), processes());
        // Not a macro of std: the test harness would capture its output, and the process is about to end.
        let _ =
            writeln!(io::stderr(), "\n{test} did not end within {limit:?}; its last step: {text}\n{panics}{processes}");
        process::abort();
    }
}

/// Returns what each thread of this process and of all its descendants does, as far as the system lists them.
fn processes() -> String {
    let parents: Vec<(u32, u32)> = numbers("/proc").filter_map(|pid| Some((pid, parent_of(pid)?))).collect();
    let mut found = vec![process::id()];
    let mut text = String::new();
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        text.push_str(&threads(pid));
        found.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(pid, _)| *pid));
        next += 1;
    }
    text
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn threads(pid: u32) -> String {
    let folder = format!("/proc/{pid}");
    let title = read(&folder, "cmdline").replace('\0', " ");
    let mut text = format!("process {pid}, {title}\n");
    for thread in numbers(&format!("{folder}/task")) {
        let folder = format!("{folder}/task/{thread}");
        let (name, status, place) = (read(&folder, "comm"), read(&folder, "status"), read(&folder, "wchan"));
        let state = status.lines().find_map(|line| line.strip_prefix("State:")).unwrap_or("?").trim();
        let call = read(&folder, "syscall");
        let call = call.split_whitespace().next().unwrap_or("?");
        text.push_str(&format!("  thread {thread}, {}: {state}, in {place}, call {call}\n", name.trim()));
    }
    text
}

/// Returns the entries of a folder that are numbers.
fn numbers(folder: &str) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn read(folder: &str, name: &str) -> String {
    fs::read_to_string(Path::new(folder).join(name)).unwrap_or_default()
}
