//! What a task is told to do.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What one task does before it returns.
#[derive(Serialize, Deserialize)]
pub(crate) enum Work {
    /// Returns at once.
    Nothing,
    /// Computes for a while.
    Spin(u32),
    /// Sleeps for some microseconds.
    Sleep(u64),
    /// Panics, in this process with a payload that is counted like a value.
    Panic,
    /// Runs until it is asked to stop, or for so many steps.
    UntilStopped(u32),
    /// Submits children and waits for them: to the same pool, where that is in this process, and each level has one level
    /// less below it; or to a pool of processes of its own.
    Nested {
        #[serde(skip)]
        family: Option<Arc<dyn Family>>,
        children: u8,
        depth: u8,
    },
    /// Goes on until its process is ended.
    ForEver,
    /// Ends its process.
    Exit(i32),
    Abort,
    Kill,
    /// Starts a process that goes on for longer than the round, and leaves it behind.
    LeaveChild,
}

impl Work {
    /// Returns whether its process does not survive it.
    pub(crate) fn is_deadly(&self) -> bool {
        matches!(self, Self::Exit(_) | Self::Abort | Self::Kill)
    }
}

/// Where a task submits its children.
pub(crate) trait Family: Send + Sync {
    /// Submits so many children, each with so many levels below it, and waits for them.
    fn submit_children(self: Arc<Self>, children: u8, depth: u8);
}

/// What a task in another process panics with.
pub(crate) fn panic_text(number: u64) -> String {
    format!("{EXPECTED} {number}")
}

/// The beginning of it.
pub(crate) const EXPECTED: &str = "as it was told, panics task";
