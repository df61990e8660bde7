//! The state word of a future's cell: every bit, who may set it, and who owns which field then; and all its transitions.
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
//! | `owner` | written by the executor that takes the task, before OWNED; read by any thread that saw OWNED |
//! | `token` | the executor that took a REMOTE task, under its own lock |
//! | `next` (queue link) | the holder of the queue's reference |
//!
//! Only DONE is "done" to the outside: callbacks that were registered before completion have then run.

use crate::cell::transition::{Announce, Arm, Ask, Claim, Disarm, Owned, Phase, Reclaim, Sleeper, Start, ToDone};
use crate::sync::{AtomicUsize, Ordering, hint, yield_now};
use std::convert::Infallible;

/// Mask of the phase.
const PHASE: usize = 0b11;
/// Not begun. The executor side holds the work; anyone may cancel.
const PENDING: usize = 0;
/// Begun. The runner alone completes it, or, if TIMED, the thread that claims COMPLETING first.
const RUNNING: usize = 1;
/// Claimed: one thread writes the outcome, then runs the callbacks.
const COMPLETING: usize = 2;
/// The outcome is there for ever, until the unique handle takes it.
const DONE: usize = 3;

/// Some thread sleeps in the parking lot under the cell's address; the transition to DONE wakes it.
const PARKED: usize = 1 << 2;
/// The observer slot is armed; the transition to DONE takes and notifies it.
const OBSERVED: usize = 1 << 3;
/// The callback list may be non-empty: no transition to DONE before it has been run.
const CALLBACKS: usize = 1 << 4;
/// DONE, and one thread is running callbacks that were added late; others leave theirs to it.
const DRAINING: usize = 1 << 5;
/// The cooperative stop flag, read by `is_stop_requested`.
const STOP: usize = 1 << 6;
/// The task has a run limit: completion must be claimed, since the clock may complete it as well.
const TIMED: usize = 1 << 7;
/// It was cancelled: it never ran and never will. Set by the transition out of PENDING.
const CANCELLED: usize = 1 << 8;
/// The thread that cancelled or expired a queued task is still telling the task's executor. The executor lives as
/// long as its queue holds the task, and the thread that takes the task off the queue waits for this bit to go.
const LEAVING: usize = 1 << 9;
/// An executor has named itself in `owner`: the thread that claims the queued task tells it.
const OWNED: usize = 1 << 10;
/// The executor runs its tasks where it cannot be seen from here when one begins: to leave PENDING from outside needs
/// the consent of the owner, which is asked under LEAVING. `work` belongs to the holder of the `Task`, whatever the phase.
/// Set with OWNED; cleared by the executor when the task comes back (`reclaim`).
const REMOTE: usize = 1 << 11;
/// Some thread sleeps on this very word, and on doorbells (`sync/futex_waitv.rs`); the transition to DONE wakes it.
const MULTI_WAITER: usize = 1 << 12;
/// The armed observer is a set on which threads wait: to tell it runs no code of users.
const QUIET: usize = 1 << 13;
/// The task is a part of a chunk that is shared: it counts with its chunk. Set before an executor has the task.
const PART: usize = 1 << 14;
/// One reference to the cell: the executor side has one, the handle one, an armed clock one.
const REFERENCE: usize = 1 << 16;

/// The state word as it was at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot(usize);

impl Snapshot {
    #[inline]
    pub(crate) fn phase(self) -> Phase {
        match self.0 & PHASE {
            PENDING => Phase::Pending,
            RUNNING => Phase::Running,
            COMPLETING => Phase::Completing,
            _ => Phase::Done,
        }
    }

    #[inline]
    fn has(self, flag: usize) -> bool {
        self.0 & flag != 0
    }

    #[inline]
    pub(crate) fn is_done(self) -> bool {
        self.phase() == Phase::Done
    }

    #[inline]
    pub(crate) fn is_pending(self) -> bool {
        self.phase() == Phase::Pending
    }

    #[inline]
    pub(crate) fn is_running(self) -> bool {
        self.phase() == Phase::Running
    }

    #[inline]
    pub(crate) fn is_owned(self) -> bool {
        self.has(OWNED)
    }

    #[inline]
    pub(crate) fn is_remote(self) -> bool {
        self.has(REMOTE)
    }

    #[inline]
    pub(crate) fn is_part(self) -> bool {
        self.has(PART)
    }

    #[inline]
    pub(crate) fn is_timed(self) -> bool {
        self.has(TIMED)
    }

    pub(crate) fn is_cancelled(self) -> bool {
        self.has(CANCELLED)
    }

    #[inline]
    pub(crate) fn is_stop_requested(self) -> bool {
        self.has(STOP)
    }

    pub(crate) fn is_parked(self) -> bool {
        !self.is_done() && self.has(PARKED)
    }

    /// Returns whether no handle is left and no callback waits: nobody will see the outcome.
    pub(crate) fn is_unwanted(self) -> bool {
        self.is_last_reference() && !self.has(CALLBACKS)
    }

    /// Returns whether completing runs code of users who wait: callbacks, or an async task's waker.
    pub(crate) fn has_user_listeners(self) -> bool {
        self.has(CALLBACKS) || self.0 & (OBSERVED | QUIET) == OBSERVED
    }

    #[inline]
    fn is_last_reference(self) -> bool {
        self.0 / REFERENCE == 1
    }
}

/// Those who wait for a future, as the transition to DONE found them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listeners(usize);

impl Listeners {
    #[inline]
    pub(crate) fn has_observer(self) -> bool {
        self.0 & OBSERVED != 0
    }

    #[inline]
    pub(crate) fn has_parked(self) -> bool {
        self.0 & PARKED != 0
    }

    #[inline]
    pub(crate) fn has_multi_waiter(self) -> bool {
        self.0 & MULTI_WAITER != 0
    }
}

/// The state word. Each method is one transition, or one reading.
pub(crate) struct State(AtomicUsize);

impl State {
    /// Pending, with two references: the executor's and the handle's.
    pub(crate) fn new(is_timed: bool) -> Self {
        let timed = if is_timed { TIMED } else { 0 };
        Self(AtomicUsize::new(PENDING | (2 * REFERENCE) | timed))
    }

    /// Returns the word on which a thread sleeps that also listens to doorbells.
    pub(crate) fn word(&self) -> &AtomicUsize {
        &self.0
    }

    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        // ORDERING: Acquire, with the Release of `to_done`: a thread that sees DONE sees the outcome.
        Snapshot(self.0.load(Ordering::Acquire))
    }

    /// Like `load`, for flags that do not change any more.
    #[inline]
    pub(crate) fn load_settled(&self) -> Snapshot {
        Snapshot(self.0.load(Ordering::Relaxed))
    }

    /// Changes the word to what `next` returns for it, or returns why not. `seen` is the ordering of a mere look.
    #[inline(always)]
    fn update<R>(
        &self,
        change: Ordering,
        seen: Ordering,
        next: impl Fn(Snapshot) -> Result<usize, R>,
    ) -> Result<Snapshot, R> {
        let mut now = self.0.load(seen);
        loop {
            match self.0.compare_exchange_weak(now, next(Snapshot(now))?, change, seen) {
                Ok(before) => return Ok(Snapshot(before)),
                Err(other) => now = other,
            }
        }
    }

    /// Says that the task is a part of a chunk, before an executor has it.
    pub(crate) fn mark_part(&self) {
        self.0.fetch_or(PART, Ordering::Relaxed);
    }

    /// Says that `owner` is written. Nobody can know whether the handle is still private, so this is one atomic step.
    #[inline]
    pub(crate) fn own(&self, is_remote: bool) -> Owned {
        let flags = if is_remote { OWNED | REMOTE } else { OWNED };
        // ORDERING: Release, with the Acquire of `claim`, `start_if` and `ask`: publishes the owner.
        let before = Snapshot(self.0.fetch_or(flags, Ordering::Release));
        if before.is_pending() { Owned::Waiting } else { Owned::Over }
    }

    /// Takes OWNED back; the caller then waits until nobody uses the owner (`wait_until_left`).
    pub(crate) fn disown(&self) -> Owned {
        let before = Snapshot(self.0.fetch_and(!OWNED, Ordering::Relaxed));
        if before.is_pending() { Owned::Waiting } else { Owned::Over }
    }

    /// PENDING to RUNNING.
    #[inline]
    pub(crate) fn start(&self) -> Start {
        // ORDERING: Acquire, with the Release of `own`: the runner sees what its executor did before.
        let started = self.update(Ordering::Acquire, Ordering::Relaxed, |seen| {
            if seen.is_pending() { Ok(seen.0 | RUNNING) } else { Err(()) }
        });
        if started.is_ok() { Start::Won } else { Start::Lost }
    }

    /// PENDING to RUNNING, if the task is OWNED and `may` says so, which reads `owner`.
    pub(crate) fn start_if(&self, may: impl Fn() -> bool) -> Start {
        // ORDERING: Acquire, with the Release of `own`: the owner is seen. An executor that takes its name back changes the
        // word, and with it this step fails.
        let started = self.update(Ordering::Acquire, Ordering::Acquire, |seen| {
            if seen.is_pending() && seen.is_owned() && may() { Ok(seen.0 | RUNNING) } else { Err(()) }
        });
        if started.is_ok() { Start::Won } else { Start::Lost }
    }

    /// PENDING to COMPLETING: the task will never run. With LEAVING if it is OWNED, and the caller `tells` the owner.
    pub(crate) fn claim(&self, is_cancelled: bool, tells: bool) -> Claim {
        let cancelled = if is_cancelled { CANCELLED } else { 0 };
        // ORDERING: Acquire, with the Release of `own`: the owner is seen.
        let claimed = self.update(Ordering::Acquire, Ordering::Relaxed, |seen| {
            if !seen.is_pending() {
                return Err(Claim::Lost);
            }
            if seen.is_remote() {
                return Err(Claim::Remote);
            }
            let leaving = if tells && seen.is_owned() { LEAVING } else { 0 };
            Ok(seen.0 | COMPLETING | cancelled | leaving)
        });
        claimed.map_or_else(|lost| lost, Claim::Won)
    }

    /// Like `claim`, for a REMOTE task whose owner has given it up; LEAVING is the caller's, and stays if it `tells` the owner.
    pub(crate) fn claim_asked(&self, is_cancelled: bool, tells: bool) -> Snapshot {
        let cancelled = if is_cancelled { CANCELLED } else { 0 };
        let kept = if tells { LEAVING } else { 0 };
        // The task is pending, nobody begins it, and nobody else may ask: this thread alone changes the phase.
        // ORDERING: Release, with the Acquire of `reclaim` and `is_leaving`: the owner may be freed after it. Acquire, with
        // the Release of `own`.
        let Ok(before) = self.update::<Infallible>(Ordering::AcqRel, Ordering::Acquire, |seen| {
            Ok((seen.0 & !LEAVING) | COMPLETING | cancelled | kept)
        });
        Snapshot(before.0 & !LEAVING)
    }

    /// RUNNING to COMPLETING, for a task with a run limit: the runner and the clock both try, one wins.
    pub(crate) fn claim_running(&self, raises_stop: bool) -> Claim {
        let stop = if raises_stop { STOP } else { 0 };
        // ORDERING: Release, with the Acquire of `load` in the task that looks at STOP; Acquire, with the Release of `reclaim`.
        let claimed = self.update(Ordering::AcqRel, Ordering::Relaxed, |seen| {
            if seen.is_running() { Ok((seen.0 & !PHASE) | COMPLETING | stop) } else { Err(Claim::Lost) }
        });
        claimed.map_or_else(|lost| lost, Claim::Won)
    }

    /// Returns whether a thread is telling the owner something on behalf of the task.
    pub(crate) fn is_leaving(&self) -> bool {
        self.load().has(LEAVING)
    }

    /// Waits until nobody uses the owner's address any more on behalf of this task: a few instructions of one other
    /// thread, which runs no user code meanwhile.
    pub(crate) fn wait_until_left(&self) {
        while self.is_leaving() {
            hint::spin_loop();
            yield_now();
        }
    }

    /// Clears LEAVING.
    pub(crate) fn end_leaving(&self) {
        // ORDERING: Release, with the Acquire of `is_leaving` and `reclaim`: the owner may be freed after it.
        self.0.fetch_and(!LEAVING, Ordering::Release);
    }

    /// Takes LEAVING of a REMOTE task, and with it the right to use the owner. Waits for another thread that has it.
    pub(crate) fn ask(&self) -> Ask {
        loop {
            // ORDERING: Acquire, with the Release of `own`: the owner is seen; and with that of `end_leaving`.
            let asked =
                self.update(Ordering::Acquire, Ordering::Acquire, |seen| match seen.is_pending() && seen.is_remote() {
                    true if seen.has(LEAVING) => Err(None),
                    true => Ok(seen.0 | LEAVING),
                    false => Err(Some(Ask::Over)),
                });
            match asked {
                Ok(_) => return Ask::Granted,
                Err(Some(over)) => return over,
                Err(None) => {
                    hint::spin_loop();
                    yield_now();
                }
            }
        }
    }

    /// PENDING to RUNNING, for a REMOTE task that has come back to be ended by its executor. Either way nobody uses the owner on
    /// behalf of the task any more.
    pub(crate) fn reclaim(&self) -> Reclaim {
        loop {
            // ORDERING: Acquire, with the Release of `end_leaving` and `claim_asked`: the owner may be freed after it. Release,
            // with the Acquire of `claim_running`.
            let reclaimed = self.update(Ordering::AcqRel, Ordering::Acquire, |seen| match seen.is_pending() {
                _ if seen.has(LEAVING) => Err(None),
                true => Ok((seen.0 & !REMOTE) | RUNNING),
                false => Err(Some(Reclaim::Over)),
            });
            match reclaimed {
                Ok(_) => return Reclaim::Running,
                Err(Some(over)) => return over,
                Err(None) => {
                    hint::spin_loop();
                    yield_now();
                }
            }
        }
    }

    /// Raises the cooperative flag; returns the word before.
    pub(crate) fn request_stop(&self) -> Snapshot {
        // ORDERING: Release, with the Acquire of `load` in the task that looks at it: it sees what the stopper did before.
        Snapshot(self.0.fetch_or(STOP, Ordering::Release))
    }

    /// Announces a sleeper.
    pub(crate) fn announce(&self, sleeper: Sleeper) -> Announce {
        let flag = match sleeper {
            Sleeper::Parked => PARKED,
            Sleeper::MultiWaiter => MULTI_WAITER,
        };
        // ORDERING: Acquire, with the Release of `to_done`: a thread that need not sleep sees the outcome.
        let mut now = self.0.load(Ordering::Acquire);
        while !Snapshot(now).is_done() {
            let next = now | flag;
            if now == next {
                return Announce::Heard(now);
            }
            // ORDERING: Acquire as above; the announcement itself publishes nothing.
            match self.0.compare_exchange_weak(now, next, Ordering::Relaxed, Ordering::Acquire) {
                Ok(_) => return Announce::Heard(next),
                Err(other) => now = other,
            }
        }
        Announce::Done
    }

    /// Arms the observer slot, which the caller has filled. `is_quiet`: to tell the observer runs no code of users.
    pub(crate) fn arm(&self, is_quiet: bool) -> Arm {
        let armed = OBSERVED | if is_quiet { QUIET } else { 0 };
        // ORDERING: Release, with the Acquire of `to_done`: publishes the slot to the completer; Acquire, with its Release.
        let before = self.update(Ordering::Release, Ordering::Acquire, |seen| {
            if seen.is_done() { Err(()) } else { Ok((seen.0 & !QUIET) | armed) }
        });
        if before.is_ok() { Arm::Armed } else { Arm::Done }
    }

    /// Disarms the observer slot.
    pub(crate) fn disarm(&self) -> Disarm {
        // ORDERING: Acquire, with the Release of `arm` and `to_done`: the slot is read or rewritten next.
        let before = self.update(Ordering::Acquire, Ordering::Acquire, |seen| {
            if seen.has(OBSERVED) { Ok(seen.0 & !OBSERVED) } else { Err(()) }
        });
        if before.is_ok() { Disarm::Ours } else { Disarm::NotArmed }
    }

    /// From now on, telling the observer may run code of users.
    pub(crate) fn clear_quiet(&self) {
        self.0.fetch_and(!QUIET, Ordering::Relaxed);
    }

    /// Says that a callback was pushed; returns whether the future was done, so that it is to be run here (`drain`).
    #[must_use = "callbacks of a done future are run by nobody else"]
    pub(crate) fn add_callback(&self) -> bool {
        // ORDERING: Release, with the Acquire of `take_callbacks` and `drain`: publishes the push. Acquire, with the Release of
        // `to_done`: shows a finished outcome.
        Snapshot(self.0.fetch_or(CALLBACKS, Ordering::AcqRel)).is_done()
    }

    /// RUNNING or COMPLETING to COMPLETING: the callbacks that are registered are the caller's to run.
    #[inline]
    pub(crate) fn take_callbacks(&self) {
        // ORDERING: Acquire, with the Release of `add_callback`: the list is seen.
        let Ok(_) = self.update::<Infallible>(Ordering::AcqRel, Ordering::Acquire, |seen| {
            Ok((seen.0 & !(PHASE | CALLBACKS)) | COMPLETING)
        });
    }

    /// Takes the callbacks of a done future, unless another thread is running some. `run` runs them, again and again while
    /// there are new ones.
    pub(crate) fn drain(&self, run: impl Fn()) {
        // ORDERING: Acquire, with the Release of `add_callback`: the list is seen; and with that below.
        while self
            .update(Ordering::AcqRel, Ordering::Acquire, |seen| {
                if seen.has(CALLBACKS) && !seen.has(DRAINING) { Ok((seen.0 & !CALLBACKS) | DRAINING) } else { Err(()) }
            })
            .is_ok()
        {
            run();
            // ORDERING: Release, with the Acquire above: our use of the outcome ends before the next drainer's begins.
            self.0.fetch_and(!DRAINING, Ordering::AcqRel);
        }
    }

    /// To DONE, from the caller's RUNNING or COMPLETING; with `release` the caller's reference goes along, if nobody is to be
    /// told.
    #[inline]
    pub(crate) fn to_done(&self, release: bool) -> ToDone {
        // ORDERING: Release, with the Acquire of `load`: publishes the outcome. Acquire, with the Release of `arm`: takes over
        // the observer slot; and of `release`: what other owners did comes before the end.
        let before = self.update(Ordering::AcqRel, Ordering::Acquire, |seen| {
            if seen.has(CALLBACKS) {
                return Err(ToDone::Callbacks);
            }
            if release && seen.is_last_reference() {
                return Err(ToDone::Unwanted);
            }
            let listeners = seen.0 & (PARKED | MULTI_WAITER | OBSERVED);
            let leaving = if release && listeners == 0 { REFERENCE } else { 0 };
            Ok(((seen.0 ^ listeners) | DONE) - leaving)
        });
        match before {
            Ok(before) => match before.0 & (PARKED | MULTI_WAITER | OBSERVED) {
                // The reference went in the same step: the cell may be freed at once and is not touched any more.
                0 if release => ToDone::Released,
                listeners => ToDone::Done(Listeners(listeners)),
            },
            Err(first) => first,
        }
    }

    /// COMPLETING to DONE, if nobody is to be told but threads that sleep. `None`: there are callbacks or an observer, which
    /// may be user code, and the phase is as before.
    ///
    /// This one step decides. A callback or an observer that comes after it finds the future done, and runs where it was added.
    #[must_use = "the phase is still the caller's, or threads are to be woken"]
    pub(crate) fn to_done_unheard(&self) -> Option<Listeners> {
        let sleepers = |seen: Snapshot| seen.0 & (PARKED | MULTI_WAITER);
        // ORDERING: Release, with the Acquire of `load`: publishes the outcome.
        let before = self.update(Ordering::AcqRel, Ordering::Acquire, |seen| {
            if seen.has(CALLBACKS | OBSERVED) { Err(()) } else { Ok((seen.0 ^ sleepers(seen)) | DONE) }
        });
        before.ok().map(|before| Listeners(sleepers(before)))
    }

    /// To DONE from wherever a thread of another process, which this one is a fork of, left the word. What it had to tell,
    /// and whom, is that process's.
    pub(crate) fn end_left_behind(&self) {
        // ORDERING: Release, with the Acquire of `load`: publishes the outcome.
        let Ok(_) = self.update::<Infallible>(Ordering::AcqRel, Ordering::Acquire, |seen| {
            Ok((seen.0 | DONE) & !(REMOTE | LEAVING | CALLBACKS | DRAINING | PARKED | MULTI_WAITER))
        });
    }

    /// Counts one more reference. As in `Arc::clone`: an existing one is proof enough that the cell lives.
    pub(crate) fn add_reference(&self) {
        self.0.fetch_add(REFERENCE, Ordering::Relaxed);
    }

    /// Gives up the caller's reference; returns whether it was the last, so that the cell is the caller's to free.
    #[inline]
    #[must_use = "the last one frees the cell"]
    pub(crate) fn release(&self) -> bool {
        // The load saves the read-modify-write: nobody else can raise a count of one.
        // ORDERING: Release, with the Acquire of `load` and of `to_done`: what this owner did comes before the end. Acquire,
        // with the same Release of the others.
        self.load().is_last_reference() || Snapshot(self.0.fetch_sub(REFERENCE, Ordering::AcqRel)).is_last_reference()
    }

    /// Gives up the caller's reference unless it is the last; returns whether it has.
    #[must_use = "the last reference is still the caller's"]
    pub(crate) fn release_unless_last(&self) -> bool {
        // ORDERING: Release, with the Acquire of `load` in `release`: what was done here comes before the end.
        let before = self.update(Ordering::AcqRel, Ordering::Acquire, |seen| {
            if seen.is_last_reference() { Err(()) } else { Ok(seen.0 - REFERENCE) }
        });
        before.is_ok()
    }
}
