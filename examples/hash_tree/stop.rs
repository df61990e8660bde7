//! The one flag that ends the run early: Ctrl-C sets it, and so does a closed output.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use concurrent_futures::AnyExecutor;

use crate::INTERRUPTED;

// Nothing else is published through the flag, so `Relaxed` is enough everywhere.
static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Asks the walk and the tasks that run in this process to end.
pub(crate) fn request() {
    REQUESTED.store(true, Ordering::Relaxed);
}

/// Returns whether this process was asked to end.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Makes Ctrl-C end the run in order, worker processes included, and a second Ctrl-C end it at once, for the disk that
/// does not answer.
pub(crate) fn at_ctrl_c(executor: &Arc<AnyExecutor>) -> Result<(), String> {
    // The handler stays for good, the executor only until `main` ends.
    let executor = Arc::downgrade(executor);
    let handler = move || {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            exit();
        }
        if let Some(executor) = executor.upgrade() {
            executor.terminate_workers();
        }
    };
    ctrlc::set_handler(handler).map_err(|error| format!("cannot install the handler of Ctrl-C: {error}"))
}

#[expect(clippy::disallowed_methods, reason = "the user insists, and the pool would wait for what does not end")]
fn exit() -> ! {
    process::exit(INTERRUPTED.into())
}
