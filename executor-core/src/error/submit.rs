//! [`SubmitError`], [`TrySubmitError`], [`BuildError`]: why an executor would not take a task, or could not be built.

use crate::error::BrokenExecutor;
use std::error::Error;
use std::fmt;
use std::io;

/// The reason why `submit` returned no future. The task did not run and never will.
///
/// ```
/// use executor_core::{Executor, ExecutorExt, SerialExecutor, Shutdown, SubmitError};
///
/// let executor = SerialExecutor::new();
/// executor.shutdown(Shutdown::wait());
/// assert!(matches!(executor.submit(|x: u8| x, 1), Err(SubmitError::ShutDown)));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SubmitError {
    /// `shutdown` was called.
    ShutDown,
    /// The executor broke, for instance by a failing initializer.
    Broken(BrokenExecutor),
    /// No worker exists and the operating system would not start one.
    NoWorkers(io::Error),
    /// The task is a closure, which only this process can run.
    NotPortable,
    /// The task's run has a limit, and this machine has no clock.
    NoClock,
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken(broken) => return broken.fmt(f),
            Self::NoWorkers(error) => {
                let advice = "raise the limit on threads (ulimit -u, pids.max), or ask for fewer workers";
                return write!(f, "no worker could be started: {error}; {advice}");
            }
            Self::ShutDown => {
                "the executor was shut down and takes no more tasks; submit before shutdown, or build a new executor"
            }
            Self::NotPortable => {
                "the task is a closure, which another process cannot run; submit a function and its argument, or use a \
                 thread pool"
            }
            Self::NoClock => {
                "the task's run has a limit, which nobody can measure: there is no clock here; submit it without the limit"
            }
        })
    }
}

impl Error for SubmitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broken(broken) => broken.source(),
            Self::NoWorkers(error) => Some(error),
            Self::ShutDown | Self::NotPortable | Self::NoClock => None,
        }
    }
}

/// The reason why [`try_submit`](crate::ExecutorExt::try_submit) returned no future; it has the arguments.
///
/// ```
/// use executor_core::{Executor, ExecutorExt, SerialExecutor, Shutdown};
///
/// let executor = SerialExecutor::new();
/// executor.shutdown(Shutdown::wait());
/// let error = executor.try_submit(|text: String| text.len(), "mine".to_owned()).unwrap_err();
/// assert!(!error.is_full());
/// assert_eq!(error.into_args(), "mine");
/// ```
#[non_exhaustive]
pub enum TrySubmitError<A> {
    /// The queue is at its capacity; try again later, or call `submit`, which waits for room.
    Full(A),
    /// The executor takes no task at all.
    Refused(SubmitError, A),
}

impl<A> TrySubmitError<A> {
    /// Returns whether waiting could help.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Returns the arguments, unused.
    #[must_use]
    pub fn into_args(self) -> A {
        match self {
            Self::Full(args) | Self::Refused(_, args) => args,
        }
    }
}

impl<A> fmt::Debug for TrySubmitError<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("Full(..)"),
            Self::Refused(error, _) => f.debug_tuple("Refused").field(error).finish_non_exhaustive(),
        }
    }
}

impl<A> fmt::Display for TrySubmitError<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the executor's queue is full; try again later, or use submit, which waits"),
            Self::Refused(error, _) => error.fmt(f),
        }
    }
}

impl<A> std::error::Error for TrySubmitError<A> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Full(_) => None,
            Self::Refused(error, _) => Some(error),
        }
    }
}

/// Why an executor could not be built.
///
/// ```
/// use executor_core::{BuildError, WorkerCount};
///
/// let error: BuildError = "many".parse::<WorkerCount>().unwrap_err();
/// assert!(error.to_string().contains("\"many\""));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A count, given in code or as text, makes no sense.
    #[non_exhaustive]
    Invalid {
        /// Which setting or environment variable it is.
        what: String,
        /// What was given.
        found: String,
        /// What may be given.
        expected: &'static str,
    },
    /// The executor cannot work on this system, or in this program.
    #[non_exhaustive]
    Unavailable {
        /// What cannot be had.
        what: &'static str,
        /// Why, and what can be done.
        reason: String,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { what, found, expected } => write!(f, "{what}: {found:?} is not valid; use {expected}"),
            Self::Unavailable { what, reason } => write!(f, "{what}: {reason}"),
        }
    }
}

impl Error for BuildError {}

impl BuildError {
    /// Says that `found` is not a valid `what`. For executors.
    ///
    /// ```
    /// # use executor_core::BuildError;
    /// let error = BuildError::invalid("queue_capacity", "0", "a number from 1 up");
    /// assert_eq!(error.to_string(), "queue_capacity: \"0\" is not valid; use a number from 1 up");
    /// ```
    pub fn invalid(what: impl Into<String>, found: impl Into<String>, expected: &'static str) -> Self {
        Self::Invalid { what: what.into(), found: found.into(), expected }
    }

    /// Says that this system or program cannot have such an executor, for this reason. For executors.
    ///
    /// ```
    /// # use executor_core::BuildError;
    /// let error = BuildError::unavailable("a pool of processes", "there is no /proc");
    /// assert_eq!(error.to_string(), "a pool of processes: there is no /proc");
    /// ```
    pub fn unavailable(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Unavailable { what, reason: reason.into() }
    }
}
