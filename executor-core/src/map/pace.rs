//! [`Pace`]: when a running chunk of `map` gives away the inputs that it has not begun, and in parts of which size.

use crate::map::chunk_size;
use std::time::{Duration, Instant};

/// How long a chunk runs before it is shared with idle workers: twice what a chunk is to take, so that chunks which take about as
/// long as expected are left alone.
const LONG: Duration = Duration::from_millis(2);
/// The most inputs that begin between two looks at the clock, while other workers are idle. A look costs as much as a few of the
/// smallest inputs; but each of the next inputs may take long.
const MOST_BETWEEN_LOOKS: u32 = 7;
/// Inputs that take longer are worth a look at the clock each.
const WORTH_A_LOOK: Duration = Duration::from_micros(1);

/// Says between two inputs of a chunk whether the rest is to be given away. Reads the clock only while other workers are idle.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// When the chunk began, or last gave a part away.
    since: Instant,
    /// When the clock was last looked at.
    looked: Instant,
    /// Inputs between two looks, and how many of them are still to come.
    between: u32,
    left: u32,
}

impl Pace {
    /// Starts the pace of a chunk that begins now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { since: now, looked: now, between: 0, left: 0 }
    }

    /// Returns whether the rest of the chunk is to be shared: `wanted` says that other workers are idle, and the chunk has run for
    /// long.
    #[inline]
    pub fn is_due(&mut self, wanted: impl FnOnce() -> bool) -> bool {
        if self.left > 0 {
            self.left -= 1;
            return false;
        }
        wanted() && self.has_run_long()
    }

    #[cold]
    fn has_run_long(&mut self) -> bool {
        let now = Instant::now();
        if now.saturating_duration_since(self.since) >= LONG {
            *self = Self::new(now);
            return true;
        }
        let are_small = now.saturating_duration_since(self.looked) < WORTH_A_LOOK * (self.between + 1);
        self.between = if are_small { (2 * self.between + 1).min(MOST_BETWEEN_LOOKS) } else { 0 };
        self.left = self.between;
        self.looked = now;
        false
    }
}

/// Returns how many inputs each part of a rest has: as many as fill a chunk, but no fewer parts than there are workers for
/// them, of which one has the first part. `elapsed` is how long those took that are over.
pub(crate) fn part_size(rest: usize, over: usize, elapsed: Duration, idle: usize) -> usize {
    let fair = rest.div_ceil(idle.saturating_add(1));
    chunk_size::fitting(over, elapsed).clamp(1, fair.max(1))
}

#[cfg(test)]
mod tests {
    use super::{LONG, MOST_BETWEEN_LOOKS, Pace, part_size};
    use crate::deadline::deadline_after;
    use std::time::{Duration, Instant};

    #[test]
    fn young_chunks_are_left_alone_and_old_ones_only_if_wanted() {
        let Some(old) = Instant::now().checked_sub(LONG) else { return };
        assert!(!Pace::new(old).is_due(|| false));
        let mut pace = Pace::new(old);
        assert!(pace.is_due(|| true));
        assert!(!pace.is_due(|| true), "it has just given a part away");
        let Some(future) = deadline_after(Duration::from_secs(3600)) else { return };
        let mut young = Pace::new(future);
        let looks = (0..8000).filter(|_| {
            let mut looked = false;
            assert!(!young.is_due(|| {
                looked = true;
                true
            }));
            looked
        });
        assert!(looks.count() >= 8000 / (MOST_BETWEEN_LOOKS as usize + 1), "no input is far from a look");
    }

    #[test]
    fn parts_fill_a_chunk_or_all_workers() {
        let dear = Duration::from_millis(10);
        assert_eq!(part_size(1000, 1, dear, 7), 1);
        assert_eq!(part_size(1000, 4000, dear, 7), 125);
        assert_eq!(part_size(1000, 1000, dear, 7), 100);
        assert_eq!(part_size(1, 1, dear, 7), 1);
        assert_eq!(part_size(3, 1, Duration::ZERO, 1), 2);
    }
}
