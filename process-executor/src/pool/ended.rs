//! [`EndedCounts`]: how many tasks have ended, and how.

use executor_core::Stats;
use executor_core::task::Ended;
use std::sync::atomic::{AtomicU64, Ordering};

/// Each task counts once, just before its future shows how it has ended.
#[derive(Debug, Default)]
pub(crate) struct EndedCounts {
    completed: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
}

impl EndedCounts {
    #[inline]
    pub(crate) fn note(&self, ended: Ended) {
        let count = match ended {
            Ended::Completed => &self.completed,
            Ended::Failed => &self.failed,
            Ended::Cancelled => &self.cancelled,
            // It counts with its chunk.
            Ended::Part => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_to(&self, stats: &mut Stats) {
        stats.completed += self.completed.load(Ordering::Relaxed);
        stats.failed += self.failed.load(Ordering::Relaxed);
        stats.cancelled += self.cancelled.load(Ordering::Relaxed);
    }
}
