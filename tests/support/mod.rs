//! Helpers of the root package's tests: a watchdog for waits, and a gate that holds a worker.

use std::io::Write;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// Far longer than any wait here takes, also on a slow machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Ends the process with the name of the wait if it is not dropped in time. A hung thread cannot be unwound, and without
/// this a hang would be a test run that never ends.
#[derive(Debug)]
#[must_use = "the watch ends when this is dropped"]
pub(crate) struct Watchdog {
    _done: Sender<()>,
}

/// Watches from now on; `what` is shown if the wait hangs.
pub(crate) fn watch(what: &'static str) -> Watchdog {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        if ended.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            let _ = writeln!(std::io::stderr(), "hung for {LIMIT:?}: {what}");
            std::process::abort();
        }
    });
    Watchdog { _done: done }
}

/// Holds a task back until it is opened, by a call or by being dropped, so that a failed test does not hang in the pool's drop.
#[derive(Debug)]
pub(crate) struct Gate {
    open: Sender<()>,
}

/// The task's side of a [`Gate`].
#[derive(Debug)]
pub(crate) struct Closed(Receiver<()>);

impl Gate {
    pub(crate) fn new() -> (Self, Closed) {
        let (open, closed) = mpsc::channel();
        (Self { open }, Closed(closed))
    }

    pub(crate) fn open(self) {
        drop(self.open);
    }
}

impl Closed {
    pub(crate) fn pass(&self) {
        let _ = self.0.recv();
    }
}
