//! Bytes as values of many types: see `fuzzing/codec.rs` of executor-wire.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| executor_wire::fuzzing::codec(bytes));
