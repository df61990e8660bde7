//! Bytes as values of many types: see `fuzzing/codec.rs` of executor-core.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| executor_core::fuzzing::codec(bytes));
