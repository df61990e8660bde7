//! [`ExecutorSpec`]: an executor as text, for command lines and configuration files.

use executor_core::{BuildError, Executor, SerialExecutor, WorkerCount};
use std::fmt;
use std::str::FromStr;
use thread_executor::ThreadPoolExecutor;

const EXPECTED: &str =
    "\"serial\", \"threads\", or \"threads:\" with a number, a share such as \"50%\", or \"physical\"";
const EXPECTED_HERE: &str = "\"serial\" or \"threads\": this version of concurrent-futures has no process pool yet";

/// Which executor to build: `serial`, `threads`, `threads:8`, `threads:50%`, `threads:physical`.
///
/// Without a count, the environment variable `CONCURRENT_FUTURES_WORKERS` or else the machine decides.
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
    /// [`ThreadPoolExecutor`].
    Threads {
        /// How many workers; `None` for the default.
        workers: Option<WorkerCount>,
    },
}

impl ExecutorSpec {
    /// The same kind of executor with this many workers; a serial one stays as it is.
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
        match self {
            Self::Serial => Self::Serial,
            Self::Threads { .. } => Self::Threads { workers: Some(count) },
        }
    }

    /// The executor.
    ///
    /// # Errors
    ///
    /// A value of `CONCURRENT_FUTURES_WORKERS` that makes no sense.
    ///
    /// ```
    /// use concurrent_futures::{ExecutorExt, ExecutorSpec};
    ///
    /// let executor = ExecutorSpec::Serial.build()?;
    /// assert_eq!(executor.submit(|n: u32| n + 1, 1)?.result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn build(self) -> Result<Box<dyn Executor>, BuildError> {
        Ok(match self {
            Self::Serial => Box::new(SerialExecutor::new()),
            Self::Threads { workers: None } => Box::new(ThreadPoolExecutor::new()?),
            Self::Threads { workers: Some(count) } => Box::new(ThreadPoolExecutor::builder().workers(count).build()?),
        })
    }
}

impl FromStr for ExecutorSpec {
    type Err = BuildError;

    fn from_str(text: &str) -> Result<Self, BuildError> {
        let (kind, count) = match text.split_once(':') {
            Some((kind, count)) => (kind, Some(count)),
            None => (text, None),
        };
        let invalid = |expected| BuildError::invalid("executor", text, expected);
        match (kind.trim(), count) {
            ("serial", None) => Ok(Self::Serial),
            ("threads", None) => Ok(Self::Threads { workers: None }),
            ("threads", Some(count)) => {
                let count = count.parse().map_err(|_| invalid(EXPECTED))?;
                Ok(Self::Threads { workers: Some(count) })
            }
            ("processes" | "processes?", _) => Err(invalid(EXPECTED_HERE)),
            _ => Err(invalid(EXPECTED)),
        }
    }
}

impl fmt::Display for ExecutorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial => f.write_str("serial"),
            Self::Threads { workers: None } => f.write_str("threads"),
            Self::Threads { workers: Some(count) } => write!(f, "threads:{count}"),
        }
    }
}
