//! [`TaskOptions`]: what a caller may ask for one task: a name, two limits, another try.

use std::sync::Arc;
use std::time::Duration;

/// Options of one task, for [`ExecutorExt::submit_with`](crate::ExecutorExt::submit_with).
///
/// ```
/// use executor_core::{ExecutorExt, SerialExecutor, TaskOptions};
/// use std::time::Duration;
///
/// let options = TaskOptions::new().name("parse").run_timeout(Duration::from_secs(30));
/// let future = SerialExecutor::new().submit_with(options, |text: String| text.len(), "four".to_owned())?;
/// assert_eq!(future.result()?, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until they are given to submit_with"]
pub struct TaskOptions {
    name: Option<Arc<str>>,
    run_timeout: Option<Duration>,
    queue_timeout: Option<Duration>,
    retries: u32,
}

impl TaskOptions {
    /// Returns options without a name and without limits, which plain `submit` uses.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name, for error texts and `Debug` output.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Limits how long the task may run, counted from its start. When the limit passes, the future resolves with
    /// [`TaskError::TimedOut`](crate::TaskError::TimedOut) and the task's cooperative stop flag is raised.
    ///
    /// On threads the closure itself goes on until it looks at
    /// [`is_stop_requested`](crate::is_stop_requested) or ends; what it returns then is dropped. In a pool of
    /// processes the worker is ended, and with it the task. A limit too large for the clock means no limit. Time goes on while the
    /// program is stopped by SIGSTOP or a debugger; on Linux it stands still while the machine sleeps.
    pub fn run_timeout(mut self, limit: Duration) -> Self {
        self.run_timeout = Some(limit);
        self
    }

    /// Limits how long the task may wait in the queue, counted from its submission. When the limit passes before the task has
    /// begun, it never runs and the future resolves with [`TaskError::TimedOut`](crate::TaskError::TimedOut).
    ///
    /// Then its argument is dropped and its callbacks run on a thread named `task-expired`. A process has at most 64 of these.
    /// While destructors or callbacks block all of them, or the system gives no thread, further tasks whose queue limits pass
    /// do not run, and their futures resolve later.
    pub fn queue_timeout(mut self, limit: Duration) -> Self {
        self.queue_timeout = Some(limit);
        self
    }

    /// Sets how often the task is run again if the worker process that runs it dies. By default it is not, since it may have done
    /// half of its work by then. If the last attempt dies, too, the error tells of all the deaths.
    ///
    /// Only a worker's death counts, not a panic, and not a limit that passed. On threads nothing is ever retried.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    pub(crate) fn retry_limit(&self) -> u32 {
        self.retries
    }

    pub(crate) fn shared_name(&self) -> Option<Arc<str>> {
        self.name.clone()
    }

    pub(crate) fn run_limit(&self) -> Option<Duration> {
        self.run_timeout
    }

    pub(crate) fn queue_limit(&self) -> Option<Duration> {
        self.queue_timeout
    }
}
