//! The atomics of [`waking`](crate::waking), in a place of their own so that a model checker can replace them.

pub use std::sync::atomic::{AtomicU32, Ordering, fence};

/// Stores what another process is to see, whole, with all that was written before, and fences it from what is read next.
#[inline]
pub fn store_and_fence(word: &AtomicU32, value: u32) {
    // ORDERING: SeqCst: Release, with the Acquire loads of the word in the other process, and a fence, with those of `waking`.
    // A swap is both, and cheaper than a store plus a fence.
    word.swap(value, Ordering::SeqCst);
}
