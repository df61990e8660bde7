//! Worker threads, as futures know them: [`InlineWorker`], the tasks that a waiting worker runs itself, and what else the
//! threads of an executor need of this crate.

use crate::current;
use crate::header::Header;
use crate::task::{Ended, Owner, Task};
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
///
/// See the example of [`InlineWorker`].
pub struct Claimed<'a> {
    cell: NonNull<Header>,
    handle: PhantomData<&'a Header>,
}

// SAFETY: the right to run a task may move to another thread, as `Task`'s does; the handle it was borrowed from stays.
unsafe impl Send for Claimed<'_> {}

impl Claimed<'_> {
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

/// Runs the awaited task here if it is queued in the very pool this thread works for.
///
/// # Safety
/// `cell` is kept alive by the caller's handle, and is a pointer to the whole cell.
pub(crate) unsafe fn help(cell: NonNull<Header>) -> bool {
    // SAFETY: by contract.
    let header = unsafe { cell.as_ref() };
    // What this thread has put off may be what is waited for, now or once a task has been run here.
    current::run_deferred();
    if !header.is_pending() {
        return false;
    }
    let helped = current::worker(|worker| {
        if !header.start_queued_by(worker.owner()) {
            return false;
        }
        worker.run_inline(Claimed { cell, handle: PhantomData });
        current::run_deferred();
        true
    });
    helped.unwrap_or(false)
}

/// To be called before a thread that may be inside a done callback blocks for another reason than a future of this
/// crate: runs the completions that were put off (see [`Future::add_done_callback`](crate::Future::add_done_callback)).
///
/// ```
/// executor_core::task::before_blocking();
/// ```
pub fn before_blocking() {
    current::run_deferred();
}

/// Makes `worker` the worker of this thread while `f` runs.
///
/// ```
/// use executor_core::task::{Claimed, InlineWorker, with_worker};
///
/// struct Worker;
/// impl InlineWorker for Worker {
///     fn owner(&self) -> *const executor_core::task::Owner {
///         std::ptr::null()
///     }
///     fn run_inline(&self, task: Claimed<'_>) {
///         task.run(&|_| {});
///     }
/// }
/// assert_eq!(with_worker(&Worker, || 1 + 1), 2);
/// ```
pub fn with_worker<R>(worker: &dyn InlineWorker, f: impl FnOnce() -> R) -> R {
    current::with_worker(worker, f)
}

/// Looks for `found` for a short while before a sleep, as waiting futures do: each thread learns whether looking pays.
/// True as soon as it is found.
///
/// ```
/// assert!(executor_core::task::spin_until(|| true));
/// ```
pub fn spin_until(found: impl FnMut() -> bool) -> bool {
    crate::spin::spin_until(found)
}

/// Runs user code whose panic must not go further: a hook, a waker. The panic hook has reported it by then.
///
/// # Errors
///
/// The panic's text.
///
/// ```
/// use executor_core::task::contain;
///
/// assert_eq!(contain(|| 1), Ok(1));
/// assert_eq!(contain(|| panic!("no")), Err::<(), _>("no".to_owned()));
/// ```
pub fn contain<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    crate::panic::contain_with_text(f)
}

/// Whether this thread works for the pool with that address.
///
/// ```
/// assert!(!executor_core::task::is_worker_of(std::ptr::null()));
/// ```
#[must_use]
pub fn is_worker_of(owner: *const Owner) -> bool {
    current::worker(|worker| worker.owner() == owner).unwrap_or(false)
}
