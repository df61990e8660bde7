//! What is done with bytes that mean ill: by the fuzzers in `fuzz/` at the repository's root, and by the tests, which replay
//! what those have found.
//!
//! Each function takes any bytes as a script: of what a worker writes into its socket and into the memory it shares, and of
//! what the parent does meanwhile. It panics if a promise is broken.

mod client;
mod message;
mod ring;
mod worker;

pub use message::message;
pub use ring::ring;

use process_core::fuzzing::{below, take};

#[cfg(test)]
mod tests;
