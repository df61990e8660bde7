//! A pool, one of whose workers writes what it likes over the memory they share: see `fuzzing/ring.rs` of process-executor.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| process_executor::fuzzing::ring(bytes));
