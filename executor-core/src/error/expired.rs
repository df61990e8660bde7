//! [`Expired`] and [`TimedOut`]: limits of time that have passed.

use crate::info::{Remains, TaskInfo};
use std::fmt;
use std::time::Duration;

/// A limit that has passed.
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
    /// The task ran in another process, which was ended.
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

    /// Returns the limit that passed.
    #[must_use]
    pub fn limit(&self) -> Duration {
        match *self.0 {
            Limit::Queue { limit, .. }
            | Limit::Run { limit, .. }
            | Limit::RunRemote { limit, .. }
            | Limit::Map { limit, .. } => limit,
        }
    }

    pub(super) fn for_input(&self, input: u64) -> Self {
        let mut limit = self.0.clone();
        match &mut *limit {
            Limit::Queue { info, .. } | Limit::Run { info, .. } | Limit::RunRemote { info, .. } => {
                *info = info.for_input(input)
            }
            Limit::Map { .. } => {}
        }
        Self(limit)
    }

    pub(super) fn info(&self) -> Option<&TaskInfo> {
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

/// A wait ended before its event came. What was waited for is untouched.
///
/// ```
/// use std::time::Duration;
///
/// let (_promise, future) = executor_core::Promise::<u8>::new();
/// let timed_out = future.exception_timeout(Duration::ZERO).unwrap_err();
/// assert_eq!(timed_out.to_string(), "not finished after 0ns");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedOut {
    limit: Duration,
}

impl TimedOut {
    /// Says that a wait of `limit` was not enough. For executors.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self { limit }
    }

    /// Returns how long the wait was.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not finished after {:?}", self.limit)
    }
}

impl std::error::Error for TimedOut {}
