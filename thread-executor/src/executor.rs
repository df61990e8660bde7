//! [`ThreadPoolExecutor`]: the handle of a pool.

use crate::pool::Pool;
use crate::settings::Settings;
use crate::worker;
use executor_core::task::Task;
use executor_core::{Admission, Executor, Future, Rejected, Shutdown, Stats, SubmitError, TaskOptions, TimedOut};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// An executor whose workers are threads of this process.
///
/// Every worker takes the oldest task that waits. With one worker, tasks begin in the order in which they were submitted.
/// With several, when a task begins, each older one has begun or is in the hands of a worker that is about to begin it;
/// none waits while a worker is free.
///
/// A task that panics fails its own future and nothing else. A task may submit to its own pool and wait for the result, at
/// any depth and with one worker: the waiting worker runs the awaited task itself if no worker has begun it, and never any
/// other. That is the only task that begins before older ones.
///
/// A worker runs tasks of no other pool. So if tasks of two pools wait for each other's queued tasks, and every worker of one
/// of the pools is waiting, they wait for ever, as threads do that take two locks in different orders. Let waits between
/// pools go in one direction, let tasks that wait for each other share a pool, or wait with a limit.
///
/// Dropping the pool waits until all accepted tasks have ended, as the end of Python's `with` block does; a worker of the
/// pool that drops it does not wait. To end it otherwise, call [`shutdown`](Executor::shutdown) first. If that did not wait,
/// or stopped waiting ([`shutdown_timeout`](Executor::shutdown_timeout), a dropped
/// [`shutdown_async`](executor_core::AsyncExecutor::shutdown_async)), the drop does not wait either: the threads are
/// detached, and run what was accepted as long as the program lasts. So a pool with a task that never ends can be left.
///
/// ```
/// use executor_core::ExecutorExt;
/// use thread_executor::ThreadPoolExecutor;
///
/// let pool = ThreadPoolExecutor::new()?;
/// let future = pool.submit(|(base, exponent)| u64::pow(base, exponent), (323, 2))?;
/// assert_eq!(future.result()?, 104_329);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ThreadPoolExecutor {
    pool: Arc<Pool>,
}

impl ThreadPoolExecutor {
    #[cfg(test)]
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn with_settings(settings: Settings) -> Self {
        Self { pool: Pool::new(settings, worker::run) }
    }

    /// Hands a closure to the pool: what `submit` does for plain functions with portable arguments, this does for
    /// anything that may move to another thread.
    ///
    /// # Errors
    ///
    /// As for [`ExecutorExt::submit`](executor_core::ExecutorExt::submit); the closure is dropped then.
    ///
    /// ```
    /// # use thread_executor::ThreadPoolExecutor;
    /// use std::sync::Arc;
    ///
    /// let pool = ThreadPoolExecutor::with_workers(2)?;
    /// let words = Arc::new(vec!["one", "two"]);
    /// let count = pool.spawn({
    ///     let words = words.clone();
    ///     move || words.len()
    /// })?;
    /// assert_eq!(count.result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn<R, F>(&self, f: F) -> Result<Future<R>, SubmitError>
    where
        R: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        Task::spawn_on(self, None, f)
    }

    /// Does what [`spawn`](Self::spawn) does, with a name or limits.
    ///
    /// # Errors
    ///
    /// As for `spawn`.
    ///
    /// ```
    /// # use executor_core::TaskOptions;
    /// # use thread_executor::ThreadPoolExecutor;
    /// let pool = ThreadPoolExecutor::with_workers(2)?;
    /// let future = pool.spawn_with(TaskOptions::new().name("greet"), || "hello".parse::<u32>().unwrap())?;
    /// let error = future.result().unwrap_err();
    /// assert!(error.to_string().contains("greet"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn_with<R, F>(&self, options: TaskOptions, f: F) -> Result<Future<R>, SubmitError>
    where
        R: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        Task::spawn_on(self, Some(options), f)
    }

    /// Returns what the pool is doing, in numbers.
    ///
    /// ```
    /// # use executor_core::ExecutorExt;
    /// # use thread_executor::ThreadPoolExecutor;
    /// let pool = ThreadPoolExecutor::with_workers(2)?;
    /// pool.submit(|n: u32| n + 1, 1)?.result()?;
    /// assert_eq!(pool.stats().completed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.pool.stats()
    }
}

impl Executor for ThreadPoolExecutor {
    fn submit_task(&self, task: Task, admission: Admission) -> Result<(), Rejected> {
        self.pool.submit(task, admission)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.pool.poll_ready(cx)
    }

    fn workers(&self) -> usize {
        self.pool.settings().workers
    }

    fn shutdown(&self, how: Shutdown) {
        self.pool.shutdown(how);
    }

    fn shutdown_timeout(&self, limit: Duration) -> Result<(), TimedOut> {
        self.pool.shutdown_timeout(limit)
    }

    fn poll_shutdown(&self, how: Shutdown, cx: &mut Context<'_>) -> Poll<()> {
        self.pool.poll_shutdown(how, cx)
    }
}

// What a panicking task could leave half done is its own; the pool's state is kept by code that does not unwind.
impl UnwindSafe for ThreadPoolExecutor {}
impl RefUnwindSafe for ThreadPoolExecutor {}

impl Drop for ThreadPoolExecutor {
    fn drop(&mut self) {
        self.pool.end_with_handle();
    }
}

impl fmt::Debug for ThreadPoolExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolExecutor")
            .field("settings", self.pool.settings())
            .field("stats", &self.stats())
            .finish()
    }
}
