//! [`Work`]: what a task does when it runs.

use crate::cell::remote_work::RemoteWork;

/// The work of a task: called at most once, else dropped.
pub(crate) trait Work<T> {
    /// How it crosses to another process, if it can.
    const REMOTE: Option<&'static RemoteWork> = None;

    fn call(self) -> T;
}

/// Work that is a closure.
pub(crate) struct Closure<F>(pub(crate) F);

impl<T, F: FnOnce() -> T> Work<T> for Closure<F> {
    fn call(self) -> T {
        (self.0)()
    }
}

/// No work: the cell of a promise.
pub(crate) struct NoWork;

impl<T> Work<T> for NoWork {
    fn call(self) -> T {
        unreachable!("a promise is fulfilled, never run")
    }
}
