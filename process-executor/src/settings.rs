//! The settings of a pool, checked.

use executor_core::remote::Initializer;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How inputs and results travel between the pool and its workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportKind {
    /// Memory shared between the parent and each worker.
    #[default]
    SharedMemory,
    /// Messages of the crate ipc-channel, with the feature of that name: arguments and results may contain its `IpcSender`, `IpcReceiver` and
    /// `IpcSharedMemory`. Slower than shared memory, and a worker is given a task only when it has none.
    ///
    /// - Arguments are encoded when their task is given to a worker, not when it is submitted; from then on it cannot be
    ///   cancelled.
    /// - Channels and memory go with the task: if its worker dies, [`retries`](executor_core::TaskOptions::retries) do not
    ///   help a task that has some.
    /// - The program's own channels are not watched: a thread that sends a large message to a task waits until the task has
    ///   received it, also if its worker dies meanwhile (ipc-channel has no limit for that).
    /// - The parent is not protected from its workers, as it is with shared memory: one that writes to its channel behind the back of
    ///   ipc-channel can make it wait for ever, abort it if it was built with debug assertions, or make it leak descriptors.
    /// - The inputs and results of `map` may contain some if each travels alone, by
    ///   [`chunk_size(1)`](executor_core::MapOptions::chunk_size).
    ///
    /// ```
    /// use executor_core::ExecutorExt;
    /// use ipc_channel::ipc::{IpcSender, channel};
    /// use process_executor::{ProcessPoolExecutor, TransportKind};
    ///
    /// fn count_down((from, steps): (u32, IpcSender<u32>)) {
    ///     for step in (0..from).rev() {
    ///         steps.send(step).unwrap();
    ///     }
    /// }
    ///
    /// let pool = ProcessPoolExecutor::builder().workers(1).transport(TransportKind::IpcChannel).build()?;
    /// let (sender, steps) = channel()?;
    /// let future = pool.submit(count_down, (3, sender))?;
    /// assert_eq!([steps.recv()?, steps.recv()?, steps.recv()?], [2, 1, 0]);
    /// future.result()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "ipc-channel")]
    IpcChannel,
}

impl TransportKind {
    /// Returns whether each worker has a relay: inputs are encoded when a worker can have them, and not when they are submitted,
    /// and a worker has one task at a time.
    pub(crate) fn is_relayed(self) -> bool {
        match self {
            Self::SharedMemory => false,
            #[cfg(feature = "ipc-channel")]
            Self::IpcChannel => true,
        }
    }
}

/// Where a worker's standard output or standard error goes.
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
    pub(crate) transport: TransportKind,
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
    /// So many starts that fail within this time break the pool for that time.
    pub(crate) restart_intensity: (usize, Duration),
}

impl Settings {
    pub(crate) fn worker_name(&self, index: usize) -> String {
        format!("{}_{index}", self.worker_name_prefix)
    }
}
