//! [`AnyExecutor`]: the executor that an [`ExecutorSpec`](crate::ExecutorSpec) names, whichever it is.

use executor_core::task::Task;
use executor_core::{Admission, BuildError, Executor, Rejected, SerialExecutor, Shutdown, TimedOut};
#[cfg(all(target_os = "linux", feature = "processes"))]
use process_executor::ProcessPoolExecutor;
use std::task::{Context, Poll};
use std::time::Duration;
#[cfg(feature = "threads")]
use thread_executor::ThreadPoolExecutor;

/// The executor that an [`ExecutorSpec`](crate::ExecutorSpec) names; it also knows whether it fell back to threads. From
/// [`ExecutorSpec::build_any`](crate::ExecutorSpec::build_any).
///
/// ```
/// use concurrent_futures::{ExecutorExt, ExecutorSpec};
///
/// let executor = "processes?".parse::<ExecutorSpec>()?.build_any()?;
/// if let Some(reason) = executor.fallback_reason() {
///     eprintln!("warning: {reason}; using threads instead");
/// }
/// assert_eq!(executor.submit(|n: u32| n + 1, 1)?.result()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AnyExecutor {
    kind: Kind,
    fallback_reason: Option<BuildError>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Serial(SerialExecutor),
    #[cfg(feature = "threads")]
    Threads(ThreadPoolExecutor),
    #[cfg(all(target_os = "linux", feature = "processes"))]
    Processes(ProcessPoolExecutor),
}

impl AnyExecutor {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, fallback_reason: None }
    }

    /// Returns an executor that stands in for another, which could not be built for `reason`.
    pub(crate) fn instead(kind: Kind, reason: BuildError) -> Self {
        Self { kind, fallback_reason: Some(reason) }
    }

    /// Returns why this is a thread pool although processes were preferred, as in `processes?`, or `None`.
    ///
    /// The library prints nothing of its own accord: telling the user is up to the program.
    #[must_use]
    pub fn fallback_reason(&self) -> Option<&BuildError> {
        self.fallback_reason.as_ref()
    }

    /// Ends worker processes, and with them the tasks that run, for a program that must end before its work is done. It does
    /// not wait; see `ProcessPoolExecutor::terminate_workers`.
    ///
    /// Without worker processes it does nothing: a thread cannot be ended from outside.
    pub fn terminate_workers(&self) {
        match &self.kind {
            Kind::Serial(_) => {}
            #[cfg(feature = "threads")]
            Kind::Threads(_) => {}
            #[cfg(all(target_os = "linux", feature = "processes"))]
            Kind::Processes(pool) => pool.terminate_workers(),
        }
    }

    pub(crate) fn into_boxed(self) -> Box<dyn Executor> {
        match self.kind {
            Kind::Serial(executor) => Box::new(executor),
            #[cfg(feature = "threads")]
            Kind::Threads(pool) => Box::new(pool),
            #[cfg(all(target_os = "linux", feature = "processes"))]
            Kind::Processes(pool) => Box::new(pool),
        }
    }

    fn inner(&self) -> &dyn Executor {
        match &self.kind {
            Kind::Serial(executor) => executor,
            #[cfg(feature = "threads")]
            Kind::Threads(pool) => pool,
            #[cfg(all(target_os = "linux", feature = "processes"))]
            Kind::Processes(pool) => pool,
        }
    }
}

impl Executor for AnyExecutor {
    fn submit_task(&self, task: Task, admission: Admission) -> Result<(), Rejected> {
        self.inner().submit_task(task, admission)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner().poll_ready(cx)
    }

    fn workers(&self) -> usize {
        self.inner().workers()
    }

    fn can_end_tasks(&self) -> bool {
        self.inner().can_end_tasks()
    }

    fn shutdown(&self, how: Shutdown) {
        self.inner().shutdown(how);
    }

    fn shutdown_timeout(&self, limit: Duration) -> Result<(), TimedOut> {
        self.inner().shutdown_timeout(limit)
    }

    fn poll_shutdown(&self, how: Shutdown, cx: &mut Context<'_>) -> Poll<()> {
        self.inner().poll_shutdown(how, cx)
    }
}
