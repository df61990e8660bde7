//! The part of a cell that does not depend on the types of its work and its result: the state word, the task's identity, its
//! executor, and the observer slot.
//!
//! The transitions of the word are in `state.rs`; here is what they change in the other fields.

use crate::cell::clock;
use crate::cell::observer::Observer;
use crate::cell::owner::{Dequeued, Ended, Owner, Token};
use crate::cell::remote_work::RemoteWork;
use crate::cell::state::{Listeners, Snapshot, State};
use crate::cell::transition::{Announce, Arm, Claim, Disarm, Owned, Reclaim, Sleeper, Start};
use crate::error::TaskError;
use crate::fork;
use crate::info::{TaskId, TaskInfo};
use crate::options::TaskOptions;
use crate::sync::{AtomicPtr, Ordering, UnsafeCell, futex_waitv, parking};
use executor_wire::panic::{contain_with_text, wake_all};
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::task::Waker;

/// The intrusive queue link; first in `Header`, so that a link pointer is a header pointer.
#[derive(Debug)]
#[repr(C, align(16))]
pub(crate) struct Link {
    pub(crate) next: AtomicPtr<Link>,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self { next: AtomicPtr::new(ptr::null_mut()) }
    }
}

/// All that does not depend on the types of the work and its result.
#[repr(C)]
pub(crate) struct Header {
    link: Link,
    pub(crate) state: State,
    pub(crate) vtable: &'static Vtable,
    id: TaskId,
    location: &'static Location<'static>,
    options: Option<Box<TaskOptions>>,
    /// The executor whose queue holds the task. Published by OWNED.
    pub(crate) owner: AtomicPtr<Owner>,
    /// What that executor knows it by, if it is REMOTE.
    pub(crate) token: Token,
    observer: UnsafeCell<Observer>,
}

/// What the executor side does without knowing the types.
pub(crate) struct Vtable {
    /// Runs the started work and completes; the flag says whether the caller's reference goes with it.
    pub(crate) run: unsafe fn(NonNull<Header>, &dyn Fn(Ended), bool),
    /// Completes a claimed cell with an error, dropping the work unrun; the flag as above.
    pub(crate) fail: unsafe fn(NonNull<Header>, TaskError, bool),
    /// Completes a claimed cell, whose work is gone, with an error if that runs no user code; else returns the error.
    pub(crate) fail_unheard: unsafe fn(NonNull<Header>, TaskError) -> Result<(), TaskError>,
    pub(crate) destroy: unsafe fn(NonNull<Header>),
    /// How the work crosses to another process, if it can.
    pub(crate) remote: Option<&'static RemoteWork>,
}

impl Header {
    /// Pending, with two references: the executor's and the handle's.
    pub(crate) fn new(
        vtable: &'static Vtable,
        options: Option<TaskOptions>,
        location: &'static Location<'static>,
    ) -> Self {
        let is_timed = options.as_ref().is_some_and(|options| options.run_limit().is_some());
        Self {
            link: Link::new(),
            state: State::new(is_timed),
            vtable,
            id: TaskId::next(),
            location,
            options: options.map(Box::new),
            owner: AtomicPtr::new(ptr::null_mut()),
            token: Token::new(),
            observer: UnsafeCell::new(Observer::None),
        }
    }

    pub(crate) fn id(&self) -> TaskId {
        self.id
    }

    pub(crate) fn info(&self) -> TaskInfo {
        TaskInfo::new(self.id, self.options.as_deref(), self.location)
    }

    pub(crate) fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// Returns whether the task was taken from the queue of that executor, whose address is compared and not followed.
    pub(crate) fn is_owned_by(&self, owner: *const Owner) -> bool {
        self.state.load().is_owned() && self.has_owner(owner)
    }

    fn has_owner(&self, owner: *const Owner) -> bool {
        self.owner.load(Ordering::Relaxed).cast_const() == owner
    }

    pub(crate) fn options(&self) -> Option<&TaskOptions> {
        self.options.as_deref()
    }

    /// Returns the key of the parking lot, and of "whose callbacks run here".
    pub(crate) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        self.state.load()
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.load().is_done()
    }

    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        self.load().is_pending()
    }

    #[inline]
    pub(crate) fn is_part(&self) -> bool {
        self.state.load_settled().is_part()
    }

    /// Names the executor whose queue is about to hold the task.
    #[inline]
    pub(crate) fn set_owner(&self, owner: *const Owner, is_remote: bool) -> Owned {
        self.owner.store(owner.cast_mut(), Ordering::Relaxed);
        self.state.own(is_remote)
    }

    /// Returns whether an executor has the task that is of another process, which this one is a fork of: nobody here ends it.
    #[inline]
    pub(crate) fn is_left_behind(&self) -> bool {
        fork::is_left_behind(self.id) && !self.owner.load(Ordering::Relaxed).is_null()
    }

    /// Takes the executor's name back: it did not take the task after all, and may be gone any time. `Over`: it was told
    /// meanwhile that the task has left.
    pub(crate) fn clear_owner(&self) -> Owned {
        let owned = self.state.disown();
        self.state.wait_until_left();
        owned
    }

    /// Like `start`, if the task waits in the queue of that very executor; its address is compared and not followed.
    pub(crate) fn start_queued_by(&self, owner: *const Owner) -> Start {
        self.state.start_if(|| self.has_owner(owner))
    }

    /// PENDING to COMPLETING: the task will never run, and the caller writes its outcome. With LEAVING if it is OWNED, and the
    /// caller `tells` the owner.
    pub(crate) fn claim(&self, is_cancelled: bool, tells: bool) -> Claim {
        match self.state.claim(is_cancelled, tells) {
            Claim::Remote => self.claim_remote(is_cancelled, tells),
            settled => settled,
        }
    }

    /// Claims a queued task and tells its executor. Returns the wakers of those that wait for the room it has left: to wake
    /// them runs user code.
    fn claim_queued(&self, is_cancelled: bool, how: Dequeued) -> Option<Vec<Waker>> {
        let Claim::Won(before) = self.claim(is_cancelled, true) else { return None };
        let mut wakers = Vec::new();
        if before.is_owned() {
            let how = if before.is_part() { Dequeued::Part } else { how };
            let owner = self.owner.load(Ordering::Relaxed);
            // SAFETY: OWNED was acquired with the claim. Until LEAVING is cleared, the thread that takes the task off the
            // owner's queue waits, and the owner outlives what its queue holds (`Task::set_owner`).
            wakers = contain_with_text(|| unsafe { &*owner }.task_dequeued(how)).unwrap_or_default();
            self.state.end_leaving();
        }
        Some(wakers)
    }

    /// Cancels a task that has not begun. Returns true also if it was cancelled before.
    ///
    /// # Safety
    /// `cell` is live for the whole call, and a pointer to the whole cell.
    pub(crate) unsafe fn cancel(cell: NonNull<Header>) -> bool {
        // SAFETY: by contract.
        let header = unsafe { cell.as_ref() };
        let Some(wakers) = header.claim_queued(true, Dequeued::Cancelled) else {
            return header.load().is_cancelled();
        };
        wake_all(wakers);
        clock::forget(header);
        // SAFETY: COMPLETING is ours by the claim; the caller's handle keeps its own reference (`false`).
        unsafe { (header.vtable.fail)(cell, TaskError::Cancelled(header.info()), false) };
        true
    }

    /// Claims a task that has waited in the queue for too long, and returns the wakers of those that wait for its room.
    pub(crate) fn claim_expired(&self) -> Option<Vec<Waker>> {
        self.claim_queued(false, Dequeued::Expired)
    }

    /// Claims a task that its executor gives up; a REMOTE one, too, since the executor itself is the owner.
    #[must_use = "a claimed task must be completed"]
    pub(crate) fn claim_by_executor(&self) -> bool {
        if !self.load().is_remote() {
            return self.claim(false, false).is_won();
        }
        self.state.reclaim() == Reclaim::Running && self.state.claim_running(false).is_won()
    }

    /// Raises the cooperative flag; returns the word before.
    ///
    /// `end_worker`: if that is all the task hears of it in another process, its worker is ended.
    pub(crate) fn request_stop(&self, end_worker: bool) -> Snapshot {
        let before = self.state.request_stop();
        if before.is_remote() {
            self.ask_to_stop_remotely(end_worker);
        }
        before
    }

    /// Returns whether the task has begun and is not over.
    pub(crate) fn is_running(&self) -> bool {
        let seen = self.load();
        seen.is_running() || (seen.is_pending() && seen.is_remote() && self.has_begun_remotely())
    }

    #[inline]
    pub(crate) fn is_stop_requested(&self) -> bool {
        self.load().is_stop_requested()
    }

    /// Runs the work that `start` won on behalf of a handle, which keeps its reference.
    ///
    /// # Safety
    /// `cell` is live for the whole call, a pointer to the whole cell, and the caller won its `start`.
    pub(crate) unsafe fn run_claimed(cell: NonNull<Header>, on_end: &dyn Fn(Ended)) {
        // SAFETY: by contract; the handle keeps its reference (`false`).
        unsafe { (cell.as_ref().vtable.run)(cell, on_end, false) }
    }

    /// Ends a started task that will not be run after all.
    ///
    /// # Safety
    /// As for `run_claimed`.
    pub(crate) unsafe fn abandon_claimed(cell: NonNull<Header>) {
        // SAFETY: by contract.
        let header = unsafe { cell.as_ref() };
        clock::forget(header);
        if header.state.claim_running(false).is_won() {
            // SAFETY: COMPLETING is ours by the claim; the handle keeps its reference (`false`).
            unsafe { (header.vtable.fail)(cell, TaskError::Abandoned(header.info()), false) }
        }
    }

    /// Announces a thread that will sleep on the word itself. Returns the word as it is then; `None`: there is no need to sleep.
    pub(crate) fn announce_multi_waiter(&self) -> Option<usize> {
        match self.state.announce(Sleeper::MultiWaiter) {
            Announce::Heard(word) => Some(word),
            Announce::Done => None,
        }
    }

    /// Announces a thread that will sleep in the parking lot. Returns false if there is no need to sleep.
    pub(crate) fn announce_parked(&self) -> bool {
        self.state.announce(Sleeper::Parked) != Announce::Done
    }

    /// Wakes the threads that sleep for the cell.
    #[inline]
    pub(crate) fn wake_sleepers(&self, listeners: Listeners) {
        if listeners.has_parked() {
            parking::unpark_all(self.address());
        }
        if listeners.has_multi_waiter() {
            futex_waitv::wake(self.state.word());
        }
    }

    /// Returns whether a sleeper may go on sleeping.
    pub(crate) fn is_parked(&self) -> bool {
        self.load().is_parked()
    }

    /// Arms the observer slot. Returns the observer if the future is done.
    ///
    /// # Safety
    /// The caller is the unique handle, and the slot is not armed.
    pub(crate) unsafe fn observe(&self, observer: Observer) -> Result<(), Observer> {
        if self.is_done() {
            return Err(observer);
        }
        let is_quiet = observer.is_quiet();
        // SAFETY: not DONE with OBSERVED clear: the slot is the unique handle's, now and at a later DONE.
        self.observer.with_mut(|slot| unsafe { *slot = observer });
        match self.state.arm(is_quiet) {
            Arm::Armed => Ok(()),
            // SAFETY: DONE came while OBSERVED was clear, so the completer leaves the slot to us.
            Arm::Done => Err(self.observer.with_mut(|slot| unsafe { std::mem::take(&mut *slot) })),
        }
    }

    /// Disarms the observer slot. Returns what the handle has left in it; `None` if the slot was not armed, or the completer
    /// has it.
    ///
    /// # Safety
    /// The caller is the unique handle.
    pub(crate) unsafe fn stop_observing(&self) -> Option<Observer> {
        match self.state.disarm() {
            // SAFETY: disarmed in time: the slot is the handle's.
            Disarm::Ours => Some(unsafe { self.observer_slot(std::mem::take) }),
            Disarm::NotArmed => None,
        }
    }

    /// Lends the observer slot.
    ///
    /// # Safety
    /// The slot is the caller's (see `state.rs`).
    pub(crate) unsafe fn observer_slot<R>(&self, f: impl FnOnce(&mut Observer) -> R) -> R {
        // SAFETY: the caller vouches for exclusiveness.
        self.observer.with_mut(|slot| f(unsafe { &mut *slot }))
    }
}
