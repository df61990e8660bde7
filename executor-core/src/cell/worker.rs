//! Worker threads, as futures know them: [`InlineWorker`], and [`Claimed`], a task that a waiting worker runs itself.

use crate::cell::header::Header;
use crate::cell::owner::{Ended, Owner};
use crate::cell::task::Task;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;

/// A worker thread of a pool, as it is known to a future that is awaited on it.
///
/// A task that waits for a task of the same pool would wait for ever if all workers did so. Instead, the waiting thread
/// runs the awaited task itself if nobody has begun it, and never any other task.
///
/// ```
/// use executor_core::task::{Claimed, InlineWorker, Owner};
///
/// struct Worker<'a>(&'a Owner);
///
/// impl InlineWorker for Worker<'_> {
///     fn owner(&self) -> *const Owner {
///         self.0
///     }
///
///     fn run_inline(&self, task: Claimed<'_>) {
///         task.run(&|_ended| {});
///     }
/// }
/// # let _ = |owner: &Owner| Worker(owner).owner();
/// ```
pub trait InlineWorker {
    /// Returns the owner this thread works for.
    fn owner(&self) -> *const Owner;

    /// Runs an awaited task, which this thread has just begun.
    fn run_inline(&self, task: Claimed<'_>);

    /// Returns a word that is not 0 if a worker of the pool may be idle. A chunk of `map` reads it after each input, and asks
    /// [`idle_workers`](Self::idle_workers) only if it is not 0. By default there is none, and nothing is shared.
    fn idle_hint(&self) -> Option<&AtomicUsize> {
        None
    }

    /// Returns how many workers of the pool are idle, with nothing queued for them, or could be started. A chunk of `map` that
    /// takes long shares its rest with them.
    fn idle_workers(&self) -> usize {
        0
    }

    /// Queues a part of the task that this thread runs, as a task of its own. Does not wait for room.
    ///
    /// # Errors
    ///
    /// The task back, if the pool takes no more tasks. This thread runs it then.
    fn share(&self, task: Task) -> Result<(), Task> {
        Err(task)
    }

    /// Runs the user code that follows a task which is no longer counted as running: its future's callbacks, or the destructor
    /// of a result that nobody wants. Calls `run` once.
    fn run_completion_hooks(&self, run: &mut dyn FnMut()) {
        run();
    }
}

/// An awaited task that the waiting thread has begun. Dropped unrun, it ends its future with
/// [`TaskError::Abandoned`](crate::TaskError::Abandoned).
pub struct Claimed<'a> {
    cell: NonNull<Header>,
    handle: PhantomData<&'a Header>,
}

// SAFETY: the right to run a task may move to another thread, as `Task`'s does; the handle it was borrowed from stays.
unsafe impl Send for Claimed<'_> {}

impl Claimed<'_> {
    /// # Safety
    /// The caller has begun the task of `cell`, on behalf of a handle that keeps the cell alive for `'_`.
    pub(crate) unsafe fn new(cell: NonNull<Header>) -> Self {
        Self { cell, handle: PhantomData }
    }

    /// Runs the task and ends its future; `on_end` hears how it ended, just before the future shows it.
    ///
    /// ```
    /// // What a worker's `run_inline` does at the least:
    /// fn run_inline(task: executor_core::task::Claimed<'_>) {
    ///     task.run(&|_ended| {});
    /// }
    /// # let _ = run_inline;
    /// ```
    pub fn run(self, on_end: &dyn Fn(Ended)) {
        let claimed = std::mem::ManuallyDrop::new(self);
        // SAFETY: the start was won for it, once, and the handle outlives `'a`.
        unsafe { Header::run_claimed(claimed.cell, on_end) }
    }
}

impl Drop for Claimed<'_> {
    /// Ends the future of a task that is not run after all.
    fn drop(&mut self) {
        // SAFETY: the handle outlives `'a`, and RUNNING is ours.
        unsafe { Header::abandon_claimed(self.cell) }
    }
}

impl fmt::Debug for Claimed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claimed")
    }
}
