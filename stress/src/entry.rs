//! The books of one round: what was handed out, how often it ran, and how often each piece was dropped.
//!
//! All counters are relaxed: they are read when every thread that writes them has been joined. A stronger ordering
//! would synchronize the threads of the pool with one another and hide from ThreadSanitizer the races it looks for.
//!
//! Where a task runs in another process (`remote.rs`), what is dropped there is not counted: the books have its argument and
//! its value as far as they are in this process, and its runs as it has noted them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use executor_core::{TaskError, WorkerDeath};

use crate::remote;
use crate::work::panic_text;

/// What happened to one task.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// Which operation made the task.
    origin: &'static str,
    /// No other task of this process has it.
    number: u64,
    runs: AtomicU32,
    /// Runs that came to their end, as far as tasks in other processes have noted it.
    runs_ended: AtomicU32,
    /// How many deaths of its worker it survives.
    retries: AtomicU32,
    pub(crate) arguments_dropped: AtomicU32,
    pub(crate) values_made: AtomicU32,
    pub(crate) values_dropped: AtomicU32,
    pub(crate) callbacks_added: AtomicU32,
    pub(crate) callbacks_called: AtomicU32,
    pub(crate) callbacks_dropped: AtomicU32,
    /// The executor would not take the task, or said it never began.
    must_not_run: AtomicBool,
    /// The future gave a value or a panic.
    must_run: AtomicBool,
    /// The future gave a value.
    must_end: AtomicBool,
    /// It ends its worker.
    deadly: AtomicBool,
    /// It is an input of `map`.
    item: AtomicBool,
    /// Somebody asked for an end before the task's own: only then may an accepted task of a drained pool not run.
    may_not_run: AtomicBool,
    /// A limit was set: the thread that watches the limits is not the pool's, and may end after it.
    limited: AtomicBool,
}

impl Entry {
    pub(crate) fn new(origin: &'static str) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self { origin, number: NEXT.fetch_add(1, Relaxed), ..Self::default() })
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// So many deaths of its worker let it run again.
    pub(crate) fn retried(&self, retries: u32) {
        self.retries.store(retries, Relaxed);
    }

    /// It ends its worker, if it runs.
    pub(crate) fn deadly(&self) {
        self.deadly.store(true, Relaxed);
    }

    /// An input of `map`.
    pub(crate) fn item(&self) {
        self.item.store(true, Relaxed);
    }

    /// A run begins.
    pub(crate) fn note_begin(&self) {
        self.runs.fetch_add(1, Relaxed);
    }

    /// A run ends.
    pub(crate) fn note_end(&self) {
        self.runs_ended.fetch_add(1, Relaxed);
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

    /// Returns whether a limit was asked for.
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
            TaskError::Cancelled(_) if remote::is_remote() && error.to_string().contains("was stopped") => {}
            TaskError::Broken(..) if remote::is_remote() => self.note_breakdown(error),
            TaskError::Cancelled(_) | TaskError::Broken(..) | TaskError::Refused(_) => {
                self.must_not_run.store(true, Relaxed);
            }
            TaskError::Panicked(panic) => {
                let own = !remote::is_remote() || panic.message() == panic_text(self.number);
                expect(self, own, &format!("a panic that is not the task's own: {error}"));
                self.must_run.store(true, Relaxed);
            }
            TaskError::TimedOut(_) => self.may_be_skipped(),
            TaskError::WorkerDied(death) if remote::is_remote() => self.note_death(death),
            other => fail(self, &format!("an outcome that no task of this program has: {other}")),
        }
    }

    /// Its pool broke before it could run; a chunk of it may have run in vain.
    fn note_breakdown(&self, error: &TaskError) {
        expect(self, remote::leniency().breakdowns, &format!("nobody has broken the pool: {error}"));
        if !self.may_repeat() {
            self.must_not_run.store(true, Relaxed);
        }
    }

    fn note_death(&self, death: &WorkerDeath) {
        // The worker may have died before the task could note that it ran.
        self.may_be_skipped();
        if let Some(other) = remote::other_victim(self.number, death) {
            fail(self, &format!("the same death has cost another task, number {other}: {death}"));
        }
        if !remote::leniency().deaths {
            let deadly = self.deadly.load(Relaxed);
            expect(self, deadly, &format!("nobody has killed the worker: {death}"));
            let tries = self.retries.load(Relaxed) as usize + 1;
            expect(self, death.deaths().len() == tries, &format!("not one death for each try: {death}"));
        }
    }

    /// Notes that the future gave a value, and whose that says it is.
    pub(crate) fn note_value(&self, owner: &Entry) {
        self.note_own(owner);
        expect(self, !self.deadly.load(Relaxed), "a task returned that ends its worker");
        self.must_end.store(true, Relaxed);
    }

    /// Notes whose a value, or a panic's payload, says it is: it must be the task's own.
    pub(crate) fn note_own(&self, owner: &Entry) {
        expect(self, std::ptr::eq(owner, self), "the future gave the value of another task");
        self.must_run.store(true, Relaxed);
    }

    /// Returns whether an item of a chunk may run in vain, because the limit of another passed.
    fn may_repeat(&self) -> bool {
        self.item.load(Relaxed) && remote::leniency().limits
    }

    /// Compares the books; `drained` says that nobody but a task's own submitter may have kept it from running.
    pub(crate) fn settle(this: &mut Arc<Self>, drained: bool) -> Settled {
        let entry = Self::alone(this);
        let settled = Settled { runs: entry.runs.load(Relaxed), callbacks: entry.callbacks_called.load(Relaxed) };
        let (made, added) = (entry.values_made.load(Relaxed), entry.callbacks_added.load(Relaxed));
        let refused = entry.must_not_run.load(Relaxed);
        expect(entry, entry.arguments_dropped.load(Relaxed) == 1, "the arguments were not dropped exactly once");
        expect(entry, entry.values_dropped.load(Relaxed) == made, "values made and values dropped differ");
        expect(entry, settled.callbacks == added, "callbacks added and callbacks called differ");
        expect(entry, entry.callbacks_dropped.load(Relaxed) == added, "callbacks added and callbacks dropped differ");
        expect(entry, settled.runs == 0 || !refused, "the task ran although it was refused or cancelled");
        expect(entry, settled.runs > 0 || !entry.must_run.load(Relaxed), "an outcome without a run");
        let excused = refused || !drained || entry.may_not_run.load(Relaxed);
        expect(entry, settled.runs > 0 || excused, "the pool was drained and yet the task did not run");
        if remote::is_remote() {
            entry.settle_away(settled.runs, made)
        } else {
            entry.settle_here(settled.runs, made)
        }
        settled
    }

    fn settle_here(&self, runs: u32, made: u32) {
        expect(self, runs <= 1, "the task ran more than once");
        expect(self, made == runs, "a run must make one value or one panic payload");
    }

    fn settle_away(&self, runs: u32, made: u32) {
        let may_repeat = self.may_repeat();
        expect(self, may_repeat || runs <= 1 + self.retries.load(Relaxed), "the task ran more often than it may");
        expect(self, made <= 1, "the value was decoded more than once");
        expect(self, made == 1 || !self.must_end.load(Relaxed), "a value that was never decoded");
        let ended = self.runs_ended.load(Relaxed);
        expect(self, ended > 0 || !self.must_end.load(Relaxed), "a value of a run that did not end");
        expect(self, ended == 0 || !self.deadly.load(Relaxed), "a task came to its end that ends its worker");
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
