//! What the pool counts. No cache line here is written often by two threads.

use crate::sync::{AtomicU64, Ordering};
use executor_core::queue::Padded;
use executor_core::task::{Dequeued, Ended};
use std::cell::Cell;
use std::sync::atomic::AtomicUsize;

/// Submissions are counted on this many cache lines, so that submitting threads do not contend for one.
const STRIPES: usize = 8;

/// The pool's own counters.
pub(crate) struct Counters {
    submitted: [Padded<AtomicU64>; STRIPES],
    cancelled: AtomicU64,
    expired: AtomicU64,
    /// Parts of chunks that left the queue unbegun.
    parts_dequeued: AtomicU64,
}

/// What one worker shows the others: written by that worker alone, read by all.
pub(crate) struct WorkerShared {
    started: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    /// Parts of chunks that it ran, which count with their chunks.
    parts: AtomicU64,
    /// How many tasks that are counted as ended have callbacks or destructors running on the worker.
    completion_hooks: AtomicU64,
}

executor_core::local! {
    /// The stripe that this thread counts on, once it has one.
    static STRIPE: Cell<Option<usize>> = Cell::new(None);
}

fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    STRIPE.get().unwrap_or_else(|| {
        let stripe = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % STRIPES;
        STRIPE.set(Some(stripe));
        stripe
    })
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            submitted: std::array::from_fn(|_| Padded(AtomicU64::new(0))),
            cancelled: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            parts_dequeued: AtomicU64::new(0),
        }
    }

    fn stripe(&self) -> &AtomicU64 {
        &self.submitted[stripe()]
    }

    pub(crate) fn add_submitted(&self) {
        self.stripe().fetch_add(1, Ordering::Relaxed);
    }

    /// Undoes the last `add_submitted` of the calling thread.
    pub(crate) fn take_back_submitted(&self) {
        self.stripe().fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a task that left the queue unbegun.
    pub(crate) fn add_dequeued(&self, how: Dequeued) {
        let count = match how {
            Dequeued::Cancelled => &self.cancelled,
            Dequeued::Expired => &self.expired,
            Dequeued::Part => &self.parts_dequeued,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many tasks and parts are queued, given that workers have begun `started`.
    pub(crate) fn queued(&self, started: u64) -> u64 {
        let gone = started + self.cancelled() + self.expired() + self.parts_dequeued.load(Ordering::Relaxed);
        let submitted: u64 = self.submitted.iter().map(|stripe| stripe.load(Ordering::Relaxed)).sum();
        submitted.saturating_sub(gone)
    }

    pub(crate) fn cancelled(&self) -> u64 {
        self.cancelled.load(Ordering::Relaxed)
    }

    pub(crate) fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }
}

impl WorkerShared {
    pub(crate) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { started: zero(), completed: zero(), failed: zero(), parts: zero(), completion_hooks: zero() }
    }

    pub(crate) fn add_started(&self) {
        add(&self.started);
    }

    pub(crate) fn add_ended(&self, ended: Ended) {
        match ended {
            Ended::Completed => add(&self.completed),
            // No task of a thread is cancelled while it runs.
            Ended::Failed | Ended::Cancelled => add(&self.failed),
            Ended::Part => add(&self.parts),
        }
    }

    pub(crate) fn begin_completion_hooks(&self) {
        add(&self.completion_hooks);
    }

    pub(crate) fn end_completion_hooks(&self) {
        self.completion_hooks.store(self.completion_hooks.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }

    pub(crate) fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    pub(crate) fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Returns how many of the tasks and parts that the worker has begun have ended.
    pub(crate) fn ended(&self) -> u64 {
        self.completed() + self.failed() + self.parts.load(Ordering::Relaxed)
    }

    /// Returns how many tasks the worker has begun, and whether it is running a task or completion hooks.
    pub(crate) fn starts_and_busy(&self) -> (u64, bool) {
        // Ends before starts: a worker between two tasks counts as busy.
        let ended = self.ended();
        let started = self.started();
        (started, started > ended || self.completion_hooks.load(Ordering::Relaxed) > 0)
    }
}

/// Adds one. It needs no read-modify-write, since no other thread writes the counter. A reader that has seen a task end sees
/// it counted, since the count comes before the end.
fn add(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
