//! [`ExecutorSpec`]: an executor as text, for command lines and configuration files.

use crate::any_executor::{AnyExecutor, Kind};
use executor_core::{BuildError, Executor, SerialExecutor, WorkerCount};
use std::fmt;
use std::str::FromStr;

const EXPECTED: &str = "\"serial\", \"threads\" or \"processes\"; the latter two may name their workers, as in \
                        \"threads:8\", \"processes:50%\" or \"threads:physical\", and \"processes?\" falls back to threads";

/// Which executor to build: `serial`, `threads`, `processes`, and the latter two with a number of workers, such as
/// `threads:8`, `processes:50%` or `threads:physical`.
///
/// Without a count, the environment variable `CONCURRENT_FUTURES_WORKERS` or else the machine decides. A question mark
/// behind it, `processes?` or `processes:4?`, means: threads, as many of them, where worker processes cannot be had.
///
/// ```
/// use concurrent_futures::ExecutorSpec;
///
/// let executor = "threads:8".parse::<ExecutorSpec>()?.build()?;
/// assert_eq!(executor.workers(), 8);
/// # use concurrent_futures::Executor;
/// # Ok::<(), concurrent_futures::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecutorSpec {
    /// [`SerialExecutor`].
    Serial,
    /// `ThreadPoolExecutor`.
    Threads {
        /// How many workers; `None` for the default.
        workers: Option<WorkerCount>,
    },
    /// `ProcessPoolExecutor`. Linux; building it elsewhere is an error.
    Processes {
        /// How many workers; `None` for the default.
        workers: Option<WorkerCount>,
    },
    /// `ProcessPoolExecutor` where it works, else `ThreadPoolExecutor`.
    ProcessesOrThreads {
        /// How many workers; `None` for the default.
        workers: Option<WorkerCount>,
    },
}

impl ExecutorSpec {
    /// Returns the same kind of executor with this many workers; a serial one stays as it is.
    ///
    /// ```
    /// use concurrent_futures::{ExecutorSpec, WorkerCount};
    ///
    /// let spec = "threads".parse::<ExecutorSpec>()?.with_workers(WorkerCount::Exactly(3));
    /// assert_eq!(spec.to_string(), "threads:3");
    /// # Ok::<(), concurrent_futures::BuildError>(())
    /// ```
    #[must_use]
    pub fn with_workers(self, count: WorkerCount) -> Self {
        let workers = Some(count);
        match self {
            Self::Serial => Self::Serial,
            Self::Threads { .. } => Self::Threads { workers },
            Self::Processes { .. } => Self::Processes { workers },
            Self::ProcessesOrThreads { .. } => Self::ProcessesOrThreads { workers },
        }
    }

    /// Builds the executor. Where `processes?` falls back to threads, it does so silently; [`build_any`](Self::build_any)
    /// tells the reason.
    ///
    /// # Errors
    ///
    /// A count, or a value of `CONCURRENT_FUTURES_WORKERS`, that makes no sense; `processes` where they cannot be had.
    pub fn build(self) -> Result<Box<dyn Executor>, BuildError> {
        Ok(self.build_any()?.into_boxed())
    }

    /// Builds the executor as [`build`](Self::build) does, as a type that tells whether and why it fell back to threads, and
    /// that ends worker processes on demand.
    ///
    /// To find out whether processes work, `processes?` starts a first worker and runs an empty task on it.
    ///
    /// # Errors
    ///
    /// As for `build`. A count that is invalid for processes is invalid for threads, and no reason to fall back.
    pub fn build_any(self) -> Result<AnyExecutor, BuildError> {
        Ok(match self {
            Self::Serial => AnyExecutor::new(Kind::Serial(SerialExecutor::new())),
            Self::Threads { workers } => AnyExecutor::new(threads::build(workers)?),
            Self::Processes { workers } => AnyExecutor::new(processes::build(workers)?),
            Self::ProcessesOrThreads { workers } => match processes::build_and_try(workers) {
                Ok(processes) => AnyExecutor::new(processes),
                Err(reason @ BuildError::Unavailable { .. }) => AnyExecutor::instead(threads::build(workers)?, reason),
                Err(error) => return Err(error),
            },
        })
    }
}

#[cfg(feature = "threads")]
mod threads {
    //! Threads where they were built in.

    use crate::any_executor::Kind;
    use executor_core::{BuildError, WorkerCount};
    use thread_executor::ThreadPoolExecutor;

    pub(super) fn build(workers: Option<WorkerCount>) -> Result<Kind, BuildError> {
        Ok(Kind::Threads(match workers {
            Some(count) => ThreadPoolExecutor::builder().workers(count).build()?,
            None => ThreadPoolExecutor::new()?,
        }))
    }
}

#[cfg(not(feature = "threads"))]
mod threads {
    //! There are none in this build.

    use crate::any_executor::Kind;
    use executor_core::{BuildError, WorkerCount};

    pub(super) fn build(_: Option<WorkerCount>) -> Result<Kind, BuildError> {
        let reason = "this program was built without the feature \"threads\" of concurrent-futures; enable it";
        Err(BuildError::unavailable("a pool of threads", reason))
    }
}

#[cfg(all(target_os = "linux", feature = "processes"))]
mod processes {
    //! Worker processes where there are any.

    use crate::any_executor::Kind;
    use executor_core::{BuildError, ExecutorExt, SubmitError, TaskError, WorkerCount};
    use process_executor::ProcessPoolExecutor;

    pub(super) fn build(workers: Option<WorkerCount>) -> Result<Kind, BuildError> {
        pool(workers).map(Kind::Processes)
    }

    /// Builds a pool and runs one task: a pool is built before it has a worker, so only a task shows whether it gets one.
    pub(super) fn build_and_try(workers: Option<WorkerCount>) -> Result<Kind, BuildError> {
        let pool = pool(workers)?;
        let tried = match pool.submit(|()| (), ()) {
            Ok(future) => future.result().map_err(|error| match error {
                TaskError::Broken(_, broken) => broken.to_string(),
                error => error.to_string(),
            }),
            Err(SubmitError::Broken(broken)) => Err(broken.to_string()),
            Err(error) => Err(error.to_string()),
        };
        tried.map_err(|reason| BuildError::unavailable("a pool of processes", reason))?;
        Ok(Kind::Processes(pool))
    }

    fn pool(workers: Option<WorkerCount>) -> Result<ProcessPoolExecutor, BuildError> {
        match workers {
            Some(count) => ProcessPoolExecutor::with_workers(count),
            None => ProcessPoolExecutor::new(),
        }
    }
}

#[cfg(not(all(target_os = "linux", feature = "processes")))]
mod processes {
    //! There are none on this system, or none in this build.

    use crate::any_executor::Kind;
    use executor_core::{BuildError, WorkerCount};

    const REASON: &str = if cfg!(target_os = "linux") {
        "this program was built without the feature \"processes\" of concurrent-futures; enable it, or use \"threads\""
    } else {
        "this needs Linux; use \"threads\" or \"processes?\" here"
    };

    pub(super) fn build(_: Option<WorkerCount>) -> Result<Kind, BuildError> {
        Err(BuildError::unavailable("a pool of processes", REASON))
    }

    pub(super) fn build_and_try(workers: Option<WorkerCount>) -> Result<Kind, BuildError> {
        build(workers)
    }
}

impl FromStr for ExecutorSpec {
    type Err = BuildError;

    fn from_str(text: &str) -> Result<Self, BuildError> {
        let invalid = || BuildError::invalid("executor", text, EXPECTED);
        let (wanted, may_fall_back) = match text.trim_end().strip_suffix('?') {
            Some(wanted) => (wanted, true),
            None => (text, false),
        };
        let (kind, workers) = match wanted.split_once(':') {
            Some((kind, count)) => (kind, Some(count.parse().map_err(|_| invalid())?)),
            None => (wanted, None),
        };
        match (kind.trim(), may_fall_back) {
            ("serial", false) if workers.is_none() => Ok(Self::Serial),
            ("threads", false) => Ok(Self::Threads { workers }),
            ("processes", false) => Ok(Self::Processes { workers }),
            ("processes", true) => Ok(Self::ProcessesOrThreads { workers }),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for ExecutorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, workers, mark) = match self {
            Self::Serial => ("serial", &None, ""),
            Self::Threads { workers } => ("threads", workers, ""),
            Self::Processes { workers } => ("processes", workers, ""),
            Self::ProcessesOrThreads { workers } => ("processes", workers, "?"),
        };
        f.write_str(kind)?;
        if let Some(count) = workers {
            write!(f, ":{count}")?;
        }
        f.write_str(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::ExecutorSpec;
    use executor_core::WorkerCount;

    #[test]
    fn texts_are_read_as_they_are_written() {
        for text in [
            "serial",
            "threads",
            "threads:8",
            "threads:50%",
            "threads:physical",
            "processes",
            "processes:4",
            "processes:50%",
            "processes:physical",
            "processes?",
            "processes:4?",
            "processes:50%?",
        ] {
            assert_eq!(text.parse::<ExecutorSpec>().map(|spec| spec.to_string()).ok().as_deref(), Some(text));
        }
    }

    #[test]
    fn other_texts_are_refused_with_what_there_is() {
        for text in [
            "",
            "?",
            "teams",
            "serial:1",
            "serial?",
            "threads?",
            "threads:4?",
            "threads:",
            "threads:0",
            "processes:",
            "processes:0",
            "processes:none?",
            "processes?:4",
            "processes??",
            "processes:4:4",
        ] {
            let error = text.parse::<ExecutorSpec>().expect_err(text).to_string();
            assert!(error.starts_with(&format!("executor: {text:?} is not valid")), "{error}");
            assert!(error.contains("\"processes?\""), "{error}");
        }
    }

    #[test]
    fn the_count_is_replaced_and_the_question_mark_stays() {
        let spec = |text: &str| text.parse::<ExecutorSpec>().map(|spec| spec.with_workers(WorkerCount::Exactly(3)));
        assert_eq!(spec("processes:8?").ok().map(|spec| spec.to_string()).as_deref(), Some("processes:3?"));
        assert_eq!(spec("serial").ok(), Some(ExecutorSpec::Serial));
    }

    #[test]
    fn what_makes_no_sense_is_no_reason_to_fall_back() {
        let spec = ExecutorSpec::ProcessesOrThreads { workers: Some(WorkerCount::Exactly(0)) };
        assert!(spec.build().is_err_and(|error| error.to_string().contains("workers")));
    }
}
