//! What the transitions of the state word return. Each must be looked at: it says what the caller owns from then on.

use crate::cell::state::{Listeners, Snapshot};

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Pending,
    Running,
    Completing,
    Done,
}

/// Which sleep a thread announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleeper {
    /// In the parking lot, under the cell's address.
    Parked,
    /// On the state word, and on doorbells.
    MultiWaiter,
}

/// What an executor finds that names itself, or takes its name back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a task that is over is not to be queued, or was counted"]
pub(crate) enum Owned {
    /// The task still waits.
    Waiting,
    /// It was cancelled or expired.
    Over,
}

/// Which thread runs the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the winner must run the work"]
pub(crate) enum Start {
    /// The caller.
    Won,
    /// Nobody, since it was cancelled; or another thread.
    Lost,
}

/// Which thread writes the outcome.
#[derive(Clone, Copy, Debug)]
#[must_use = "the winner must write the outcome and complete"]
pub(crate) enum Claim {
    /// The caller; the word was this before.
    Won(Snapshot),
    /// Nobody yet: the task is REMOTE, and its owner must be asked.
    Remote,
    /// Another thread.
    Lost,
}

impl Claim {
    pub(crate) fn is_won(self) -> bool {
        matches!(self, Self::Won(_))
    }
}

/// The right to use the owner of a REMOTE task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "LEAVING is to be given back"]
pub(crate) enum Ask {
    /// LEAVING is the caller's.
    Granted,
    /// The task is not REMOTE and pending any more.
    Over,
}

/// What is left of a REMOTE task that has come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the caller must complete what it gets back"]
pub(crate) enum Reclaim {
    /// RUNNING is the caller's.
    Running,
    /// It was cancelled or expired meanwhile.
    Over,
}

/// What a thread finds that is about to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "nobody wakes a thread that comes too late"]
pub(crate) enum Announce {
    /// It will be woken; the word is this now.
    Heard(usize),
    /// The future is done.
    Done,
}

/// What the unique handle finds that arms its observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "nobody tells an observer that comes too late"]
pub(crate) enum Arm {
    /// It will be told.
    Armed,
    /// The future is done.
    Done,
}

/// Which side has the observer slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what is in the slot is to be dropped, or left alone"]
pub(crate) enum Disarm {
    /// The caller, who finds in it what it has put there.
    Ours,
    /// It was not armed, or the completer has it.
    NotArmed,
}

/// What is next on the way to DONE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the phase is still the caller's unless it is DONE"]
pub(crate) enum ToDone {
    /// Callbacks are registered: run them first (`take_callbacks`). Nothing has changed.
    Callbacks,
    /// The caller's reference is the last: free the cell. Nothing has changed.
    Unwanted,
    /// It is done, nobody is to be told, and the caller's reference went along.
    Released,
    /// It is done, and these are to be told.
    Done(Listeners),
}
