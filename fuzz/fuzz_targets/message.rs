//! Bytes, descriptors and parcels from a worker: see `fuzzing/message.rs` of process-executor.

#![no_main]

libfuzzer_sys::fuzz_target!(
    // ipc-channel panics where a channel is named that did not come. That is contained; the fuzzer's hook would end the
    // process.
    init: std::panic::set_hook(Box::new(|_| {})),
    |bytes: &[u8]| process_executor::fuzzing::message(bytes)
);
