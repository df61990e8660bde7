//! Why a worker is being ended.

use std::time::Duration;

/// Why a worker is being ended.
pub(crate) enum Ending {
    /// Its task, or the item after that many, ran longer than this.
    TimedOut(Duration, u32),
    /// It did not begin its next task, which has a limit; another worker does.
    Unresponsive,
    /// Its task's holder stopped it.
    Stopped,
    /// It used more memory than this many bytes.
    Memory(u64),
    /// The pool's owner ended all workers.
    Ordered,
    /// It overwrote the memory it shares with its parent.
    Corrupted,
    /// It was not ready in time.
    NotReady(Duration),
    /// It could not begin, as it has said itself.
    Failed(String),
    /// Nobody needs it.
    Unwanted,
}
