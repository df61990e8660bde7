//! The stop flag of the call that this thread runs for another process.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

crate::local! {
    static FLAG: Cell<*const AtomicU32> = Cell::new(ptr::null());
}

/// Puts the flag of the outer call back when dropped, panics included.
struct Restore(*const AtomicU32);

impl Drop for Restore {
    fn drop(&mut self) {
        FLAG.set(self.0);
    }
}

/// Runs `f` as a call that the caller may ask to stop by a flag.
pub(crate) fn with_flag<R>(flag: &AtomicU32, f: impl FnOnce() -> R) -> R {
    let _restore = Restore(FLAG.replace(ptr::from_ref(flag)));
    f()
}

/// Returns whether the call that this thread runs for another process was asked to stop; false outside such a call.
#[must_use]
pub fn is_stop_requested() -> bool {
    let flag = FLAG.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: `with_flag` is on this thread's stack and keeps the flag borrowed.
    // ORDERING: Acquire, with the Release of the process that sets `Job::stop`: the task sees what the stopper did before.
    unsafe { flag.as_ref() }.is_some_and(|flag| flag.load(Ordering::Acquire) != 0)
}
