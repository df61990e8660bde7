//! [`WorkerDeath`]: how worker processes died, and which task died with them.

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
    /// Describes a death, for executors: which worker, how it ended, and what it was doing.
    pub fn new(worker: usize, pid: u32, exit: impl Into<String>, phase: impl Into<String>) -> Self {
        Self { worker, pid, exit: exit.into(), phase: phase.into() }
    }

    /// Returns the worker's place in its pool, counted from 0.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Returns the number of its process, which may belong to another process by now.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns how it ended, in words: the exit code or the signal, and why it was sent if the pool sent it.
    #[must_use]
    pub fn exit(&self) -> &str {
        &self.exit
    }

    /// Returns what it was doing for the task: `decoding the argument`, `running`, `encoding the result`.
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

/// A task was lost with the worker that ran it; or with several, one for each try.
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

    /// Returns the task.
    #[must_use]
    pub fn info(&self) -> &TaskInfo {
        &self.0.0
    }

    /// Returns each death, oldest first: one, and one more for each retry.
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
