//! What the tasks do while they run.

use std::hint::black_box;
use std::panic;
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use executor_core::{ExecutorExt, TaskError};
use process_executor::ProcessPoolExecutor;
use rustix::process::Signal;

use crate::entry::Entry;
use crate::home::Home;
use crate::load::Load;
use crate::panics::StrayPanic;
use crate::remote;
use crate::shared::{Held, Shared};
use crate::values::{Argument, Callback, Value};
use crate::work::{Family, Work, panic_text};

/// The function of every submit.
pub(crate) fn task(mut argument: Argument) -> Value {
    argument.home.begin();
    match &argument.work {
        Work::Nothing => {}
        Work::Spin(steps) => (0..*steps).for_each(|step| drop(black_box(Box::new(step)))),
        Work::Sleep(micros) => thread::sleep(Duration::from_micros(*micros)),
        Work::Panic => match &argument.home {
            Home::Here(_) => panic::panic_any(Value::new(&argument.home, Load::NONE)),
            Home::Away(_) => panic::panic_any(panic_text(argument.home.number())),
        },
        Work::UntilStopped(steps) => {
            for _ in 0..*steps {
                if executor_core::is_stop_requested() {
                    break;
                }
                thread::yield_now();
            }
        }
        Work::Nested { family: Some(family), children, depth } => Arc::clone(family).submit_children(*children, *depth),
        Work::Nested { children, .. } => nested_pool(*children),
        Work::ForEver => loop {
            thread::park();
        },
        Work::Exit(code) => exit(*code),
        Work::Abort => process::abort(),
        Work::Kill => kill_self(),
        Work::LeaveChild => leave_child(),
    }
    let load = std::mem::replace(&mut argument.load, Load::NONE);
    let value = Value::new(&argument.home, load.answer(argument.home.number()));
    argument.home.end();
    value
}

#[expect(clippy::disallowed_methods, reason = "a task that exits is one of the things to be survived")]
fn exit(code: i32) -> ! {
    process::exit(code)
}

fn kill_self() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
    process::abort()
}

fn leave_child() {
    let child = process::Command::new("sleep").arg("1000").spawn();
    // It ends with the worker, if not with the round; nobody waits for it.
    drop(child.expect("there is a program `sleep`"));
}

impl Family for Shared {
    fn submit_children(self: Arc<Self>, children: u8, depth: u8) {
        let mut waiting = Vec::new();
        for child in 0..children {
            let entry = self.entry("nested child");
            let family: Arc<dyn Family> = Arc::<Self>::clone(&self);
            let work = match depth {
                0 if child % 3 == 0 => Work::Panic,
                0 => Work::Nothing,
                _ => Work::Nested { family: Some(family), children, depth: depth - 1 },
            };
            let argument = Argument::new(&entry, work, Load::NONE);
            match self.pools[0].submit(task, argument) {
                Ok(future) => waiting.push((entry, future)),
                Err(_) => entry.refused(),
            }
        }
        for (entry, future) in waiting {
            finish(&entry, future.result());
        }
    }
}

/// The same in a worker, which knows no other pool than one of its own.
fn nested_pool(children: u8) {
    let pool = ProcessPoolExecutor::builder().workers(1 + usize::from(children % 2)).build().expect("a nested pool");
    let squares: Result<Vec<u64>, TaskError> = pool.map(|number: u64| number * number, 0..children.into()).collect();
    let squares = squares.expect("a nested pool does its work");
    assert!(squares.into_iter().eq((0..u64::from(children)).map(|number| number * number)), "other results");
}

/// Enters an outcome into the books and takes it apart.
pub(crate) fn finish(entry: &Entry, outcome: Result<Value, TaskError>) {
    match outcome {
        Ok(value) => entry.note_value(value.entry()),
        Err(error) => {
            entry.note_error(&error);
            if let TaskError::Panicked(panic) = error
                && !remote::is_remote()
            {
                let payload = panic.into_payload();
                let value: &Value = payload.downcast_ref().expect("the payload is the task's own");
                entry.note_own(value.entry());
            }
        }
    }
}

/// What a callback does besides counting.
pub(crate) enum AfterEnd {
    Nothing,
    /// The executor is to catch it: it must not reach whoever completes the future.
    Panics,
    /// Submits to a pool of the round, from whichever thread ended the task.
    Submits(Arc<Shared>),
}

/// Adds a callback that counts itself and then does something of its own.
pub(crate) fn call_back((entry, future): &Held, after_end: AfterEnd) {
    let callback = Callback::new(entry);
    future.add_done_callback(move |outcome| {
        callback.call(outcome);
        match after_end {
            AfterEnd::Nothing => {}
            AfterEnd::Panics => panic::panic_any(StrayPanic),
            AfterEnd::Submits(shared) => {
                let entry = shared.entry("submitted by a callback");
                let argument = Argument::new(&entry, Work::Nothing, Load::NONE);
                if shared.pools[0].submit(task, argument).is_err() {
                    entry.refused();
                }
            }
        }
    });
}
