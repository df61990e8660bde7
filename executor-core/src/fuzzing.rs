//! What is done with bytes that mean ill: by the fuzzers in `fuzz/` at the repository's root, and by the tests, which replay
//! what those have found.
//!
//! Each function takes any bytes, does with them what the parent does with a worker's, and panics if a promise is broken.

mod codec;
mod memory;
mod reply;
mod values;

pub use codec::codec;
pub use reply::reply;

/// The most memory that decoding so many bytes may take at one time. A `BTreeMap` is the greediest: its first entry, of two
/// bytes, takes a node for eleven. What does not grow with the bytes is what is said of them.
fn room_for(bytes: usize) -> usize {
    bytes * 1024 + 4096
}

#[cfg(test)]
mod tests;
