//! What a pool is doing, in numbers.

/// A snapshot of a pool's counters. Each number is right at some moment during the call; together they are a close
/// look, not a frozen one. Once the pool is quiet, they are exact.
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
