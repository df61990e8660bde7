//! What the tasks do while they run.

use std::hint::black_box;
use std::panic;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use executor_core::{ExecutorExt, Future, TaskError};

use crate::ledger::{Argument, Callback, Entry, Value};
use crate::round::Shared;

/// What one task does before it returns.
pub(crate) enum Work {
    /// Returns at once.
    Nothing,
    /// Computes for a while.
    Spin(u32),
    /// Sleeps for some microseconds.
    Sleep(u64),
    /// Panics with a payload that is counted like a value.
    Panic,
    /// Runs until it is asked to stop, or for so many steps.
    UntilStopped(u32),
    /// Submits children to the same pool and waits for them; each level has one level less below it.
    Nested(Arc<Shared>, u8, u8),
}

/// The function of every submit.
pub(crate) fn task(argument: Argument) -> Value {
    argument.begin();
    match &argument.work {
        Work::Nothing => {}
        Work::Spin(steps) => (0..*steps).for_each(|step| drop(black_box(Box::new(step)))),
        Work::Sleep(micros) => thread::sleep(Duration::from_micros(*micros)),
        Work::Panic => panic::panic_any(Value::new(&argument.entry)),
        Work::UntilStopped(steps) => {
            for _ in 0..*steps {
                if executor_core::is_stop_requested() {
                    break;
                }
                thread::yield_now();
            }
        }
        Work::Nested(shared, children, depth) => nested(shared, *children, *depth),
    }
    Value::new(&argument.entry)
}

fn nested(shared: &Arc<Shared>, children: u8, depth: u8) {
    let mut waiting = Vec::new();
    for child in 0..children {
        let entry = shared.entry("nested child");
        let work = match depth {
            0 if child % 3 == 0 => Work::Panic,
            0 => Work::Nothing,
            _ => Work::Nested(Arc::clone(shared), children, depth - 1),
        };
        match shared.pool.submit(task, Argument::new(&entry, work)) {
            Ok(future) => waiting.push((entry, future)),
            Err(_) => entry.refused(),
        }
    }
    for (entry, future) in waiting {
        finish(&entry, future.result());
    }
}

/// Enters an outcome into the books and takes it apart.
pub(crate) fn finish(entry: &Entry, outcome: Result<Value, TaskError>) {
    match outcome {
        Ok(value) => entry.note_value(&value),
        Err(error) => {
            entry.note_error(&error);
            if let TaskError::Panicked(panic) = error {
                let payload = panic.into_payload();
                entry.note_value(payload.downcast_ref().expect("the payload is the task's own"));
            }
        }
    }
}

/// A future and the books of its task; `wait` and `as_completed` take such pairs.
pub(crate) type Held = (Arc<Entry>, Future<Value>);

/// A panic that a callback or an input iterator starts; it belongs to no task, so it is not counted.
pub(crate) struct StrayPanic;

/// What a callback does besides counting.
pub(crate) enum Aftermath {
    Nothing,
    /// The executor is to catch it: it must not reach whoever completes the future.
    Panics,
    /// Submits to the pool whose task has just ended, from whichever thread ended it.
    Submits(Arc<Shared>),
}

/// Adds a callback that counts itself and then does something of its own.
pub(crate) fn call_back((entry, future): &Held, aftermath: Aftermath) {
    let callback = Callback::new(entry);
    future.add_done_callback(move |outcome| {
        callback.call(outcome);
        match aftermath {
            Aftermath::Nothing => {}
            Aftermath::Panics => panic::panic_any(StrayPanic),
            Aftermath::Submits(shared) => {
                let entry = shared.entry("submitted by a callback");
                if shared.pool.submit(task, Argument::new(&entry, Work::Nothing)).is_err() {
                    entry.refused();
                }
            }
        }
    });
}
