//! How a worker process died, and which task it took along.

use crate::info::TaskInfo;
use std::error::Error;
use std::fmt;

/// The death of one worker process.
///
/// ```
/// let death = executor_core::Death::new(3, 4711, "was killed by signal 9 (SIGKILL)", "running");
/// assert_eq!(death.to_string(), "worker 3 (pid 4711) was killed by signal 9 (SIGKILL) while running");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    worker: usize,
    pid: u32,
    exit: String,
    phase: String,
}

impl Death {
    /// For executors: which worker, how it ended, and what it was doing.
    ///
    /// ```
    /// let death = executor_core::Death::new(0, 1, "exited with code 3", "running");
    /// # drop(death);
    /// ```
    pub fn new(worker: usize, pid: u32, exit: impl Into<String>, phase: impl Into<String>) -> Self {
        Self { worker, pid, exit: exit.into(), phase: phase.into() }
    }

    /// The worker's place in its pool, counted from 0.
    ///
    /// ```
    /// assert_eq!(executor_core::Death::new(2, 1, "exited with code 3", "running").worker(), 2);
    /// ```
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// The process it was. The number may belong to another process by now.
    ///
    /// ```
    /// assert_eq!(executor_core::Death::new(0, 17, "exited with code 3", "running").pid(), 17);
    /// ```
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, in words: the exit code or the signal, and why it was sent if the pool sent it.
    ///
    /// ```
    /// let death = executor_core::Death::new(0, 1, "exited with code 3", "running");
    /// assert_eq!(death.exit(), "exited with code 3");
    /// ```
    #[must_use]
    pub fn exit(&self) -> &str {
        &self.exit
    }

    /// What it was doing for the task: `decoding the argument`, `running`, `encoding the result`.
    ///
    /// ```
    /// assert_eq!(executor_core::Death::new(0, 1, "exited with code 3", "running").phase(), "running");
    /// ```
    #[must_use]
    pub fn phase(&self) -> &str {
        &self.phase
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worker, pid, exit, phase } = self;
        write!(f, "worker {worker} (pid {pid}) {exit} while {phase}")
    }
}

/// A task whose worker died while it ran it; or several workers, one for each try.
///
/// ```
/// fn explain(death: &executor_core::WorkerDeath) -> String {
///     format!("{}, after {} tries: {}", death.info(), death.deaths().len(), death.deaths()[0].exit())
/// }
/// # let _ = explain;
/// ```
pub struct WorkerDeath(Box<(TaskInfo, Vec<Death>)>);

impl WorkerDeath {
    pub(crate) fn new(info: TaskInfo, deaths: Vec<Death>) -> Self {
        Self(Box::new((info, deaths)))
    }

    /// The task.
    ///
    /// ```
    /// fn task_of(death: &executor_core::WorkerDeath) -> executor_core::TaskId {
    ///     death.info().id()
    /// }
    /// # let _ = task_of;
    /// ```
    #[must_use]
    pub fn info(&self) -> &TaskInfo {
        &self.0.0
    }

    /// Each death, oldest first: one, and one more for each retry.
    ///
    /// ```
    /// fn pids(death: &executor_core::WorkerDeath) -> Vec<u32> {
    ///     death.deaths().iter().map(executor_core::Death::pid).collect()
    /// }
    /// # let _ = pids;
    /// ```
    #[must_use]
    pub fn deaths(&self) -> &[Death] {
        &self.0.1
    }

    pub(crate) fn for_input(&self, input: u64) -> Self {
        Self::new(self.info().for_input(input), self.deaths().to_vec())
    }
}

impl fmt::Display for WorkerDeath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, was lost: ", self.info())?;
        for (number, death) in self.deaths().iter().enumerate() {
            let separator = if number == 0 { "" } else { "; then " };
            write!(f, "{separator}{death}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for WorkerDeath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerDeath").field("info", self.info()).field("deaths", &self.deaths()).finish()
    }
}

impl Error for WorkerDeath {}
