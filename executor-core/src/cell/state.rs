//! The state word of a future's cell: every bit, who may set it, and who owns which field then.
//!
//! ```text
//!            start                  complete (callbacks registered?)
//! PENDING ─────────► RUNNING ───────────────┬──────────► DONE
//!    │                  │ run limit expired │ yes         ▲
//!    │ cancel, expire,  ▼                   ▼             │
//!    └──────────────► COMPLETING ◄──────────┘ ── run ─────┘
//!      abandon
//! ```
//!
//! | field of the cell | owner |
//! | --- | --- |
//! | `work` | REMOTE: the holder of the `Task`; else PENDING: nobody; after it: the thread whose transition left PENDING |
//! | `outcome` | RUNNING: the runner (only after claiming COMPLETING if TIMED); COMPLETING: the claimer; DONE: shared reads, and the one handle that takes it |
//! | `observer` | OBSERVED clear: the unique handle; OBSERVED set: nobody; the transition to DONE that clears it: the completer |
//! | callback list | any thread pushes; the completer, or the holder of DRAINING, pops |
//! | `owner` | written by the executor that takes the task, before OWNED; read by whoever saw OWNED |
//! | `token` | the executor that took a REMOTE task, under its own lock |
//! | `next` (queue link) | whoever holds the queue's reference |
//!
//! Only DONE is "done" to the outside: callbacks that were registered before completion have then run.

/// Mask of the phase.
pub(crate) const PHASE: usize = 0b11;
/// Not begun. The executor side holds the work; anyone may cancel.
pub(crate) const PENDING: usize = 0;
/// Begun. The runner alone completes it, or, if TIMED, whoever claims COMPLETING first.
pub(crate) const RUNNING: usize = 1;
/// Claimed: one thread writes the outcome, then runs the callbacks.
pub(crate) const COMPLETING: usize = 2;
/// The outcome is there for ever, until the unique handle takes it.
pub(crate) const DONE: usize = 3;

/// Some thread sleeps in the parking lot under the cell's address; the transition to DONE wakes it.
pub(crate) const PARKED: usize = 1 << 2;
/// The observer slot is armed; the transition to DONE takes and notifies it.
pub(crate) const OBSERVED: usize = 1 << 3;
/// The callback list may be non-empty: no transition to DONE before it has been run.
pub(crate) const CALLBACKS: usize = 1 << 4;
/// DONE, and one thread is running callbacks that were added late; others leave theirs to it.
pub(crate) const DRAINING: usize = 1 << 5;
/// The cooperative stop flag, read by `is_stop_requested`.
pub(crate) const STOP: usize = 1 << 6;
/// The task has a run limit: completion must be claimed, since the clock may complete it as well.
pub(crate) const TIMED: usize = 1 << 7;
/// It was cancelled: it never ran and never will. Set by the transition out of PENDING.
pub(crate) const CANCELLED: usize = 1 << 8;
/// The thread that cancelled or expired a queued task is still telling the task's executor. The executor lives as
/// long as its queue holds the task, and whoever takes the task off the queue waits for this bit to go.
pub(crate) const LEAVING: usize = 1 << 9;

/// An executor has named itself in `owner`: whoever claims the queued task tells it.
pub(crate) const OWNED: usize = 1 << 10;

/// The executor runs its tasks where it cannot be seen from here when one begins: to leave PENDING from outside needs
/// the consent of the owner, which is asked under LEAVING. `work` belongs to whoever holds the `Task`, whatever the phase.
/// Set with OWNED; cleared by the executor when the task comes back (`reclaim`).
pub(crate) const REMOTE: usize = 1 << 11;

/// Some thread sleeps on this very word, and on bells that others ring (`futex_waitv.rs`); the transition to DONE wakes it.
pub(crate) const MULTI_WAITER: usize = 1 << 12;

/// The armed observer is a set on which threads wait: to tell it runs no code of users.
pub(crate) const QUIET: usize = 1 << 13;

/// The task is a part of a chunk that is shared: it counts with its chunk. Set before an executor has the task.
pub(crate) const PART: usize = 1 << 14;

/// One reference to the cell: the executor side has one, the handle one, an armed clock one.
pub(crate) const REFERENCE: usize = 1 << 16;

/// The phase of a state word.
pub(crate) const fn phase(state: usize) -> usize {
    state & PHASE
}

/// How many references a state word counts.
pub(crate) const fn references(state: usize) -> usize {
    state / REFERENCE
}
