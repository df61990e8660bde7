//! [`SerialExecutor`]: the executor that has no threads.

use crate::cell::task::Task;
use crate::deadline::HAS_CLOCK;
use crate::error::{SubmitError, TimedOut};
use crate::executor::{Admission, Executor, Rejected, Rejection, Shutdown};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// Runs each task in the caller, inside `submit`: the same contract without concurrency. For debugging, for tests, and for
/// machines without threads.
///
/// A future is done when `submit` returns, so there is nothing to cancel. A panic of the task ends up in the future, not in the
/// caller. A run limit still resolves the future in time, for other threads that wait for it; where there is
/// no clock (`wasm32-unknown-unknown`), a task with such a limit is refused.
///
/// ```
/// use executor_core::{ExecutorExt, SerialExecutor};
///
/// let executor = SerialExecutor::new();
/// let future = executor.submit(|n: u32| n + 1, 1)?;
/// assert!(future.is_done());
/// # Ok::<(), executor_core::SubmitError>(())
/// ```
#[derive(Debug, Default)]
pub struct SerialExecutor {
    shut_down: AtomicBool,
}

impl SerialExecutor {
    /// Returns an executor without threads.
    #[must_use]
    pub const fn new() -> Self {
        Self { shut_down: AtomicBool::new(false) }
    }
}

impl Executor for SerialExecutor {
    fn submit_task(&self, task: Task, _admission: Admission) -> Result<(), Rejected> {
        // ORDERING: SeqCst, with the store of `shutdown`: a submit after a shutdown, in the order that threads agree on, is refused.
        if self.shut_down.load(Ordering::SeqCst) {
            return Err(Rejected { task, reason: Rejection::Refused(SubmitError::ShutDown) });
        }
        if !HAS_CLOCK && task.has_run_limit() {
            return Err(Rejected { task, reason: Rejection::Refused(SubmitError::NoClock) });
        }
        task.run(&|| {}, &|_| {});
        Ok(())
    }

    fn poll_ready(&self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn workers(&self) -> usize {
        1
    }

    fn shutdown(&self, _how: Shutdown) {
        // ORDERING: SeqCst, with the load of `submit_task`.
        self.shut_down.store(true, Ordering::SeqCst);
    }

    fn shutdown_timeout(&self, _limit: Duration) -> Result<(), TimedOut> {
        self.shutdown(Shutdown::wait());
        Ok(())
    }

    fn poll_shutdown(&self, how: Shutdown, _cx: &mut Context<'_>) -> Poll<()> {
        self.shutdown(how);
        Poll::Ready(())
    }
}
