//! How many inputs make a chunk: enough that hand-overs cost little, few enough that no worker waits for another.

use std::time::Duration;

/// How long a chunk should take. A hand-over costs some microseconds on a busy machine; a thousandth of them is noise.
const TARGET: Duration = Duration::from_millis(1);
/// The most inputs in a chunk, which bounds memory for the smallest tasks.
const MOST: usize = 8192;
/// How much a chunk may be larger than the last measured one: a few cheap inputs do not tell of the rest.
const GROWTH: usize = 8;

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

    /// Learns from a chunk of `count` inputs.
    pub(crate) fn learn(&mut self, count: usize, elapsed: Duration) {
        let Self::Adaptive { size, most } = self else { return };
        if count == 0 {
            return;
        }
        let per_input = (elapsed.as_nanos() / count as u128).max(1);
        let fitting = usize::try_from(TARGET.as_nanos() / per_input).unwrap_or(usize::MAX);
        *size = fitting.clamp(1, count.saturating_mul(GROWTH).min(*most));
    }
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
    fn is_one_for_long_tasks_and_keeps_to_the_buffer() {
        let mut size = ChunkSize::new(None, 4);
        size.learn(1, Duration::from_nanos(1));
        assert_eq!(size.get(), 4);
        size.learn(4, Duration::from_secs(1));
        assert_eq!(size.get(), 1);
        assert_eq!(ChunkSize::new(Some(100), 4).get(), 4);
    }
}
