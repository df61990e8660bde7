//! Tests of the thread pool through its public API: what it promises beyond the cases that every executor passes.
//!
//! Numbers such as T3 or I1 are those of `docs/contract.md`. Each test runs under a watchdog, waits for events and never for
//! time, and names its panics "on purpose" so that they do not clutter the output.

#![cfg(not(any(loom, shuttle)))]

mod child;
#[cfg(target_os = "linux")]
mod program;
mod support;
mod watchdog;

mod naming;
mod sizing;

mod growth;
mod keep_alive;
mod starting;

mod deep;
mod inside;

mod capacity;
mod limits;
mod panics;
mod panics_in_drop;
mod read_ahead;
mod stats;

mod drops;
mod endings;
mod scarce;
mod scope;
