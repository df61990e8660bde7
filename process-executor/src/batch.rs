//! Tasks that came back from workers, on their way to being finished.

use crate::entry::Entry;
use crate::lane::Collected;
use crate::link::Link;
use std::sync::Arc;

/// Bytes of scratch that a batch keeps.
const KEPT: usize = 1024 * 1024;

/// Tasks that came back, to be finished outside the lock.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) collected: Vec<(Option<Arc<Link>>, Collected)>,
    /// Recalled tasks, to be dropped outside the lock.
    pub(crate) husks: Vec<Entry>,
    /// Scratch of whoever fills it.
    pub(crate) lane_buffer: Vec<Collected>,
}

impl Batch {
    /// Empties it, keeping its memory for the next use if it is not much.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.collected.clear();
        self.husks.clear();
    }

    /// Takes over a task of another batch.
    pub(crate) fn adopt(&mut self, link: Option<Arc<Link>>, mut collected: Collected, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes.get(collected.bytes.clone()).unwrap_or_default());
        collected.bytes = start..self.bytes.len();
        self.collected.push((link, collected));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.collected.is_empty() && self.husks.is_empty()
    }
}
