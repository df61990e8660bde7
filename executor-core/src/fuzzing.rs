//! What is done with replies that mean ill: by the fuzzer `reply` in `fuzz/` at the repository's root, and by the tests, which
//! replay what it has found.

mod reply;

pub use reply::reply;

#[cfg(test)]
mod tests;
