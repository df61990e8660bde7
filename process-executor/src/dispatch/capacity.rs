//! How many tasks may wait, and who waits for room.

use std::task::Waker;

/// The bound of the queue.
#[derive(Debug, Default)]
pub(crate) struct Capacity {
    pub(crate) capacity: Option<usize>,
    pub(crate) used: usize,
    pub(crate) wakers: Vec<Waker>,
}

impl Capacity {
    pub(crate) fn is_free(&self) -> bool {
        self.capacity.is_none_or(|capacity| self.used < capacity)
    }

    pub(crate) fn release(&mut self, places: usize) {
        self.used = self.used.saturating_sub(places);
    }
}
