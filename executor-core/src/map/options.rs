//! [`MapOptions`]: what a caller may ask of `map`.

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
    pub(crate) run_timeout: Option<Duration>,
    pub(crate) unordered: bool,
}

impl MapOptions {
    /// Returns the options of plain `map`: adaptive chunks, a default buffer, no limits of time, input order.
    pub const fn new() -> Self {
        Self { chunk_size: None, buffer: None, timeout: None, run_timeout: None, unordered: false }
    }

    /// Sets how many inputs travel as one task, at most. By default this follows from how long they take: about a millisecond's
    /// worth.
    ///
    /// A chunk that takes long is shared with idle workers, whether or not its size was given: the inputs that have not begun
    /// become tasks of their own. Outcomes and their order are the same.
    ///
    /// # Panics
    ///
    /// If `size` is 0.
    pub const fn chunk_size(self, size: usize) -> Self {
        assert!(size > 0, "chunk_size must be at least 1");
        Self { chunk_size: Some(size), ..self }
    }

    /// Sets how many inputs may be in flight: pulled from the input and not yet handed out as an outcome. By default a few
    /// chunks for each worker; while the outcome that comes next takes long, more, until the outcomes that wait for it count
    /// four mebibytes for each worker. A value counts its own size, but at least eight bytes, so that never more than about half
    /// a million of them wait for each worker. What a value holds on the heap counts as it was encoded in another process, and
    /// as 16 kibibytes on a thread, where nobody can know; so does each error. Give a buffer if yours are much larger. A chunk is
    /// never larger than the buffer.
    ///
    /// # Panics
    ///
    /// If `inputs` is 0.
    pub const fn buffer(self, inputs: usize) -> Self {
        assert!(inputs > 0, "buffer must be at least 1");
        Self { buffer: Some(inputs), ..self }
    }

    /// Limits the whole iteration, counted from the call of `map_with`, which then does not wait for room in a bounded queue:
    /// the iteration does, until the limit. When it passes, no more inputs are pulled. Chunks
    /// that are done are still delivered, as [`AsCompleted::timeout`](crate::AsCompleted::timeout) gives done futures; in input
    /// order, up to the first that is not done. Then comes one [`TaskError::TimedOut`](crate::TaskError::TimedOut) unless that was all, which counts
    /// every input that was pulled and not delivered; the iteration ends, and what has not begun is cancelled.
    pub const fn timeout(self, limit: Duration) -> Self {
        Self { timeout: Some(limit), ..self }
    }

    /// Limits how long the function may run for one input, counted from its start; the limit of
    /// [`TaskOptions::run_timeout`](crate::TaskOptions::run_timeout), for each input. When it passes, the outcome of that input
    /// is [`TaskError::TimedOut`](crate::TaskError::TimedOut), and the others are not concerned.
    ///
    /// In a pool of processes the worker is ended, the rest of the chunk runs elsewhere, and this limit takes the place of the
    /// pool's own. On threads the function goes on until it looks at [`is_stop_requested`](crate::is_stop_requested) or ends; so
    /// that no input waits behind it, each travels alone there, whatever the [`chunk_size`](Self::chunk_size).
    ///
    /// ```
    /// use executor_core::{ExecutorExt, MapOptions, SerialExecutor, is_stop_requested};
    /// use std::time::Duration;
    ///
    /// fn settle(endless: bool) {
    ///     while endless && !is_stop_requested() {
    ///         std::thread::yield_now();
    ///     }
    /// }
    /// let options = MapOptions::new().run_timeout(Duration::from_millis(100));
    /// let outcomes: Vec<_> = SerialExecutor::new().map_with(options, settle, [false, true, false]).collect();
    /// assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    /// assert!(outcomes[1].as_ref().unwrap_err().is_timed_out());
    /// ```
    pub const fn run_timeout(self, limit: Duration) -> Self {
        Self { run_timeout: Some(limit), ..self }
    }

    /// Delivers outcomes in the order of completion instead of the inputs' order.
    pub const fn unordered(self) -> Self {
        Self { unordered: true, ..self }
    }
}
