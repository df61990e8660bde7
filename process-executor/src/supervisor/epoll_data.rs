//! What the supervisor's events are about, by the data of their entries in epoll: the index of a worker whose socket has something
//! to read, that index with [`END`] if its process has ended, or one of two other values.

/// A process of which nothing else is left has ended. The other value is `pool::events::CALL`.
pub(super) const UNREAPED: u64 = u64::MAX - 1;
/// Marks the end of a worker's process.
pub(super) const END: u64 = 1 << 32;
