//! Idle workers: which of them sleep, which one searches, and how they are woken.
//!
//! The protocol that leaves no task queued while a worker sleeps:
//!
//! 1. A worker that is about to sleep enters the list, then calls `TaskQueue::announce_sleep`, which fails if there are
//!    tasks. Only then does it sleep.
//! 2. The push that replaces the announcement wakes one sleeper, unless a worker is searching at that moment: that worker
//!    finds the task, or, if it stops searching, sees the task by rule 1.
//! 3. A worker that was woken, or was searching, must notify the others: once it has a task it renews the announcement,
//!    or, if there are more tasks, wakes the next worker.
//!
//! The list is last in, first out: warm workers work, cold ones may retire.

use crate::sync::{AtomicUsize, Condvar, Mutex, Ordering};
use executor_core::queue::Padded;
use std::sync::Arc;
use std::time::Instant;

/// The list of sleepers, and how many there are.
pub(crate) struct Idle {
    sleepers: Mutex<Vec<Arc<Parker>>>,
    /// The length of the list, readable without the lock.
    asleep: AtomicUsize,
    /// How many workers sleep or were not started. Every worker reads it after every input of a chunk, so it has a cache line
    /// of its own, which changes rarely. It is a hint, which no model needs to see.
    free: Padded<std::sync::atomic::AtomicUsize>,
    /// 1 while a worker searches. One at a time does so before it sleeps; more would only burn processors.
    searching: AtomicUsize,
}

/// Where one worker sleeps.
pub(crate) struct Parker {
    called: Mutex<bool>,
    call: Condvar,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self { called: Mutex::new(false), call: Condvar::new() }
    }

    /// Sleeps until the worker is called or `deadline` has come. Returns whether it was called.
    pub(crate) fn sleep(&self, deadline: Option<Instant>) -> bool {
        let mut called = self.called.lock();
        while !*called {
            match deadline {
                None => self.call.wait(&mut called),
                Some(deadline) => {
                    if self.call.wait_until(&mut called, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        std::mem::take(&mut *called)
    }

    fn wake(&self) {
        *self.called.lock() = true;
        self.call.notify_one();
    }
}

impl Idle {
    /// Returns the record of a pool that has started none of its `workers`.
    pub(crate) fn new(workers: usize) -> Self {
        let free = Padded(workers.into());
        Self { sleepers: Mutex::new(Vec::new()), asleep: AtomicUsize::new(0), free, searching: AtomicUsize::new(0) }
    }

    /// Returns the number of workers that sleep or were not started: a hint.
    pub(crate) fn free(&self) -> &std::sync::atomic::AtomicUsize {
        &self.free
    }

    /// Records that `now` workers are alive where `before` were.
    pub(crate) fn note_alive(&self, before: usize, now: usize) {
        self.free.fetch_add(before.wrapping_sub(now), Ordering::Relaxed);
    }

    /// Puts a worker on the list.
    pub(crate) fn enter(&self, parker: &Arc<Parker>) {
        let mut sleepers = self.sleepers.lock();
        sleepers.push(parker.clone());
        // ORDERING: SeqCst, pairs with the load in `asleep`: a push that relies on the searching worker, and so does not
        // wake this one, has that worker see it here (rule 3).
        self.asleep.store(sleepers.len(), Ordering::SeqCst);
        self.free.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a worker off the list. Returns false if another thread has done so, to wake it.
    pub(crate) fn leave(&self, parker: &Arc<Parker>) -> bool {
        let mut sleepers = self.sleepers.lock();
        let Some(position) = sleepers.iter().position(|other| Arc::ptr_eq(other, parker)) else {
            return false;
        };
        sleepers.remove(position);
        // ORDERING: SeqCst, pairs with the load in `asleep`, in one order with the store in `enter`.
        self.asleep.store(sleepers.len(), Ordering::SeqCst);
        self.free.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// Returns how many workers are on the list.
    pub(crate) fn asleep(&self) -> usize {
        // ORDERING: SeqCst, pairs with the store in `enter`.
        self.asleep.load(Ordering::SeqCst)
    }

    /// Wakes the worker that fell asleep last. Returns false if none sleeps.
    pub(crate) fn wake_one(&self) -> bool {
        let parker = {
            let mut sleepers = self.sleepers.lock();
            let parker = sleepers.pop();
            // ORDERING: SeqCst, pairs with the load in `asleep`, in one order with the store in `enter`.
            self.asleep.store(sleepers.len(), Ordering::SeqCst);
            parker
        };
        match parker {
            Some(parker) => {
                self.free.fetch_sub(1, Ordering::Relaxed);
                parker.wake();
                true
            }
            None => false,
        }
    }

    /// Wakes all sleepers.
    pub(crate) fn wake_all(&self) {
        while self.wake_one() {}
    }

    /// Runs `search`, which returns whether it found work, unless another worker is searching already.
    pub(crate) fn search(&self, search: impl FnOnce() -> bool) -> bool {
        // ORDERING: SeqCst, pairs with the load in `is_searching`.
        if self.searching.compare_exchange(0, 1, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return false;
        }
        let found = search();
        // ORDERING: SeqCst, pairs with the load in `is_searching`. A push that still sees this worker searching wakes no
        // other. The worker then sees the push in `TaskQueue::announce_sleep`: both change the queue's word, the push before
        // it looks here, and the second to change it sees what the first did before.
        self.searching.store(0, Ordering::SeqCst);
        found
    }

    /// Returns whether a worker is searching. Call it after a fence.
    pub(crate) fn is_searching(&self) -> bool {
        // ORDERING: SeqCst, pairs with the store in `search`.
        self.searching.load(Ordering::SeqCst) != 0
    }
}
