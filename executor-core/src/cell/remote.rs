//! Tasks that are REMOTE: their executor runs them where it cannot be seen from here when one begins, in another process.
//!
//! Only the executor can tell whether such a task has begun, and only it can take one back. So whoever wants the task to
//! leave PENDING from outside (a cancel, a queue limit) asks the owner first, holding LEAVING meanwhile: the owner lives
//! as long as it holds the task, and before it lets go of the task it waits for LEAVING to clear (`reclaim`).

use crate::cell::header::Header;
use crate::cell::owner::Owner;
use crate::cell::state::{COMPLETING, LEAVING, OWNED, PENDING, REMOTE, RUNNING, phase};
use crate::sync::{Ordering, hint, yield_now};

impl Header {
    /// As `set_owner`, for an executor that runs its tasks elsewhere.
    pub(crate) fn set_remote_owner(&self, owner: *const Owner) -> bool {
        // ORDERING: as in `set_owner`.
        self.owner.store(owner.cast_mut(), Ordering::Relaxed);
        phase(self.state.fetch_or(OWNED | REMOTE, Ordering::Release)) == PENDING
    }

    /// Takes LEAVING, and with it the right to use the owner; `None` if the task is not REMOTE and pending any more.
    fn begin_asking(&self) -> Option<&Owner> {
        let mut seen = self.load();
        while phase(seen) == PENDING && seen & REMOTE != 0 {
            if seen & LEAVING != 0 {
                hint::spin_loop();
                yield_now();
                seen = self.load();
                continue;
            }
            match self.state.compare_exchange_weak(seen, seen | LEAVING, Ordering::Acquire, Ordering::Acquire) {
                // SAFETY: REMOTE and LEAVING: the executor holds the task and waits for LEAVING before it lets go of it;
                // its owner lives until then (`Task::set_remote_owner`).
                Ok(_) => return Some(unsafe { &*self.owner.load(Ordering::Relaxed) }),
                Err(now) => seen = now,
            }
        }
        None
    }

    fn end_asking(&self) {
        // ORDERING: Release: the owner may be freed by whoever sees the bit gone.
        self.state.fetch_and(!LEAVING, Ordering::Release);
    }

    /// As `claim`, for a task that is REMOTE: the owner must take it back first.
    pub(crate) fn claim_remote(&self, flags: usize) -> Option<usize> {
        let owner = self.begin_asking()?;
        if !owner.revoke(&self.token) {
            self.end_asking();
            return None;
        }
        // The task is pending, nobody begins it, and nobody else may ask: this thread alone changes the phase.
        let kept = if flags & LEAVING == 0 { 0 } else { LEAVING };
        let mut seen = self.load();
        loop {
            let next = (seen & !LEAVING) | COMPLETING | (flags & !LEAVING) | kept;
            match self.state.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(seen & !LEAVING),
                Err(now) => seen = now,
            }
        }
    }

    /// Whether a task that is REMOTE has begun, as its owner knows.
    pub(crate) fn has_begun_remotely(&self) -> bool {
        let Some(owner) = self.begin_asking() else { return false };
        let begun = owner.has_begun(&self.token);
        self.end_asking();
        begun
    }

    /// Tells the owner of a running task that is REMOTE what its holder wants.
    pub(crate) fn ask_to_stop_remotely(&self, end_worker: bool) {
        if let Some(owner) = self.begin_asking() {
            owner.ask_to_stop(&self.token, end_worker);
            self.end_asking();
        }
    }

    /// The task has come back to be ended by its executor: REMOTE becomes RUNNING. False: it was cancelled or expired
    /// meanwhile. Either way nobody uses the owner on behalf of the task any more.
    pub(crate) fn reclaim(&self) -> bool {
        let mut seen = self.load();
        loop {
            if seen & LEAVING != 0 {
                hint::spin_loop();
                yield_now();
                seen = self.load();
                continue;
            }
            if phase(seen) != PENDING {
                return false;
            }
            match self.state.compare_exchange_weak(
                seen,
                (seen & !REMOTE) | RUNNING,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }
}
