//! [`Stats`]: what a pool is doing, in numbers.

/// A snapshot of a pool's counters.
///
/// **A task is what the executor was handed**: one for each submit, and one for each chunk of `map`. A chunk is one task also
/// if it takes long and other workers take over parts of it. Each task that was accepted is counted once when it is over:
/// once the pool is quiet, `completed + failed + cancelled` is the number of tasks that it accepted.
///
/// `queued` and `running` say what the workers have to do now, so a part that another worker is to take over counts there like
/// a task. While the pool works they are differences of readings that are a moment apart; once it is quiet, both are 0.
///
/// ```
/// let stats = executor_core::Stats::default();
/// assert_eq!(stats.queued, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Workers alive, threads or processes.
    pub workers: usize,
    /// Workers without a task.
    pub idle: usize,
    /// Tasks accepted and not begun, and parts of chunks that wait for a worker.
    pub queued: usize,
    /// Tasks and parts of chunks that are begun and not over.
    pub running: usize,
    /// Tasks that returned. A chunk of `map` that ran counts here, whatever the outcomes of its inputs.
    pub completed: u64,
    /// Tasks that panicked, or whose queue limit passed; with processes also those whose worker died, whose run limit
    /// passed, or whose argument or result could not be carried.
    pub failed: u64,
    /// Tasks whose outcome is [`Cancelled`](crate::TaskError::Cancelled): cancelled before they began or, with processes, stopped while
    /// they ran. A stopped task on a thread returns, and counts as what it then is.
    pub cancelled: u64,
    /// Worker processes that died of themselves: killed by a signal, by a task that exited, by a limit. Those that were ended by
    /// [`stop`](crate::Future::stop) or by the end of the pool do not count, nor do those that
    /// ended before they were ready; the worker that is started in the place of one counts in `restarts`.
    pub deaths: u64,
    /// Worker processes started in the place of one that was there before, ready or not.
    pub restarts: u64,
    /// Bytes of arguments handed to worker processes.
    pub bytes_sent: u64,
    /// Bytes of results received from worker processes.
    pub bytes_received: u64,
}
