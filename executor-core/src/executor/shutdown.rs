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
    ///
    /// ```
    /// assert!(executor_core::Shutdown::wait().waits());
    /// ```
    pub const fn wait() -> Self {
        Self { wait: true, cancel: false }
    }

    /// Return at once; accepted tasks still run, and the workers end after them. Dropping the executor will not wait for them;
    /// a pool of processes ends those that are not over by then.
    ///
    /// ```
    /// assert!(!executor_core::Shutdown::no_wait().waits());
    /// ```
    pub const fn no_wait() -> Self {
        Self { wait: false, cancel: false }
    }

    /// Cancel what has not begun.
    ///
    /// ```
    /// assert!(executor_core::Shutdown::wait().cancel_futures().cancels());
    /// ```
    pub const fn cancel_futures(self) -> Self {
        Self { cancel: true, ..self }
    }

    /// Whether it waits.
    ///
    /// ```
    /// assert!(executor_core::Shutdown::wait().waits());
    /// ```
    #[must_use]
    pub const fn waits(self) -> bool {
        self.wait
    }

    /// Whether it cancels what has not begun.
    ///
    /// ```
    /// assert!(!executor_core::Shutdown::wait().cancels());
    /// ```
    #[must_use]
    pub const fn cancels(self) -> bool {
        self.cancel
    }
}
