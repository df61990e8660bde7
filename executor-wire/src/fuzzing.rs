//! What is done with bytes that mean ill: by the fuzzer `codec` in `fuzz/` at the repository's root, and by the tests, which
//! replay what it has found.

mod codec;
pub mod memory;
pub mod replay;
pub mod values;

pub use codec::codec;

#[cfg(test)]
mod tests;
