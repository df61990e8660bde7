//! [`Task`]: the executor side of a future, which must be run or dropped.

use crate::cell::header::{Header, Link};
use crate::cell::owner::{Ended, Owner};
use crate::cell::transition::{Owned, Start};
use crate::cell::{CellRef, clock};
use crate::error::{BrokenExecutor, TaskError};
use crate::info::TaskInfo;
use std::fmt;
use std::ptr::NonNull;

/// A submitted task, types erased, one pointer wide: the right and the duty to end its future.
///
/// Run it, or fail it; dropped unrun, it ends its future with
/// [`TaskError::Abandoned`]. So whatever an executor loses, no future hangs.
///
/// ```
/// use executor_core::task::Task;
///
/// let (task, future) = Task::from_closure(|| 6 * 7);
/// task.run(&|| {}, &|_| {});
/// assert_eq!(future.result()?, 42);
/// # Ok::<(), executor_core::TaskError>(())
/// ```
pub struct Task(CellRef);

impl Task {
    /// Returns the task's number, name and place of submission.
    #[must_use]
    pub fn info(&self) -> TaskInfo {
        self.0.header().info()
    }

    /// Tells the task whose queue it is about to enter, so that a cancel can free its place and a waiting worker of the
    /// owner can run it. Returns false if it was cancelled before: do not queue it then, the owner was not told. If the queue
    /// does not take the task after all, call [`clear_owner`](Self::clear_owner).
    ///
    /// # Safety
    /// `owner` stays alive and at its address as long as a queue of it holds the task. Taking the task off the queue is
    /// by [`run`](Self::run), [`fail`](Self::fail), [`cancel`](Self::cancel) or drop, which wait until nobody uses the
    /// owner on behalf of the task any more.
    ///
    /// ```
    /// use executor_core::task::{Dequeued, Owner, Task, TaskOwner};
    ///
    /// struct Pool;
    /// impl TaskOwner for Pool {
    ///     fn task_dequeued(&self, _how: Dequeued) -> Vec<std::task::Waker> {
    ///         Vec::new()
    ///     }
    /// }
    /// let owner = Owner::new(std::sync::Arc::new(Pool));
    /// let (task, future) = Task::from_closure(|| ());
    /// // SAFETY: the owner outlives the task.
    /// assert!(unsafe { task.set_owner(&raw const owner) });
    /// assert!(future.cancel());
    /// drop(task);
    /// ```
    #[must_use = "false means that the task is not to be queued"]
    pub unsafe fn set_owner(&self, owner: *const Owner) -> bool {
        self.0.header().set_owner(owner, false) == Owned::Waiting
    }

    /// Takes back [`set_owner`](Self::set_owner). Returns false if the owner was told meanwhile that the task has left the queue.
    #[must_use = "an owner that was told has counted the task"]
    pub fn clear_owner(&self) -> bool {
        self.0.header().clear_owner() == Owned::Waiting
    }

    /// Returns whether it is a part of a chunk of `map` that is shared: it counts with the chunk that it was cut from.
    #[inline]
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.cell().header().is_part()
    }

    /// Returns whether its run has a limit.
    pub(crate) fn has_run_limit(&self) -> bool {
        self.0.header().options().is_some_and(|options| options.run_limit().is_some())
    }

    /// Returns the clock of the task's queue limit, if it has one. Start it right after the task was queued.
    #[must_use]
    pub fn queue_clock(&self) -> Option<QueueClock> {
        let limit = self.0.header().options()?.queue_limit()?;
        Some(QueueClock { cell: self.0.another(), limit })
    }

    /// Runs the task, unless it was cancelled or begun elsewhere, and ends its future. Returns false if there was nothing to run.
    ///
    /// `on_start` is called first; `on_end` hears how the task ended, just before the future shows it. A panic of the task is
    /// caught. Callbacks and wakers of the future run on this thread.
    ///
    /// ```
    /// # use executor_core::task::Task;
    /// let (task, future) = Task::from_closure(|| 1);
    /// future.cancel();
    /// assert!(!task.run(&|| {}, &|_| {}));
    /// ```
    pub fn run(self, on_start: &dyn Fn(), on_end: &dyn Fn(Ended)) -> bool {
        if self.0.header().state.start() == Start::Lost {
            return false;
        }
        executor_wire::panic::contain(on_start);
        self.into_cell().run(on_end);
        true
    }

    /// Ends the future of a task that has not begun with [`TaskError::Broken`]. Returns false if the task was cancelled or begun
    /// elsewhere.
    ///
    /// ```
    /// # use executor_core::{BrokenExecutor, TaskError, task::Task};
    /// let (task, future) = Task::from_closure(|| 1);
    /// assert!(task.fail(BrokenExecutor::new("the machine room is on fire", "heat")));
    /// assert!(matches!(future.result(), Err(TaskError::Broken(..))));
    /// ```
    pub fn fail(self, broken: BrokenExecutor) -> bool {
        let claimed = self.0.header().claim_by_executor();
        if claimed {
            clock::forget(self.0.header());
            let error = TaskError::Broken(self.info(), broken);
            self.into_cell().fail(error);
        }
        claimed
    }

    /// Cancels the task as its future's `cancel` would.
    ///
    /// ```
    /// # use executor_core::task::Task;
    /// let (task, future) = Task::from_closure(|| 1);
    /// assert!(task.cancel());
    /// assert!(future.is_cancelled());
    /// ```
    #[must_use = "false means that the task was begun"]
    pub fn cancel(self) -> bool {
        // SAFETY: our reference lives until the end of this call; then the drop waits as for any task.
        unsafe { Header::cancel(self.0.pointer()) }
    }

    pub(crate) fn cell(&self) -> &CellRef {
        &self.0
    }

    pub(crate) fn into_cell(self) -> CellRef {
        let task = std::mem::ManuallyDrop::new(self);
        // SAFETY: `task` is not dropped, so its reference moves to the copy.
        unsafe { std::ptr::read(&raw const task.0) }
    }

    pub(crate) fn from_cell(cell: CellRef) -> Self {
        Self(cell)
    }

    pub(crate) fn into_link(self) -> NonNull<Link> {
        self.into_cell().into_link()
    }

    /// # Safety
    /// `link` came from `into_link`, and this is the only call for it.
    pub(crate) unsafe fn from_link(link: NonNull<Link>) -> Self {
        // SAFETY: by contract.
        Self(unsafe { CellRef::from_link(link) })
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let header = self.0.header();
        if header.claim_by_executor() {
            clock::forget(header);
            let error = TaskError::Abandoned(header.info());
            // The cell's own reference stays with `self.0`, which goes right after.
            self.0.another().fail(error);
        } else {
            header.state.wait_until_left();
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.info()).finish()
    }
}

/// The clock of a queue limit, not yet started.
pub struct QueueClock {
    cell: CellRef,
    limit: std::time::Duration,
}

impl QueueClock {
    /// Starts it: from now on the task has its limit's time to begin.
    ///
    /// ```
    /// # use executor_core::{TaskOptions, task::Task};
    /// # use std::time::Duration;
    /// let options = TaskOptions::new().queue_timeout(Duration::from_millis(1));
    /// let (task, future) = Task::from_closure_with(options, || ());
    /// task.queue_clock().expect("it has a limit").start();
    /// assert!(future.result().unwrap_err().is_timed_out());
    /// # drop(task);
    /// ```
    pub fn start(self) {
        clock::limit_queueing(self.cell, self.limit);
    }
}

impl fmt::Debug for QueueClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueClock").field("limit", &self.limit).finish_non_exhaustive()
    }
}
