//! How a task can end badly, as the reader of its result sees it.

pub use crate::codec_error::{CodecError, CodecPhase};
pub use crate::death::{Death, WorkerDeath};
use crate::info::TaskInfo;
use crate::panic::Panic;
use crate::remains::Remains;
use crate::submit_error::SubmitError;
use executor_wire::Failure;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why a future has no value.
///
/// Each text says which task, where it was submitted, what happened and what can be done.
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
    /// The future was asked again after it had given its outcome away: it was polled to its end before.
    Taken,
}

impl TaskError {
    /// Whether it was cancelled before it began, or stopped.
    ///
    /// ```
    /// # let (_promise, future) = executor_core::Promise::<u8>::new();
    /// # future.cancel();
    /// assert!(future.result().unwrap_err().is_cancelled());
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled(_))
    }

    /// Whether the task panicked.
    ///
    /// ```
    /// # let (_promise, future) = executor_core::Promise::<u8>::new();
    /// # future.cancel();
    /// assert!(!future.result().unwrap_err().is_panic());
    /// ```
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// Whether a limit passed.
    ///
    /// ```
    /// # let (_promise, future) = executor_core::Promise::<u8>::new();
    /// # future.cancel();
    /// assert!(!future.result().unwrap_err().is_timed_out());
    /// ```
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }

    /// The task, where there is one: a refused input of `map` never became a task.
    ///
    /// ```
    /// # let (_promise, future) = executor_core::Promise::<u8>::new();
    /// # future.cancel();
    /// assert!(future.result().unwrap_err().info().is_some());
    /// ```
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

    /// The error of a chunk that did not run as a whole, for one of its inputs.
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

/// Which limit passed, and how long it was.
///
/// ```
/// use executor_core::{ExecutorExt, SerialExecutor, TaskError, TaskOptions};
/// use std::time::Duration;
///
/// fn nap((): ()) {
///     while !executor_core::is_stop_requested() {
///         std::thread::yield_now();
///     }
/// }
/// let options = TaskOptions::new().run_timeout(Duration::from_millis(1));
/// let future = SerialExecutor::new().submit_with(options, nap, ())?;
/// match future.result() {
///     Err(TaskError::TimedOut(expired)) => assert_eq!(expired.limit(), Duration::from_millis(1)),
///     other => unreachable!("{other:?}"),
/// }
/// # Ok::<(), executor_core::SubmitError>(())
/// ```
#[derive(Debug)]
pub struct Expired(Box<Limit>);

#[derive(Clone, Debug)]
enum Limit {
    Queue {
        info: TaskInfo,
        limit: Duration,
    },
    Run {
        info: TaskInfo,
        limit: Duration,
    },
    /// In another process, which was ended.
    RunRemote {
        info: TaskInfo,
        limit: Duration,
        remains: Remains,
    },
    Map {
        limit: Duration,
        delivered: u64,
        outstanding: u64,
    },
}

impl Expired {
    pub(crate) fn in_queue(info: TaskInfo, limit: Duration) -> Self {
        Self(Box::new(Limit::Queue { info, limit }))
    }

    pub(crate) fn while_running(info: TaskInfo, limit: Duration) -> Self {
        Self(Box::new(Limit::Run { info, limit }))
    }

    pub(crate) fn with_its_worker(info: TaskInfo, limit: Duration, remains: Remains) -> Self {
        Self(Box::new(Limit::RunRemote { info, limit, remains }))
    }

    pub(crate) fn during_map(limit: Duration, delivered: u64, outstanding: u64) -> Self {
        Self(Box::new(Limit::Map { limit, delivered, outstanding }))
    }

    /// The limit that passed.
    ///
    /// ```
    /// # use executor_core::{ExecutorExt, MapOptions, SerialExecutor, TaskError};
    /// # use std::time::Duration;
    /// # let executor = SerialExecutor::new();
    /// let mut map = executor.map_with(MapOptions::new().timeout(Duration::ZERO), |x: u64| x, 1..);
    /// let Some(Err(TaskError::TimedOut(expired))) = map.find(Result::is_err) else { unreachable!() };
    /// assert_eq!(expired.limit(), Duration::ZERO);
    /// ```
    #[must_use]
    pub fn limit(&self) -> Duration {
        match *self.0 {
            Limit::Queue { limit, .. }
            | Limit::Run { limit, .. }
            | Limit::RunRemote { limit, .. }
            | Limit::Map { limit, .. } => limit,
        }
    }

    fn for_input(&self, input: u64) -> Self {
        let mut limit = self.0.clone();
        match &mut *limit {
            Limit::Queue { info, .. } | Limit::Run { info, .. } | Limit::RunRemote { info, .. } => {
                *info = info.for_input(input)
            }
            Limit::Map { .. } => {}
        }
        Self(limit)
    }

    fn info(&self) -> Option<&TaskInfo> {
        match &*self.0 {
            Limit::Queue { info, .. } | Limit::Run { info, .. } | Limit::RunRemote { info, .. } => Some(info),
            Limit::Map { .. } => None,
        }
    }
}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Limit::Queue { info, limit } => {
                write!(f, "{info}, waited in the queue longer than its limit of {limit:?} and was not begun")
            }
            Limit::Run { info, limit } => write!(
                f,
                "{info}, ran longer than its limit of {limit:?}; it was asked to stop (see is_stop_requested)"
            ),
            Limit::RunRemote { info, limit, remains } => {
                write!(f, "{info}, ran longer than its limit of {limit:?}; its worker was ended{remains}")
            }
            Limit::Map { limit, delivered, outstanding } => {
                let others = if *outstanding == 0 { ", the others not begun" } else { "" };
                write!(
                    f,
                    "map ran longer than its limit of {limit:?}: {delivered} results delivered, {outstanding} inputs \
                     outstanding{others}"
                )
            }
        }
    }
}

/// Why an executor takes no more tasks although nobody shut it down. Cheap to clone.
///
/// ```
/// use executor_core::BrokenExecutor;
///
/// let broken = BrokenExecutor::new("the initializer failed", "no database");
/// assert_eq!(broken.to_string(), "the executor is broken: the initializer failed: no database");
/// ```
#[derive(Clone)]
pub struct BrokenExecutor(Arc<Broken>);

struct Broken {
    event: String,
    cause: Box<dyn Error + Send + Sync>,
}

impl BrokenExecutor {
    /// For executors: what happened, and the error that caused it.
    ///
    /// ```
    /// # use executor_core::BrokenExecutor;
    /// let cause = std::io::Error::other("disk gone");
    /// let broken = BrokenExecutor::new("the initializer of worker 3 failed", cause);
    /// assert!(broken.cause().is::<std::io::Error>());
    /// ```
    pub fn new(event: impl Into<String>, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::new(Broken { event: event.into(), cause: cause.into() }))
    }

    /// The error that broke the executor, for instance the initializer's own.
    ///
    /// ```
    /// # use executor_core::BrokenExecutor;
    /// let broken = BrokenExecutor::new("the initializer failed", "no database");
    /// assert_eq!(broken.cause().to_string(), "no database");
    /// ```
    #[must_use]
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0.cause
    }
}

impl fmt::Display for BrokenExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the executor is broken: {}: {}", self.0.event, self.0.cause)
    }
}

impl fmt::Debug for BrokenExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokenExecutor").field("event", &self.0.event).field("cause", &self.0.cause).finish()
    }
}

impl Error for BrokenExecutor {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0.cause)
    }
}

/// A wait ended before what it waited for. The waited-for thing is untouched.
///
/// ```
/// use std::time::Duration;
///
/// let (_promise, future) = executor_core::Promise::<u8>::new();
/// let timed_out = future.exception_timeout(Duration::ZERO).unwrap_err();
/// assert_eq!(timed_out.to_string(), "not finished after 0ns");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not finished after {limit:?}")]
pub struct TimedOut {
    limit: Duration,
}

impl TimedOut {
    /// For executors: a wait of `limit` was not enough.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let timed_out = executor_core::TimedOut::after(Duration::from_secs(1));
    /// assert_eq!(timed_out.limit(), Duration::from_secs(1));
    /// ```
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self { limit }
    }

    /// How long the wait was.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let timed_out = executor_core::TimedOut::after(Duration::from_secs(1));
    /// assert_eq!(timed_out.limit().as_secs(), 1);
    /// ```
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }
}
