//! Frames and descriptors from a process that was started: see `fuzzing.rs` of process-core.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| process_core::fuzzing::connection(bytes));
