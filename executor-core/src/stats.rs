//! What a pool is doing, in numbers.

/// A look at a pool's counters, read one after the other while the pool goes on: `queued` and `running` are differences of
/// readings that are a moment apart. Once the pool is quiet, all are exact. A chunk of
/// `map` counts as one task, and as one more for each part of it that was given to another worker.
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
    /// Tasks accepted and not begun.
    pub queued: usize,
    /// Tasks begun and not over.
    pub running: usize,
    /// Tasks that returned.
    pub completed: u64,
    /// Tasks that panicked, or whose queue limit passed; with processes also those whose worker died, whose run limit
    /// passed, or whose argument or result could not be carried.
    pub failed: u64,
    /// Tasks whose outcome is [`Cancelled`](crate::TaskError::Cancelled): cancelled before they began or, with processes, stopped while
    /// they ran. A stopped task on a thread returns, and counts as what it then is.
    pub cancelled: u64,
    /// Worker processes that died of themselves: killed by a signal, by a task that exited, by a limit. Those that were ended by
    /// [`stop`](crate::Future::stop) or by the end of the pool do not count.
    pub deaths: u64,
    /// Worker processes started in the place of one that was there before.
    pub restarts: u64,
    /// Bytes of arguments handed to worker processes.
    pub bytes_sent: u64,
    /// Bytes of results received from worker processes.
    pub bytes_received: u64,
}
