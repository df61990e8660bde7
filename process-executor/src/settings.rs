//! What the builder has gathered, once it has been checked.

use executor_core::remote::Initializer;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How workers and parent talk.
///
/// ```
/// use process_executor::{ProcessPoolExecutor, TransportKind};
///
/// let pool = ProcessPoolExecutor::builder().workers(1).transport(TransportKind::SharedMemory).build()?;
/// # drop(pool);
/// # Ok::<(), executor_core::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportKind {
    /// Memory shared between the parent and each worker.
    #[default]
    SharedMemory,
}

/// Where a worker's standard output or standard error goes.
///
/// ```
/// use process_executor::{ProcessPoolExecutor, WorkerOutput};
///
/// let pool = ProcessPoolExecutor::builder().workers(1).stdout(WorkerOutput::Null).build()?;
/// # drop(pool);
/// # Ok::<(), executor_core::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerOutput {
    /// Where the parent's goes.
    #[default]
    Inherit,
    /// Nowhere.
    Null,
}

/// All settings of a pool.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) workers: usize,
    pub(crate) initializer: Option<Initializer>,
    pub(crate) most_tasks: u64,
    pub(crate) run_limit: Option<Duration>,
    pub(crate) queue_capacity: Option<usize>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) current_dir: Option<PathBuf>,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) stdout: WorkerOutput,
    pub(crate) stderr: WorkerOutput,
    pub(crate) nice: i32,
    pub(crate) soft_memory_limit: Option<u64>,
    pub(crate) hard_memory_limit: Option<u64>,
    pub(crate) stop_grace: Duration,
    pub(crate) start_timeout: Duration,
    pub(crate) worker_name_prefix: String,
}

impl Settings {
    pub(crate) fn worker_name(&self, index: usize) -> String {
        format!("{}_{index}", self.worker_name_prefix)
    }
}
