//! The atomics of `waking.rs`, apart, so that a model checker can take their place.

pub(crate) use std::sync::atomic::{AtomicU32, Ordering, fence};

/// Stores what another process is to see, whole, with all that was written before, and fences it from what is read next.
pub(crate) fn store_and_fence(word: &AtomicU32, value: u32) {
    // ORDERING: SeqCst: Release for who reads the word, and a fence; a swap is both, and less than a store and a fence are.
    word.swap(value, Ordering::SeqCst);
}
