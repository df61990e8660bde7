//! The executor side of a future: [`Task`], which must be run or dropped, and what an executor tells and is told.
//!
//! Only those who write an executor need this module; [`ExecutorExt`](crate::ExecutorExt) is what users call.

use crate::cell::{CellRef, Closure, Core, Work, allocate};
use crate::clock;
pub use crate::deadline::deadline_after;
use crate::error::{BrokenExecutor, TaskError};
use crate::executor::{Admission, Executor, refusal};
use crate::fork::Origin;
use crate::future::Future;
use crate::header::{Header, Link};
use crate::info::TaskInfo;
use crate::options::TaskOptions;
pub use crate::own_thread::guarded;
use crate::remote::Token;
use crate::submit_error::SubmitError;
pub use crate::worker::{Claimed, InlineWorker, before_blocking, contain, is_worker_of, spin_until, with_worker};
use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Waker;

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

/// How a task ended, as its executor counts it.
///
/// ```
/// use executor_core::task::{Ended, Task};
///
/// let (task, _future) = Task::from_closure(|| 1);
/// task.run(&|| {}, &|ended| assert_eq!(ended, Ended::Completed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It returned.
    Completed,
    /// It panicked.
    Failed,
    /// It was a part of a chunk of `map`, and counts with the chunk that it was cut from.
    Part,
}

/// How a queued task left its queue without an executor's doing.
///
/// ```
/// use executor_core::task::Dequeued;
///
/// assert_ne!(Dequeued::Cancelled, Dequeued::Expired);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dequeued {
    /// Its future was cancelled.
    Cancelled,
    /// It waited longer than its queue limit.
    Expired,
    /// Either of the two, of a part of a chunk of `map`, which counts with the chunk that it was cut from.
    Part,
}

/// An executor as its queued tasks know it.
///
/// ```
/// use executor_core::task::{Dequeued, TaskOwner};
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// /// Counts the tasks that left its queue.
/// #[derive(Default)]
/// struct Pool {
///     left: AtomicUsize,
/// }
///
/// impl TaskOwner for Pool {
///     fn task_dequeued(&self, _how: Dequeued) -> Vec<std::task::Waker> {
///         self.left.fetch_add(1, Ordering::Relaxed);
///         Vec::new()
///     }
/// }
/// assert!(Pool::default().task_dequeued(Dequeued::Cancelled).is_empty());
/// ```
pub trait TaskOwner: Send + Sync {
    /// A queued task was cancelled or expired; its place in the queue is free although the queue still holds its tombstone.
    ///
    /// Runs in the thread that cancelled, must not block and must not run user code: wakers that are to be told of the
    /// freed room are returned, and woken by the caller once the owner is no longer needed.
    ///
    /// See the example of the trait.
    fn task_dequeued(&self, how: Dequeued) -> Vec<Waker>;

    /// A task that is away ([`Task::set_remote_owner`]) is about to be cancelled or to expire. True: it has not begun and
    /// never will; what is left of it, wherever it is, is to be dropped.
    ///
    /// This method and the next two run in the thread that asks; they must not run user code, nor wait for one that does.
    /// By default no task of this executor is ever away.
    ///
    /// See the example of the trait.
    fn revoke(&self, token: &Token) -> bool {
        let _ = token;
        false
    }

    /// Whether a task that is away has begun.
    ///
    /// See the example of the trait.
    fn has_begun(&self, token: &Token) -> bool {
        let _ = token;
        false
    }

    /// The holder of a begun task wants it to stop: by its flag, or, with `end_worker`, by ending the worker that runs it.
    ///
    /// See the example of the trait.
    fn ask_to_stop(&self, token: &Token, end_worker: bool) {
        let _ = (token, end_worker);
    }
}

/// A [`TaskOwner`] at an address of its own, by which tasks know it.
///
/// ```
/// use executor_core::task::{Dequeued, Owner, TaskOwner};
///
/// struct Pool;
/// impl TaskOwner for Pool {
///     fn task_dequeued(&self, _how: Dequeued) -> Vec<std::task::Waker> {
///         Vec::new()
///     }
/// }
/// let owner = Owner::new(std::sync::Arc::new(Pool));
/// assert!(owner.task_dequeued(Dequeued::Cancelled).is_empty());
/// ```
pub struct Owner {
    owner: Arc<dyn TaskOwner>,
    /// Named before there are tasks, so that a fork can tell them from its own.
    _origin: Origin,
}

impl Owner {
    /// Gives `owner` an address.
    ///
    /// ```
    /// # use executor_core::task::{Dequeued, Owner, TaskOwner};
    /// # struct Pool;
    /// # impl TaskOwner for Pool {
    /// #     fn task_dequeued(&self, _how: Dequeued) -> Vec<std::task::Waker> { Vec::new() }
    /// # }
    /// let owner = Box::new(Owner::new(std::sync::Arc::new(Pool)));
    /// # drop(owner);
    /// ```
    #[must_use]
    pub fn new(owner: Arc<dyn TaskOwner>) -> Self {
        Self { owner, _origin: Origin::here() }
    }

    /// Passes the message on.
    ///
    /// ```
    /// # use executor_core::task::{Dequeued, Owner, TaskOwner};
    /// # struct Pool;
    /// # impl TaskOwner for Pool {
    /// #     fn task_dequeued(&self, _how: Dequeued) -> Vec<std::task::Waker> { Vec::new() }
    /// # }
    /// assert!(Owner::new(std::sync::Arc::new(Pool)).task_dequeued(Dequeued::Expired).is_empty());
    /// ```
    #[must_use = "the wakers have to be woken"]
    pub fn task_dequeued(&self, how: Dequeued) -> Vec<Waker> {
        self.owner.task_dequeued(how)
    }

    pub(crate) fn revoke(&self, token: &Token) -> bool {
        self.owner.revoke(token)
    }

    pub(crate) fn has_begun(&self, token: &Token) -> bool {
        self.owner.has_begun(token)
    }

    pub(crate) fn ask_to_stop(&self, token: &Token, end_worker: bool) {
        self.owner.ask_to_stop(token, end_worker);
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner")
    }
}

impl Task {
    /// A task that runs a closure in this process, and its future.
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

    /// As [`from_closure`](Self::from_closure), with options.
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

    /// Submits a closure to an executor of this process; what `spawn` of a pool is made of.
    ///
    /// # Errors
    ///
    /// As for [`ExecutorExt::submit`](crate::ExecutorExt::submit).
    ///
    /// ```
    /// # use executor_core::{SerialExecutor, task::Task};
    /// let three = 3;
    /// let future = Task::spawn_on(&SerialExecutor::new(), None, move || three + 4)?;
    /// assert_eq!(future.result()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn_on<R, F>(
        executor: &(impl Executor + ?Sized),
        options: Option<TaskOptions>,
        f: F,
    ) -> Result<Future<R>, SubmitError>
    where
        R: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        let (task, future) = Self::from_work(Closure(f), options, Location::caller());
        executor.submit_task(task, Admission::Block).map_err(refusal)?;
        Ok(future)
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
        (Self(cell), unsafe { Future::from_core(core) })
    }

    /// The task's number, name and place of submission.
    ///
    /// ```
    /// # use executor_core::task::Task;
    /// let (task, future) = Task::from_closure(|| ());
    /// assert_eq!(task.info().id(), future.id());
    /// ```
    #[must_use]
    pub fn info(&self) -> TaskInfo {
        self.0.header().info()
    }

    /// Tells the task whose queue it is about to enter, so that a cancel can free its place and a waiting worker of the
    /// owner can run it. False: it was cancelled before, without telling; do not queue it. If the queue then does not
    /// take the task, call [`clear_owner`](Self::clear_owner).
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
        self.0.header().set_owner(owner)
    }

    /// Takes back [`set_owner`](Self::set_owner). False: the owner was told meanwhile that the task has left the queue.
    ///
    /// ```
    /// # use executor_core::task::Task;
    /// let (task, _future) = Task::from_closure(|| ());
    /// assert!(task.clear_owner());
    /// ```
    #[must_use = "an owner that was told has counted the task"]
    pub fn clear_owner(&self) -> bool {
        self.0.header().clear_owner()
    }

    /// Returns whether it is a part of a chunk of `map` that is shared: it counts with the chunk that it was cut from.
    ///
    /// ```
    /// # use executor_core::task::Task;
    /// let (task, _future) = Task::from_closure(|| ());
    /// assert!(!task.is_part());
    /// ```
    #[inline]
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.0.header().is_part()
    }

    /// Returns whether its run has a limit.
    pub(crate) fn has_run_limit(&self) -> bool {
        self.0.header().options().is_some_and(|options| options.run_limit().is_some())
    }

    /// The clock of the task's queue limit, if it has one: start it right after the task was queued.
    ///
    /// ```
    /// # use executor_core::task::Task;
    /// let (task, _future) = Task::from_closure(|| ());
    /// assert!(task.queue_clock().is_none());
    /// ```
    #[must_use]
    pub fn queue_clock(&self) -> Option<QueueClock> {
        let limit = self.0.header().options()?.queue_limit()?;
        Some(QueueClock { cell: self.0.another(), limit })
    }

    /// Begins and runs the task, unless it was cancelled or begun elsewhere, and ends its future. False if there was
    /// nothing to run.
    ///
    /// `on_start` is called first; `on_end` is told how it ended just before the future shows it. The task's panic is
    /// caught; callbacks and wakers of the future run on this thread.
    ///
    /// ```
    /// # use executor_core::task::Task;
    /// let (task, future) = Task::from_closure(|| 1);
    /// future.cancel();
    /// assert!(!task.run(&|| {}, &|_| {}));
    /// ```
    pub fn run(self, on_start: &dyn Fn(), on_end: &dyn Fn(Ended)) -> bool {
        if !self.0.header().start() {
            return false;
        }
        crate::panic::contain(on_start);
        self.into_cell().run(on_end);
        true
    }

    /// Ends the future of a task that has not begun with [`TaskError::Broken`]. False if it
    /// was cancelled or begun elsewhere.
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

    /// The work of a task that an executor has handed back. An executor is anybody's code: that it is the task it was
    /// given is checked.
    ///
    /// # Panics
    /// If it is another task, or one that was begun.
    ///
    /// # Safety
    /// `future` came from `from_work` together with a task of this very `W`.
    pub(crate) unsafe fn recover<R, W>(self, future: &Future<R>) -> W {
        if self.0.pointer() != future.pointer() {
            // Its own future ends with this.
            drop(self);
            panic!("an executor that does not take a task must hand this very task back");
        }
        // SAFETY: by contract, and it is the future's cell.
        let work = unsafe { self.into_cell().recover::<R, W>() };
        work.expect("an executor that does not take a task does not begin it")
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
            header.wait_until_left();
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.info()).finish()
    }
}

/// The clock of a queue limit, not yet started.
///
/// See the example of [`start`](Self::start).
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
