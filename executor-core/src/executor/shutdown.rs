//! [`Shutdown`]: how an executor is to end.

/// How to end an executor: whether to wait for the tasks, and whether to cancel the queued ones.
///
/// ```
/// use executor_core::{Executor, SerialExecutor, Shutdown};
///
/// let executor = SerialExecutor::new();
/// executor.shutdown(Shutdown::no_wait().cancel_futures());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a description of a shutdown does nothing until it is given to one"]
pub struct Shutdown {
    wait: bool,
    cancel: bool,
}

impl Shutdown {
    /// Return once every accepted task is over and the workers are gone.
    pub const fn wait() -> Self {
        Self { wait: true, cancel: false }
    }

    /// Return at once; accepted tasks still run, and the workers end after them. Dropping the executor will not wait for them;
    /// a pool of processes ends those that are not over by then.
    pub const fn no_wait() -> Self {
        Self { wait: false, cancel: false }
    }

    /// Cancel tasks that have not begun.
    pub const fn cancel_futures(self) -> Self {
        Self { cancel: true, ..self }
    }

    /// Returns whether the shutdown waits.
    #[must_use]
    pub const fn waits(self) -> bool {
        self.wait
    }

    /// Returns whether the shutdown cancels tasks that have not begun.
    #[must_use]
    pub const fn cancels(self) -> bool {
        self.cancel
    }
}
