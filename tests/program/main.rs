//! What a whole program may do with its executors: fork, use them at its last moment. Each runs in a process of its own.

#![cfg(target_os = "linux")]

#[path = "../../thread-executor/tests/it/child.rs"]
mod child;
#[path = "../../thread-executor/tests/it/watchdog.rs"]
mod watchdog;

mod executors;
mod forks;
mod last_moments;
