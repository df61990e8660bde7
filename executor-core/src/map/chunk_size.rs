//! [`ChunkSize`]: how many inputs make a chunk: enough that hand-overs cost little, few enough that no worker waits for another.

use std::time::Duration;

/// How long a chunk should take. A hand-over costs some microseconds on a busy machine; a thousandth of them is noise.
const TARGET: Duration = Duration::from_millis(1);
/// The most inputs in a chunk, which bounds memory for the smallest tasks.
const MOST: usize = 8192;
/// How much a chunk may be larger than the last measured one: a few cheap inputs do not tell of the rest.
const GROWTH: usize = 8;

/// How much a chunk may be smaller than one that takes as long as it should, so that all workers have a share of the last
/// inputs.
const SHRINKAGE: usize = 8;

/// The chunk size of one `map`, fixed or learnt from the durations of its chunks.
pub(crate) enum ChunkSize {
    Fixed(usize),
    Adaptive { size: usize, most: usize },
}

impl ChunkSize {
    /// As given, or adaptive; never larger than `most`.
    pub(crate) fn new(given: Option<usize>, most: usize) -> Self {
        match given {
            Some(size) => Self::Fixed(size.min(most)),
            None => Self::Adaptive { size: 1, most: most.min(MOST) },
        }
    }

    pub(crate) fn get(&self) -> usize {
        match *self {
            Self::Fixed(size) | Self::Adaptive { size, .. } => size,
        }
    }

    /// Returns how many of `size` inputs a chunk is to have if there are no more than `left`: so many that each worker could
    /// have two such chunks, if they are worth a hand-over.
    pub(crate) fn bounded(&self, size: usize, left: Option<usize>, workers: usize) -> usize {
        match (self, left) {
            (Self::Adaptive { .. }, Some(left)) => {
                size.min(left.div_ceil(workers.saturating_mul(2)).max(size / SHRINKAGE).max(1))
            }
            _ => size,
        }
    }

    /// Learns from a chunk of `count` inputs.
    pub(crate) fn learn(&mut self, count: usize, elapsed: Duration) {
        let Self::Adaptive { size, most } = self else { return };
        if count == 0 {
            return;
        }
        *size = fitting(count, elapsed).clamp(1, count.saturating_mul(GROWTH).min(*most));
    }
}

/// Returns how many inputs fill a chunk if so many took so long.
pub(crate) fn fitting(count: usize, elapsed: Duration) -> usize {
    let per_input = (elapsed.as_nanos() / count.max(1) as u128).max(1);
    usize::try_from(TARGET.as_nanos() / per_input).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{ChunkSize, MOST};
    use std::time::Duration;

    #[test]
    fn grows_for_small_tasks_step_by_step() {
        let mut size = ChunkSize::new(None, usize::MAX);
        let mut sizes = vec![size.get()];
        for _ in 0..6 {
            let count = size.get();
            size.learn(count, Duration::from_nanos(10 * count as u64));
            sizes.push(size.get());
        }
        assert_eq!(sizes, [1, 8, 64, 512, 4096, MOST, MOST]);
    }

    #[test]
    fn the_last_inputs_are_shared() {
        let size = ChunkSize::new(None, usize::MAX);
        assert_eq!(size.bounded(8000, Some(1_000_000), 8), 8000);
        assert_eq!(size.bounded(8000, Some(32_000), 8), 2000);
        assert_eq!(size.bounded(8000, Some(1), 8), 1000, "what is left is little");
        assert_eq!(size.bounded(1, Some(0), 8), 1, "whether there are more is still to be asked");
        assert_eq!(size.bounded(8000, None, 8), 8000);
        assert_eq!(ChunkSize::new(Some(100), 400).bounded(100, Some(10), 8), 100);
    }

    #[test]
    fn is_one_for_long_tasks_and_keeps_to_the_buffer() {
        let mut size = ChunkSize::new(None, 4);
        size.learn(1, Duration::from_nanos(1));
        assert_eq!(size.get(), 4);
        size.learn(4, Duration::from_secs(1));
        assert_eq!(size.get(), 1);
        assert_eq!(ChunkSize::new(Some(100), 4).get(), 4);
    }
}
