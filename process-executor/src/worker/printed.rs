//! What tasks have printed and the standard library has not written yet: the end of a line that has no end.
//!
//! To write it takes the lock of standard output, which a thread that a task has left behind may hold, and blocks if nobody
//! reads what it is written to. So a thread of its own does it, for which nobody waits: no task begins later because of what an
//! earlier one has done. At the worker's end it is tried once more, by `exit`, which does not wait for the lock.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// That thread's stack.
const STACK: usize = 64 * 1024;

/// What may have been printed.
#[derive(Default)]
pub(super) struct Printed {
    /// A task has run since it was last written.
    may_be_left: bool,
    /// The thread that writes, once there is one.
    writer: Option<SyncSender<()>>,
}

impl Printed {
    /// Notes that a task has run.
    #[inline]
    pub(super) fn note_task(&mut self) {
        self.may_be_left = true;
    }

    /// Returns whether there may be something to write.
    pub(super) fn may_be_left(&self) -> bool {
        self.may_be_left
    }

    /// Has it written, and does not wait for that.
    pub(super) fn write(&mut self) {
        self.may_be_left = false;
        if self.writer.is_none() {
            self.writer = start();
        }
        if let Some(writer) = &self.writer {
            // If the writer is busy and has another order already, it writes this as well.
            let _ = writer.try_send(());
        }
    }
}

/// Starts the writer; without one, all is written at the worker's end.
fn start() -> Option<SyncSender<()>> {
    let (sender, orders) = sync_channel(1);
    let thread = std::thread::Builder::new().name("output".to_owned()).stack_size(STACK);
    thread.spawn(move || write_on(&orders)).ok()?;
    Some(sender)
}

fn write_on(orders: &Receiver<()>) {
    while orders.recv().is_ok() {
        let _ = std::io::stdout().flush();
    }
}
