//! Bytes as replies of workers: see `fuzzing/reply.rs` of executor-core.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| executor_core::fuzzing::reply(bytes));
