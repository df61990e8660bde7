//! [`Padded`]: a value on a cache line of its own.

use std::ops::Deref;

/// A value on cache lines of its own, so that threads which write it in a hurry hold up nobody who uses what lies beside it.
///
/// Aligned to two lines, since processors fetch them in pairs.
///
/// ```
/// use executor_core::queue::Padded;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// let counters = [Padded(AtomicU64::new(0)), Padded(AtomicU64::new(0))];
/// counters[0].fetch_add(1, Ordering::Relaxed);
/// assert_eq!(size_of_val(&counters), 2 * 128);
/// ```
#[derive(Debug)]
#[repr(align(128))]
pub struct Padded<T>(pub T);

impl<T> Deref for Padded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}
