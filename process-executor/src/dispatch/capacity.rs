//! How many tasks may wait, and which async submitters wait for that.

use std::task::Waker;

/// The bound on the tasks that have not begun.
#[derive(Debug, Default)]
pub(crate) struct Capacity {
    /// How many there may be; without a limit if there is none.
    pub(crate) limit: Option<usize>,
    pub(crate) used: usize,
    pub(crate) wakers: Vec<Waker>,
}

impl Capacity {
    /// Returns whether another task may wait.
    pub(crate) fn is_free(&self) -> bool {
        self.limit.is_none_or(|limit| self.used < limit)
    }

    /// Frees the capacity of that many tasks.
    pub(crate) fn release(&mut self, tasks: usize) {
        self.used = self.used.saturating_sub(tasks);
    }
}
