//! How an executor is to end.

/// The two questions of a shutdown: wait for the tasks? run or cancel the queued ones?
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

    /// Cancel what has not begun.
    pub const fn cancel_futures(self) -> Self {
        Self { cancel: true, ..self }
    }

    /// Returns whether it waits.
    #[must_use]
    pub const fn waits(self) -> bool {
        self.wait
    }

    /// Returns whether it cancels what has not begun.
    #[must_use]
    pub const fn cancels(self) -> bool {
        self.cancel
    }
}
