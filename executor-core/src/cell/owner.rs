//! What a task knows of its executor, and an executor of its tasks: [`Owner`], [`TaskOwner`], [`Token`].

use crate::fork::Origin;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

/// How a task ended; what its executor counts.
///
/// ```
/// use executor_core::task::{Ended, Task};
///
/// let (task, _future) = Task::from_closure(|| 1);
/// task.run(&|| {}, &|ended| assert_eq!(ended, Ended::Completed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It returned.
    Completed,
    /// It panicked; or, in another process, it failed for any reason but a stop.
    Failed,
    /// It was stopped while it ran, in another process.
    Cancelled,
    /// It was a part of a chunk of `map`, and counts with the chunk that it was cut from.
    Part,
}

/// How a queued task left its queue without its executor.
///
/// ```
/// use executor_core::task::Dequeued;
///
/// assert_ne!(Dequeued::Cancelled, Dequeued::Expired);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dequeued {
    /// Its future was cancelled.
    Cancelled,
    /// It waited longer than its queue limit.
    Expired,
    /// Either of the two, of a part of a chunk of `map`, which counts with the chunk that it was cut from.
    Part,
}

/// An executor as its queued tasks know it.
///
/// ```
/// use executor_core::task::{Dequeued, TaskOwner};
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// /// Counts the tasks that left its queue.
/// #[derive(Default)]
/// struct Pool {
///     left: AtomicUsize,
/// }
///
/// impl TaskOwner for Pool {
///     fn task_dequeued(&self, _how: Dequeued) -> Vec<std::task::Waker> {
///         self.left.fetch_add(1, Ordering::Relaxed);
///         Vec::new()
///     }
/// }
/// assert!(Pool::default().task_dequeued(Dequeued::Cancelled).is_empty());
/// ```
pub trait TaskOwner: Send + Sync {
    /// Frees the place of a queued task that was cancelled or expired; the queue still holds its tombstone. Returns the wakers
    /// of those who wait for room: the caller wakes them once the owner is no longer needed.
    ///
    /// Runs in the thread that cancelled. It must not block and must not run user code.
    fn task_dequeued(&self, how: Dequeued) -> Vec<Waker>;

    /// Takes back a remote task ([`Task::set_remote_owner`](crate::task::Task::set_remote_owner)) that is about to be cancelled
    /// or to expire. Returns true if it has not begun and never will; the executor then drops what is left of it.
    ///
    /// This method and the next two run in the thread that asks. They must not run user code, nor wait for a thread that does.
    /// By default no task of the executor is remote.
    fn revoke(&self, token: &Token) -> bool {
        let _ = token;
        false
    }

    /// Returns whether a remote task has begun.
    fn has_begun(&self, token: &Token) -> bool {
        let _ = token;
        false
    }

    /// Asks a remote task that has begun to stop: by its flag, or, with `end_worker`, by ending the worker that runs it.
    fn ask_to_stop(&self, token: &Token, end_worker: bool) {
        let _ = (token, end_worker);
    }
}

/// A [`TaskOwner`] at an address of its own, by which tasks know it.
///
/// ```
/// use executor_core::task::{Dequeued, Owner, TaskOwner};
///
/// struct Pool;
/// impl TaskOwner for Pool {
///     fn task_dequeued(&self, _how: Dequeued) -> Vec<std::task::Waker> {
///         Vec::new()
///     }
/// }
/// let owner = Owner::new(std::sync::Arc::new(Pool));
/// assert!(owner.task_dequeued(Dequeued::Cancelled).is_empty());
/// ```
pub struct Owner {
    owner: Arc<dyn TaskOwner>,
    /// Named before there are tasks, so that a fork can tell them from its own.
    _origin: Origin,
}

impl Owner {
    /// Moves `owner` to an address of its own.
    #[must_use]
    pub fn new(owner: Arc<dyn TaskOwner>) -> Self {
        Self { owner, _origin: Origin::here() }
    }

    /// Passes the message on to the owner.
    #[must_use = "the wakers have to be woken"]
    pub fn task_dequeued(&self, how: Dequeued) -> Vec<Waker> {
        self.owner.task_dequeued(how)
    }

    pub(crate) fn revoke(&self, token: &Token) -> bool {
        self.owner.revoke(token)
    }

    pub(crate) fn has_begun(&self, token: &Token) -> bool {
        self.owner.has_begun(token)
    }

    pub(crate) fn ask_to_stop(&self, token: &Token, end_worker: bool) {
        self.owner.ask_to_stop(token, end_worker);
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner")
    }
}

/// A word by which an executor knows a remote task. The executor reads and writes it under a lock of its own; nobody else
/// looks at it.
#[derive(Debug)]
pub struct Token(AtomicU64);

impl Token {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Returns the word. It is 0 at first.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Replaces the word.
    pub fn set(&self, word: u64) {
        self.0.store(word, Ordering::Relaxed);
    }
}
