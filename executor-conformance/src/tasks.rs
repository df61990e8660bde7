//! What the cases run: plain functions with serde arguments, which any executor can carry anywhere.

use std::cell::Cell;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::gate::{Gate, Log};

/// Returns its argument.
pub(crate) fn echo<T>(value: T) -> T {
    value
}

pub(crate) fn double(number: u64) -> u64 {
    number * 2
}

/// Waits at a gate.
pub(crate) fn pass(gate: Gate) {
    gate.pass();
}

/// Waits at a gate and returns the number it was given.
pub(crate) fn pass_then((gate, number): (Gate, u64)) -> u64 {
    gate.pass();
    number
}

/// Waits at a gate, then panics.
pub(crate) fn pass_then_panic(gate: Gate) -> u64 {
    gate.pass();
    panic!("after the gate, on purpose")
}

/// Writes a line and returns.
pub(crate) fn note((log, line): (Log, String)) {
    log.write(&line);
}

/// Writes a line, then waits at a gate: the line shows that the task has begun.
pub(crate) fn note_then_pass((log, line, gate): (Log, String, Gate)) {
    log.write(&line);
    gate.pass();
}

/// Logs its beginning and its end, so that the lines tell how many ran at once.
pub(crate) fn bracket((log, gate): (Log, Gate)) {
    log.write("enter");
    gate.wait_open();
    log.write("leave");
}

/// Panics with a text that says "on purpose" or is empty: any other panic is printed.
pub(crate) fn panic_with(text: String) -> u64 {
    panic!("{text}")
}

/// Panics with something that is not text.
pub(crate) fn panic_with_number(number: u64) -> u64 {
    std::panic::panic_any(number)
}

/// Panics for odd numbers.
pub(crate) fn double_even(number: u64) -> u64 {
    assert!(number.is_multiple_of(2), "{number} is odd, on purpose");
    number * 2
}

/// Fails with a value of its own for odd numbers.
pub(crate) fn checked_double(number: u64) -> Result<u64, String> {
    if number.is_multiple_of(2) { Ok(number * 2) } else { Err(format!("{number} is odd")) }
}

/// Waits at a gate, then fails with a value of its own.
pub(crate) fn pass_then_err(gate: Gate) -> Result<u64, String> {
    gate.pass();
    Err("after the gate".to_owned())
}

/// Announces itself and runs until it is asked to stop. Returns whether it was.
pub(crate) fn until_stopped(gate: Gate) -> bool {
    gate.arrive();
    while !executor_core::is_stop_requested() {
        // The gate lets the task end if the case fails.
        if gate.is_open() {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

thread_local! {
    static INITIALIZED: Cell<u64> = const { Cell::new(0) };
}

/// An initializer that counts its runs on this worker.
pub(crate) fn count_initializer() -> Result<(), String> {
    INITIALIZED.set(INITIALIZED.get() + 1);
    Ok(())
}

/// An initializer that fails.
pub(crate) fn failing_initializer() -> Result<(), String> {
    Err("no licence for this machine".to_owned())
}

/// An initializer that panics.
pub(crate) fn panicking_initializer() -> Result<(), String> {
    panic!("no licence for this machine, on purpose")
}

/// Waits at a gate and returns how often this worker's initializer has run.
pub(crate) fn initializer_runs(gate: Gate) -> u64 {
    gate.pass();
    INITIALIZED.get()
}

/// An argument or result whose life the case watches. The probe stays where it was made: a copy in another process does not
/// count.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tracked {
    #[serde(skip)]
    #[expect(dead_code, reason = "how long it lives is all that is asked of it")]
    probe: Option<Arc<()>>,
    pub(crate) number: u64,
}

impl Tracked {
    /// Returns a number whose life can be watched through `probe`.
    pub(crate) fn new(probe: &Arc<()>, number: u64) -> Self {
        Self { probe: Some(Arc::clone(probe)), number }
    }
}

/// Returns how many tracked values still live besides the case's own probe.
pub(crate) fn alive(probe: &Arc<()>) -> usize {
    Arc::strong_count(probe) - 1
}

/// A value whose destructor panics: the thread that drops it must survive that.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a destructor that fails, on purpose");
    }
}
