//! What is done with replies that mean ill: by the fuzzer `reply` in `fuzz/` at the repository's root, and by the tests, which
//! replay what it has found.

// One allocator counts for all crates of a fuzzer, that of `executor_wire`; a test has that crate without its fuzzers.
#[cfg(fuzzing)]
use executor_wire::fuzzing::{memory, values};
#[cfg(not(fuzzing))]
#[path = "../../executor-wire/src/fuzzing/memory.rs"]
pub mod memory;
#[cfg(not(fuzzing))]
#[path = "../../executor-wire/src/fuzzing/values.rs"]
pub mod values;

mod reply;

pub use reply::reply;

#[cfg(test)]
mod tests;
