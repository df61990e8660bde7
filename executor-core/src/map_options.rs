//! What a caller may ask of `map`.

use std::time::Duration;

/// Options of [`ExecutorExt::map_with`](crate::ExecutorExt::map_with).
///
/// ```
/// use executor_core::{ExecutorExt, MapOptions, SerialExecutor};
///
/// let options = MapOptions::new().chunk_size(16).buffer(64);
/// let sum: u32 = SerialExecutor::new().map_with(options, |n: u32| n, 0..100).map(Result::unwrap).sum();
/// assert_eq!(sum, 4950);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "options do nothing until they are given to map_with"]
pub struct MapOptions {
    pub(crate) chunk_size: Option<usize>,
    pub(crate) buffer: Option<usize>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) unordered: bool,
}

impl MapOptions {
    /// Adaptive chunks, a default buffer, no limit of time, input order: what plain `map` uses.
    ///
    /// ```
    /// let options = executor_core::MapOptions::new();
    /// # let _ = options;
    /// ```
    pub const fn new() -> Self {
        Self { chunk_size: None, buffer: None, timeout: None, unordered: false }
    }

    /// How many inputs travel as one task. By default this follows from how long they take: about a millisecond's
    /// worth.
    ///
    /// # Panics
    ///
    /// If `size` is 0.
    ///
    /// ```
    /// let options = executor_core::MapOptions::new().chunk_size(1);
    /// # let _ = options;
    /// ```
    pub const fn chunk_size(self, size: usize) -> Self {
        assert!(size > 0, "chunk_size must be at least 1");
        Self { chunk_size: Some(size), ..self }
    }

    /// How many inputs may be in flight: pulled from the input and not yet handed out as an outcome. By default a few
    /// chunks for each worker. A chunk is never larger than the buffer.
    ///
    /// # Panics
    ///
    /// If `inputs` is 0.
    ///
    /// ```
    /// let options = executor_core::MapOptions::new().buffer(100);
    /// # let _ = options;
    /// ```
    pub const fn buffer(self, inputs: usize) -> Self {
        assert!(inputs > 0, "buffer must be at least 1");
        Self { buffer: Some(inputs), ..self }
    }

    /// A limit on the whole iteration, counted from the call of `map_with`. When it passes, the next outcome is one
    /// [`TaskError::TimedOut`](crate::TaskError::TimedOut), the iteration ends, and what has not begun is cancelled.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let options = executor_core::MapOptions::new().timeout(Duration::from_secs(10));
    /// # let _ = options;
    /// ```
    pub const fn timeout(self, limit: Duration) -> Self {
        Self { timeout: Some(limit), ..self }
    }

    /// Outcomes in the order of completion instead of the inputs' order.
    ///
    /// ```
    /// let options = executor_core::MapOptions::new().unordered();
    /// # let _ = options;
    /// ```
    pub const fn unordered(self) -> Self {
        Self { unordered: true, ..self }
    }
}
