//! Tasks that are REMOTE: their executor runs them where it cannot be seen from here when one begins, in another process.
//!
//! Only the executor can tell whether such a task has begun, and only it can take one back. So a thread that wants the task
//! to leave PENDING from outside (a cancel, a queue limit) asks the owner first, holding LEAVING meanwhile: the owner lives
//! as long as it holds the task, and before it lets go of the task it waits for LEAVING to clear (`State::reclaim`).

use crate::cell::header::Header;
use crate::cell::owner::Owner;
use crate::cell::transition::{Ask, Claim};
use crate::sync::Ordering;

/// The right to use a task's owner: LEAVING, which is given back in the end.
struct Asking<'a> {
    header: &'a Header,
    owner: &'a Owner,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.header.state.end_leaving();
    }
}

impl Header {
    /// Returns `None` if the task is not REMOTE and pending any more.
    fn ask(&self) -> Option<Asking<'_>> {
        match self.state.ask() {
            Ask::Over => None,
            // SAFETY: REMOTE and LEAVING: the executor holds the task and waits for LEAVING before it lets go of it; its owner
            // lives until then (`Task::set_remote_owner`).
            Ask::Granted => Some(Asking { header: self, owner: unsafe { &*self.owner.load(Ordering::Relaxed) } }),
        }
    }

    /// Like `claim`, for a task that is REMOTE: the owner must take it back first.
    pub(super) fn claim_remote(&self, is_cancelled: bool, tells: bool) -> Claim {
        let Some(asking) = self.ask() else { return Claim::Lost };
        if !asking.owner.revoke(&self.token) {
            return Claim::Lost;
        }
        // The claim clears LEAVING, or keeps it for the caller, in the same step.
        let _kept = std::mem::ManuallyDrop::new(asking);
        Claim::Won(self.state.claim_asked(is_cancelled, tells))
    }

    /// Returns whether a task that is REMOTE has begun, as its owner knows.
    pub(super) fn has_begun_remotely(&self) -> bool {
        self.ask().is_some_and(|asking| asking.owner.has_begun(&self.token))
    }

    /// Tells the owner of a running task that is REMOTE what its holder wants.
    pub(super) fn ask_to_stop_remotely(&self, end_worker: bool) {
        if let Some(asking) = self.ask() {
            asking.owner.ask_to_stop(&self.token, end_worker);
        }
    }
}
