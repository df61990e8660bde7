//! Helping: a waiting worker runs the awaited task itself.

use crate::cell::current;
use crate::cell::header::Header;
use crate::cell::transition::Start;
use crate::cell::worker::Claimed;
use std::ptr::NonNull;

/// Runs the awaited task here if it is queued in the pool that this thread works for. Returns whether it did.
///
/// # Safety
/// `cell` is kept alive by the caller's handle, and is a pointer to the whole cell.
pub(crate) unsafe fn help(cell: NonNull<Header>) -> bool {
    // SAFETY: by contract.
    let header = unsafe { cell.as_ref() };
    // The completion that is waited for may be one that this thread has put off, now or once it has run a task.
    current::run_deferred();
    if !header.is_pending() {
        return false;
    }
    let helped = current::worker(|worker| {
        if header.start_queued_by(worker.owner()) == Start::Lost {
            return false;
        }
        // SAFETY: the start was won just now, and the caller's handle keeps the cell alive.
        worker.run_inline(unsafe { Claimed::new(cell) });
        current::run_deferred();
        true
    });
    helped.unwrap_or(false)
}
