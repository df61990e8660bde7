//! Worker threads, as futures know them: [`InlineWorker`], and [`Claimed`], a task that a waiting worker runs itself.

use crate::cell::header::Header;
use crate::cell::owner::{Ended, Owner};
use crate::cell::task::Task;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;

/// A worker thread of a pool, as a future that is awaited on this thread knows it.
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
    /// The owner this thread works for.
    fn owner(&self) -> *const Owner;

    /// Runs an awaited task, which this thread has just begun.
    fn run_inline(&self, task: Claimed<'_>);

    /// Returns a word that is 0 while no worker of the pool could have nothing to do. It is looked at after each input of a
    /// chunk of `map`, and only if it is not 0 is [`idle_workers`](Self::idle_workers) asked. By default there is none, and
    /// nothing is shared.
    fn idle_hint(&self) -> Option<&AtomicUsize> {
        None
    }

    /// Returns how many workers of the pool have nothing to do and nothing to come, or could be started: a chunk of `map`
    /// shares its rest with them if it takes long.
    fn idle_workers(&self) -> usize {
        0
    }

    /// Queues a part of the task that this thread runs, as a task of its own. Never waits for room.
    ///
    /// # Errors
    ///
    /// The task back, if none is taken any more. This thread runs it then.
    fn share(&self, task: Task) -> Result<(), Task> {
        Err(task)
    }

    /// Runs user code that comes after a task which has ended and is no longer counted as running: its future's callbacks,
    /// or the destructor of a result that nobody wants. `run` is to be called once.
    fn run_completion_hooks(&self, run: &mut dyn FnMut()) {
        run();
    }
}

/// A task that the waiting thread has begun on behalf of the handle it waits with. Dropped unrun, it ends its future with
/// [`TaskError::Abandoned`](crate::TaskError::Abandoned).
pub struct Claimed<'a> {
    cell: NonNull<Header>,
    handle: PhantomData<&'a Header>,
}

// SAFETY: the right to run a task may move to another thread, as `Task`'s does; the handle it was borrowed from stays.
unsafe impl Send for Claimed<'_> {}

impl Claimed<'_> {
    /// # Safety
    /// The caller has begun the task of `cell`, which stays alive as long as the handle for which it did.
    pub(crate) unsafe fn new(cell: NonNull<Header>) -> Self {
        Self { cell, handle: PhantomData }
    }

    /// Runs it and ends its future; `on_end` is told how, just before the future shows it.
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
    /// Not run after all: the future ends, since it must.
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
