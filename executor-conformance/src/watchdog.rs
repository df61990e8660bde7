//! Ends the process when a case hangs, naming the case and the last step it took.
//!
//! A hang is the failure this suite is most interested in, and no assertion can report it: the case's thread is blocked.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Write};
use std::process;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::on_purpose::other_panics;

/// Far beyond what any case takes on a loaded machine: every case is quick once nothing hangs.
const LIMIT: Duration = Duration::from_secs(240);

/// Exists while a case runs on this thread.
type LastStep = Arc<Mutex<String>>;

thread_local! {
    static LAST_STEP: RefCell<Option<LastStep>> = const { RefCell::new(None) };
}

/// Notes what the case is about to wait for, which is shown if it never comes. Does nothing outside a case's own thread.
pub fn step(text: impl Into<String>) {
    LAST_STEP.with_borrow(|last| {
        if let Some(last) = last {
            *last.lock() = text.into();
        }
    });
}

/// Runs `body` on this thread and aborts the process if it takes longer than [`LIMIT`].
pub(crate) fn guard(subject: &'static str, case: &'static str, body: impl FnOnce()) {
    let last: LastStep = Arc::new(Mutex::new("the start".to_owned()));
    LAST_STEP.set(Some(Arc::clone(&last)));
    // Dropping the sender, also by a panic of the case, ends the watch.
    let (alive, ended) = channel::<()>();
    let watch = thread::spawn(move || watch(&ended, subject, case, &last));
    let cleanup = Cleanup { alive: Some(alive), watch: Some(watch) };
    body();
    drop(cleanup);
}

/// Ends the watch when the case ends, however it ends.
struct Cleanup {
    alive: Option<std::sync::mpsc::Sender<()>>,
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

fn watch(ended: &Receiver<()>, subject: &str, case: &str, last: &LastStep) {
    if ended.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
        let (text, panics) = (last.lock().clone(), other_panics());
        // Not a macro of std: the test harness would capture its output, and the process is about to end.
        let _ = writeln!(
            io::stderr(),
            "\n{subject}: case {case} did not end within {LIMIT:?}; its last step: {text}\n{panics}{}",
            threads()
        );
        process::abort();
    }
}

/// Returns name and state of every thread, where the system lists them: enough to see which side of a hand-over sleeps.
fn threads() -> String {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return String::new();
    };
    let line = |path: std::path::PathBuf| {
        let read = |name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
        let status = read("status");
        let state = status.lines().find(|line| line.starts_with("State:")).unwrap_or("State: unknown");
        format!("  thread {}: {}, in {}\n", read("comm").trim(), state.trim(), read("wchan"))
    };
    tasks.flatten().map(|task| line(task.path())).collect()
}
