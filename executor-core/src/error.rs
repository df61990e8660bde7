//! [`TaskError`]: how a task can end badly, as the reader of its result sees it; and the errors that it consists of.

mod broken;
mod codec;
mod death;
mod expired;
pub(crate) mod own_thread;
mod panic;
mod submit;

use crate::info::{Remains, TaskInfo};
pub use broken::BrokenExecutor;
pub use codec::CodecError;
pub use death::{Death, WorkerDeath};
pub use executor_wire::CodecPhase;
use executor_wire::Failure;
pub use expired::{Expired, TimedOut};
pub use panic::Panic;
use std::error::Error;
use std::fmt;
pub use submit::{BuildError, SubmitError, TrySubmitError};

/// Why a future has no value.
///
/// Its text says which task, where it was submitted, what happened and what can be done.
///
/// ```
/// use executor_core::{Promise, TaskError};
///
/// let (promise, future) = Promise::<u8>::new();
/// assert!(future.cancel());
/// let error = future.result().unwrap_err();
/// assert!(matches!(error, TaskError::Cancelled(_)));
/// assert!(error.to_string().contains("was cancelled before it began"));
/// # drop(promise);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// Cancelled before it began: it never ran and never will. Or, in a pool of processes, ended while it ran because its
    /// holder called [`stop`](crate::Future::stop).
    Cancelled(TaskInfo),
    /// The task panicked.
    Panicked(Panic),
    /// A limit of [`TaskOptions`](crate::TaskOptions) or [`MapOptions`](crate::MapOptions) passed.
    TimedOut(Expired),
    /// The worker process that ran the task died, or several did, one after the other, if it was retried.
    WorkerDied(WorkerDeath),
    /// The argument or the result could not be carried to or from another process.
    Codec(CodecError),
    /// The executor broke while the task was queued; the task never ran.
    Broken(TaskInfo, BrokenExecutor),
    /// The executor would not take the input (only from [`Map`](crate::Map)): it was not submitted.
    Refused(SubmitError),
    /// The executor side was dropped without an outcome: a [`Promise`](crate::Promise) that was not fulfilled.
    Abandoned(TaskInfo),
    /// The outcome was moved out before: the future was polled to its end.
    Taken,
}

impl TaskError {
    /// Returns whether the task was cancelled before it began, or stopped.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled(_))
    }

    /// Returns whether the task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// Returns whether a limit passed.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }

    /// Returns the task, if there is one: a refused input of `map` never became a task.
    #[must_use]
    pub fn info(&self) -> Option<&TaskInfo> {
        match self {
            Self::Cancelled(info) | Self::Broken(info, _) | Self::Abandoned(info) => Some(info),
            Self::Panicked(panic) => Some(panic.info()),
            Self::WorkerDied(death) => Some(death.info()),
            Self::Codec(error) => Some(error.info()),
            Self::TimedOut(expired) => expired.info(),
            Self::Refused(_) | Self::Taken => None,
        }
    }

    /// Returns the error of a task, or of an item of one, whose reply has no value.
    pub(crate) fn from_failure(failure: Failure, info: TaskInfo) -> Self {
        match failure {
            Failure::Panicked(record) => Self::Panicked(Panic::from_record(info, *record)),
            Failure::Codec(phase, text) => Self::Codec(CodecError::new(info, phase, text)),
            Failure::Cancelled => Self::Cancelled(info.stopped(Remains::Nothing)),
        }
    }

    /// Returns the error of one input of a chunk that did not run as a whole.
    pub(crate) fn for_input(&self, input: u64) -> Self {
        match self {
            Self::Cancelled(info) => Self::Cancelled(info.for_input(input)),
            Self::Broken(info, broken) => Self::Broken(info.for_input(input), broken.clone()),
            Self::WorkerDied(death) => Self::WorkerDied(death.for_input(input)),
            Self::Codec(error) => Self::Codec(error.for_input(input)),
            Self::TimedOut(expired) => Self::TimedOut(expired.for_input(input)),
            _ => self.info().map_or(Self::Taken, |info| Self::Abandoned(info.for_input(input))),
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled(info) => match info.was_stopped() {
                None => write!(f, "{info}, was cancelled before it began"),
                Some(Remains::Nothing) => write!(f, "{info}, was stopped while it ran"),
                Some(remains) => write!(f, "{info}, was stopped while it ran; its worker was ended{remains}"),
            },
            Self::WorkerDied(death) => death.fmt(f),
            Self::Codec(error) => error.fmt(f),
            Self::Panicked(panic) => panic.fmt(f),
            Self::TimedOut(expired) => expired.fmt(f),
            Self::Broken(info, broken) => write!(f, "{info}, did not run: {broken}"),
            Self::Refused(error) => write!(f, "the rest of the inputs was not submitted: {error}"),
            Self::Abandoned(info) => write!(
                f,
                "{info}, has no outcome: its executor side was dropped; fulfil every Promise with set_result or set_exception"
            ),
            Self::Taken => f.write_str(
                "the future has already given its outcome away; do not ask again after it was polled to Ready",
            ),
        }
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broken(_, broken) => broken.source(),
            Self::Refused(error) => Some(error),
            Self::WorkerDied(death) => Some(death),
            Self::Codec(error) => Some(error),
            Self::Panicked(panic) => Some(panic),
            _ => None,
        }
    }
}
