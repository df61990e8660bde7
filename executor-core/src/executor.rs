//! [`Executor`]: the trait that executors implement.

mod serial;
mod shutdown;
mod stats;
mod worker_count;

pub use serial::SerialExecutor;
pub use shutdown::Shutdown;
pub use stats::Stats;
pub use worker_count::{WORKERS_VARIABLE, WorkerCount};

use crate::cell::task::Task;
use crate::error::{SubmitError, TimedOut};
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What `submit_task` does with a task when the queue is full.
///
/// ```
/// use executor_core::{Admission, Executor, SerialExecutor, task::Task};
///
/// let (task, future) = Task::from_closure(|| 1);
/// SerialExecutor::new().submit_task(task, Admission::Try).unwrap();
/// assert!(future.is_done());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Block until there is room. A worker of the executor itself is let in over the limit, since it may be the one
    /// that has to make the room.
    Block,
    /// Hand the task back.
    Try,
    /// Hand the task back, for a submitter that then awaits [`poll_ready`](Executor::poll_ready). A worker of the executor
    /// itself is let in over the limit, as for `Block`: it may block on the code that awaits the room.
    Async,
}

/// A task that was not taken, and why.
///
/// ```
/// use executor_core::{Admission, Executor, Rejection, SerialExecutor, Shutdown, SubmitError, task::Task};
///
/// let executor = SerialExecutor::new();
/// executor.shutdown(Shutdown::wait());
/// let (task, _future) = Task::from_closure(|| 1);
/// let rejected = executor.submit_task(task, Admission::Block).unwrap_err();
/// assert!(matches!(rejected.reason, Rejection::Refused(SubmitError::ShutDown)));
/// ```
#[derive(Debug)]
pub struct Rejected {
    /// The task, untouched.
    pub task: Task,
    /// Why it was not taken.
    pub reason: Rejection,
}

/// Why a task was not taken.
///
/// ```
/// use executor_core::Rejection;
///
/// assert!(matches!(Rejection::Full, Rejection::Full));
/// ```
#[derive(Debug)]
pub enum Rejection {
    /// No room; not for [`Admission::Block`].
    Full,
    /// No task at all is taken.
    Refused(SubmitError),
}

/// A place where tasks run: the part that an executor implements. [`ExecutorExt`](crate::ExecutorExt) has `submit` and `map` for all of
/// them, `dyn Executor` included.
///
/// The contract, which `executor-conformance` checks case by case:
///
/// - Each accepted task is run once, or its future is ended without running it; never both, never neither.
/// - Tasks are handed to workers in the order in which they were submitted. With one worker they begin in that order, except
///   for a task that another task of the same executor waits for: it may begin at once. For several workers, each executor
///   says what it promises.
/// - After `shutdown` no task is accepted; accepted ones run, or are cancelled if asked; `shutdown` may be called any
///   number of times from any thread.
/// - Dropping the executor is `shutdown(Shutdown::wait())`, unless a shutdown before did not wait for the end: one with
///   [`Shutdown::no_wait`], a [`shutdown_timeout`](Self::shutdown_timeout) that timed out, an awaited one that was dropped.
///   After these the drop does not wait. Threads are detached, and run what was accepted as long as the program lasts; worker
///   processes with unfinished tasks are ended.
///
/// ```
/// use executor_core::{Executor, ExecutorExt, SerialExecutor};
///
/// fn total(executor: &dyn Executor) -> u64 {
///     executor.map(|n: u64| n * n, 1..=10).map(Result::unwrap).sum()
/// }
/// assert_eq!(total(&SerialExecutor::new()), 385);
/// ```
pub trait Executor: Send + Sync {
    /// Takes a task over, to be run as soon as a worker is free.
    ///
    /// # Errors
    ///
    /// The task back: the queue is full and `admission` is not to wait, or no task is taken any more.
    ///
    /// ```
    /// # use executor_core::{Admission, Executor, SerialExecutor, task::Task};
    /// let (task, future) = Task::from_closure(|| 6 * 7);
    /// SerialExecutor::new().submit_task(task, Admission::Block).unwrap();
    /// assert_eq!(future.result()?, 42);
    /// # Ok::<(), executor_core::TaskError>(())
    /// ```
    fn submit_task(&self, task: Task, admission: Admission) -> Result<(), Rejected>;

    /// Returns ready when there may be room in the queue, so that a try is worth it. Else wakes the waker of `cx` when there is.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Returns how many tasks it runs at once.
    fn workers(&self) -> usize;

    /// Returns whether the executor can end a task that runs, and not only ask it to stop. Then a limit on each input of `map`
    /// ([`MapOptions::run_timeout`](crate::MapOptions::run_timeout)) holds within a chunk, too, which the executor sees to; else each such input is a task of
    /// its own.
    fn can_end_tasks(&self) -> bool {
        false
    }

    /// Ends the executor. On one of its own workers it does not wait, since it would wait for itself. After a shutdown that does
    /// not wait, dropping the executor does not wait either.
    ///
    /// ```
    /// # use executor_core::{Executor, ExecutorExt, SerialExecutor, Shutdown};
    /// let executor = SerialExecutor::new();
    /// executor.shutdown(Shutdown::wait());
    /// assert!(executor.submit(|n: u32| n, 1).is_err());
    /// ```
    fn shutdown(&self, how: Shutdown);

    /// Like `shutdown(Shutdown::wait())`, but waits no longer than `limit`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if tasks are still running by then. They go on, and dropping the executor will not wait for them; a pool of
    /// processes ends them then.
    fn shutdown_timeout(&self, limit: Duration) -> Result<(), TimedOut>;

    /// Begins the shutdown. Returns ready when the executor has ended, or at once if `how` does not wait.
    fn poll_shutdown(&self, how: Shutdown, cx: &mut Context<'_>) -> Poll<()>;
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<E: Executor + ?Sized> Executor for $pointer {
            fn submit_task(&self, task: Task, admission: Admission) -> Result<(), Rejected> {
                (**self).submit_task(task, admission)
            }

            fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
                (**self).poll_ready(cx)
            }

            fn workers(&self) -> usize {
                (**self).workers()
            }

            fn can_end_tasks(&self) -> bool {
                (**self).can_end_tasks()
            }

            fn shutdown(&self, how: Shutdown) {
                (**self).shutdown(how);
            }

            fn shutdown_timeout(&self, limit: Duration) -> Result<(), TimedOut> {
                (**self).shutdown_timeout(limit)
            }

            fn poll_shutdown(&self, how: Shutdown, cx: &mut Context<'_>) -> Poll<()> {
                (**self).poll_shutdown(how, cx)
            }
        }
    )*};
}

forward!(&E, Box<E>, Arc<E>);

impl fmt::Debug for dyn Executor + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("dyn Executor").field("workers", &self.workers()).finish_non_exhaustive()
    }
}
