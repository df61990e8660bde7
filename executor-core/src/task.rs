//! The executor side of a future: [`Task`], which must be run or dropped, and the other types that an executor needs.
//!
//! For authors of executors. Users call [`ExecutorExt`](crate::ExecutorExt).

pub use crate::cell::owner::{Dequeued, Ended, Owner, TaskOwner};
pub use crate::cell::task::{QueueClock, Task};
use crate::cell::work::{Closure, Work};
pub use crate::cell::worker::{Claimed, InlineWorker};
use crate::cell::{CellRef, Core, allocate, current};
pub use crate::deadline::deadline_after;
pub use crate::error::own_thread::guarded;
use crate::future::Future;
use crate::options::TaskOptions;
use crate::sync::spin;
pub use executor_wire::panic::wake_all;
use std::panic::Location;
use std::ptr::NonNull;

impl Task {
    /// Returns a task that runs a closure in this process, and its future.
    ///
    /// ```
    /// # use executor_core::task::Task;
    /// let (task, future) = Task::from_closure(|| "done");
    /// drop(task);
    /// assert!(future.result().is_err());
    /// ```
    #[track_caller]
    pub fn from_closure<R, F>(f: F) -> (Self, Future<R>)
    where
        R: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        Self::from_work(Closure(f), None, Location::caller())
    }

    /// Like [`from_closure`](Self::from_closure), with options.
    ///
    /// ```
    /// # use executor_core::{TaskOptions, task::Task};
    /// let (task, future) = Task::from_closure_with(TaskOptions::new().name("answer"), || 42);
    /// assert_eq!(task.info().name(), Some("answer"));
    /// # drop(future);
    /// ```
    #[track_caller]
    pub fn from_closure_with<R, F>(options: TaskOptions, f: F) -> (Self, Future<R>)
    where
        R: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        Self::from_work(Closure(f), Some(options), Location::caller())
    }

    pub(crate) fn from_work<R, W>(
        work: W,
        options: Option<TaskOptions>,
        location: &'static Location<'static>,
    ) -> (Self, Future<R>)
    where
        R: Send + 'static,
        W: Work<R> + Send + 'static,
    {
        let (cell, core): (CellRef, NonNull<Core<R>>) = allocate(work, options, location);
        // SAFETY: `allocate` counted one reference for the handle.
        (Self::from_cell(cell), unsafe { Future::from_core(core) })
    }

    /// Takes the work out of a task that an executor has handed back. An executor may be user code, so this checks that it is the
    /// task that the executor was given.
    ///
    /// # Panics
    /// If it is another task, or one that was begun.
    ///
    /// # Safety
    /// `future` came from `from_work` together with a task of this very `W`.
    pub(crate) unsafe fn recover<R, W>(self, future: &Future<R>) -> W {
        if self.cell().pointer() != future.pointer() {
            // Its own future ends with this.
            drop(self);
            panic!("an executor that does not take a task must hand this very task back");
        }
        // SAFETY: by contract, and it is the future's cell.
        let work = unsafe { self.into_cell().recover::<R, W>() };
        work.expect("an executor that does not take a task does not begin it")
    }
}

/// Runs the completions that were put off on this thread (see
/// [`Future::add_done_callback`](crate::Future::add_done_callback)). Call it before a thread that may be inside a done callback
/// blocks for another reason than a future of this crate.
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

/// Spins until `found` says true, for a short while before a sleep, as waiting futures do. Returns whether it did. Each thread
/// learns whether spinning pays.
pub fn spin_until(found: impl FnMut() -> bool) -> bool {
    spin::spin_until(found)
}

/// Runs user code, for instance a hook or a waker, and stops its panic here. The panic hook has reported it by then.
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
    executor_wire::panic::contain_with_text(f)
}

/// Returns whether this thread works for the pool with that address.
#[must_use]
pub fn is_worker_of(owner: *const Owner) -> bool {
    current::worker(|worker| worker.owner() == owner).unwrap_or(false)
}
