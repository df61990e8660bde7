//! The books of one round: what was handed out, how often it ran, and how often each piece was dropped.
//!
//! All counters are relaxed: they are read when every thread that writes them has been joined. A stronger ordering
//! would synchronize the threads of the pool with one another and hide from ThreadSanitizer the races it looks for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use executor_core::TaskError;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::tasks::Work;

/// What happened to one task.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// Which operation made the task.
    origin: &'static str,
    runs: AtomicU32,
    arguments_dropped: AtomicU32,
    values_made: AtomicU32,
    values_dropped: AtomicU32,
    callbacks_added: AtomicU32,
    callbacks_called: AtomicU32,
    callbacks_dropped: AtomicU32,
    /// The executor would not take the task, or said it never began.
    must_not_run: AtomicBool,
    /// The future gave a value or a panic.
    must_run: AtomicBool,
    /// Somebody asked for an end before the task's own: only then may an accepted task of a drained pool not run.
    may_not_run: AtomicBool,
    /// A limit was set: the thread that watches the limits is not the pool's, and may end after it.
    limited: AtomicBool,
}

impl Entry {
    pub(crate) fn new(origin: &'static str) -> Arc<Self> {
        Arc::new(Self { origin, ..Self::default() })
    }

    /// The executor refused the task.
    pub(crate) fn refused(&self) {
        self.must_not_run.store(true, Relaxed);
    }

    /// A limit was asked for.
    pub(crate) fn limited(&self) {
        self.limited.store(true, Relaxed);
        self.may_be_skipped();
    }

    /// Whether a limit was asked for.
    pub(crate) fn is_limited(&self) -> bool {
        self.limited.load(Relaxed)
    }

    /// A cancel or a limit was asked for.
    pub(crate) fn may_be_skipped(&self) {
        self.may_not_run.store(true, Relaxed);
    }

    /// `cancel` said that it came in time, or the map that the whole chunk did not run.
    pub(crate) fn cancelled(&self) {
        self.must_not_run.store(true, Relaxed);
    }

    /// Notes what the future said; that a limit passed says nothing about whether the task ran.
    pub(crate) fn note_error(&self, error: &TaskError) {
        match error {
            TaskError::Cancelled(_) | TaskError::Broken(..) | TaskError::Refused(_) => {
                self.must_not_run.store(true, Relaxed);
            }
            TaskError::Panicked(_) => self.must_run.store(true, Relaxed),
            TaskError::TimedOut(_) => {}
            other => fail(self, &format!("an outcome that no task of this program has: {other}")),
        }
    }

    /// Notes that the future gave this value, which must be the task's own.
    pub(crate) fn note_value(&self, value: &Value) {
        if !std::ptr::eq(&*value.entry, self) {
            fail(self, "the future gave the value of another task");
        }
        self.must_run.store(true, Relaxed);
    }

    /// Compares the books; `drained` says that nobody but a task's own submitter may have kept it from running.
    pub(crate) fn settle(this: &mut Arc<Self>, drained: bool) -> Settled {
        let entry = Self::alone(this);
        let settled = Settled { runs: entry.runs.load(Relaxed), callbacks: entry.callbacks_called.load(Relaxed) };
        let (made, added) = (entry.values_made.load(Relaxed), entry.callbacks_added.load(Relaxed));
        let refused = entry.must_not_run.load(Relaxed);
        expect(entry, settled.runs <= 1, "the task ran more than once");
        expect(entry, entry.arguments_dropped.load(Relaxed) == 1, "the arguments were not dropped exactly once");
        expect(entry, made == settled.runs, "a run must make one value or one panic payload");
        expect(entry, entry.values_dropped.load(Relaxed) == made, "values made and values dropped differ");
        expect(entry, settled.callbacks == added, "callbacks added and callbacks called differ");
        expect(entry, entry.callbacks_dropped.load(Relaxed) == added, "callbacks added and callbacks dropped differ");
        expect(entry, settled.runs == 0 || !refused, "the task ran although it was refused or cancelled");
        expect(entry, settled.runs == 1 || !entry.must_run.load(Relaxed), "an outcome without a run");
        let excused = refused || !drained || entry.may_not_run.load(Relaxed);
        expect(entry, settled.runs == 1 || excused, "the pool was drained and yet the task did not run");
        settled
    }

    /// The books when nobody else refers to them, which is to be so at once for all but tasks with limits.
    fn alone(this: &mut Arc<Self>) -> &Self {
        let begin = Instant::now();
        while Arc::get_mut(this).is_none() {
            let patient = this.is_limited() && begin.elapsed() < Duration::from_secs(10);
            expect(this, patient, "something that refers to the task is still alive");
            thread::yield_now();
        }
        this
    }
}

/// What [`Entry::settle`] adds to the totals.
pub(crate) struct Settled {
    pub(crate) runs: u32,
    pub(crate) callbacks: u32,
}

fn expect(entry: &Entry, holds: bool, text: &str) {
    if !holds {
        fail(entry, text);
    }
}

/// A broken invariant; the panic takes the round's seed along from whoever reports it.
fn fail(entry: &Entry, text: &str) -> ! {
    panic!("{text}, of {}: {entry:?}", entry.origin)
}

/// A task's argument: says what to do, and counts its own end.
pub(crate) struct Argument {
    pub(crate) entry: Arc<Entry>,
    pub(crate) work: Work,
}

impl Argument {
    pub(crate) fn new(entry: &Arc<Entry>, work: Work) -> Self {
        Self { entry: Arc::clone(entry), work }
    }

    /// Notes that the task began.
    pub(crate) fn begin(&self) {
        self.entry.runs.fetch_add(1, Relaxed);
    }
}

impl Drop for Argument {
    fn drop(&mut self) {
        self.entry.arguments_dropped.fetch_add(1, Relaxed);
    }
}

/// A task's result or its panic's payload: counts its making and its end.
pub(crate) struct Value {
    pub(crate) entry: Arc<Entry>,
}

impl Value {
    pub(crate) fn new(entry: &Arc<Entry>) -> Self {
        entry.values_made.fetch_add(1, Relaxed);
        Self { entry: Arc::clone(entry) }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.entry.values_dropped.fetch_add(1, Relaxed);
    }
}

/// What a callback captures: counts its making, its calls and its end.
pub(crate) struct Callback {
    entry: Arc<Entry>,
}

impl Callback {
    pub(crate) fn new(entry: &Arc<Entry>) -> Self {
        entry.callbacks_added.fetch_add(1, Relaxed);
        Self { entry: Arc::clone(entry) }
    }

    pub(crate) fn call(&self, outcome: &Result<Value, TaskError>) {
        self.entry.callbacks_called.fetch_add(1, Relaxed);
        match outcome {
            Ok(value) => self.entry.note_value(value),
            Err(error) => self.entry.note_error(error),
        }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        self.entry.callbacks_dropped.fetch_add(1, Relaxed);
    }
}

/// Tasks of a thread pool never leave their process: taking one apart would be a bug of the pool.
macro_rules! stays_in_the_process {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(S::Error::custom("a thread pool must not serialize"))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Err(D::Error::custom("a thread pool must not deserialize"))
            }
        }
    )*};
}

stays_in_the_process!(Argument, Value);
