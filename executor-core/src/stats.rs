//! What a pool is doing, in numbers.

/// A look at a pool's counters, read one after the other while the pool goes on: `queued` and `running` are differences of
/// readings that are a moment apart. Once the pool is quiet, all are exact.
///
/// ```
/// let stats = executor_core::Stats::default();
/// assert_eq!(stats.queued, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Worker threads alive.
    pub workers: usize,
    /// Workers without a task.
    pub idle: usize,
    /// Tasks accepted and not begun.
    pub queued: usize,
    /// Tasks begun and not over.
    pub running: usize,
    /// Tasks that returned.
    pub completed: u64,
    /// Tasks that panicked, or whose queue limit passed.
    pub failed: u64,
    /// Tasks cancelled before they began.
    pub cancelled: u64,
}
