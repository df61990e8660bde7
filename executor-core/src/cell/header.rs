//! The part of a cell that does not depend on the types of its work and its result: the state word's transitions, the
//! task's identity, its executor, and the observer slot.
//!
//! `state.rs` says who owns which field when; each method here is one transition, or one reading, of that table.

use crate::cell::clock;
use crate::cell::observer::Observer;
use crate::cell::owner::{Dequeued, Ended, Owner, Token};
use crate::cell::remote_work::RemoteWork;
use crate::cell::state::{
    CALLBACKS, CANCELLED, COMPLETING, DONE, DRAINING, LEAVING, MULTI_WAITER, OBSERVED, OWNED, PARKED, PART, PENDING,
    PHASE, QUIET, REFERENCE, REMOTE, RUNNING, STOP, TIMED, phase,
};
use crate::error::TaskError;
use crate::fork;
use crate::info::{TaskId, TaskInfo};
use crate::options::TaskOptions;
use crate::sync::{AtomicPtr, AtomicUsize, Ordering, UnsafeCell, futex_waitv, hint, parking, yield_now};
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
    pub(crate) state: AtomicUsize,
    pub(crate) vtable: &'static Vtable,
    id: TaskId,
    location: &'static Location<'static>,
    options: Option<Box<TaskOptions>>,
    /// The executor whose queue holds the task.
    pub(crate) owner: AtomicPtr<Owner>,
    /// Where that executor has it, if it is REMOTE.
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
        let timed = options.as_ref().is_some_and(|options| options.run_limit().is_some());
        let flags = if timed { TIMED } else { 0 };
        Self {
            link: Link::new(),
            state: AtomicUsize::new(PENDING | (2 * REFERENCE) | flags),
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

    /// Whether it was taken from the queue of that executor, whose address is compared and not followed.
    pub(crate) fn is_owned_by(&self, owner: *const Owner) -> bool {
        self.load() & OWNED != 0 && self.owner.load(Ordering::Relaxed).cast_const() == owner
    }

    pub(crate) fn options(&self) -> Option<&TaskOptions> {
        self.options.as_deref()
    }

    /// The key of the parking lot, and of "whose callbacks run here".
    pub(crate) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// The state word. Acquire: whoever sees DONE sees the outcome.
    #[inline]
    pub(crate) fn load(&self) -> usize {
        self.state.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        phase(self.load()) == DONE
    }

    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        phase(self.load()) == PENDING
    }

    /// Says that the task is a part of a chunk, before an executor has it.
    pub(crate) fn mark_part(&self) {
        self.state.fetch_or(PART, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_part(&self) -> bool {
        self.state.load(Ordering::Relaxed) & PART != 0
    }

    /// Names the executor whose queue is about to hold the task. False: it was cancelled already, without telling.
    pub(crate) fn set_owner(&self, owner: *const Owner) -> bool {
        // ORDERING: OWNED publishes it. Nobody can know whether the handle is still private, so this is one atomic step.
        self.owner.store(owner.cast_mut(), Ordering::Relaxed);
        phase(self.state.fetch_or(OWNED, Ordering::Release)) == PENDING
    }

    /// Returns whether an executor has the task that is of another process, which this one is a fork of: nobody here ends it.
    #[inline]
    pub(crate) fn is_left_behind(&self) -> bool {
        fork::is_left_behind(self.id) && !self.owner.load(Ordering::Relaxed).is_null()
    }

    /// To DONE from wherever a thread of another process, which this one is a fork of, left the word. What it had to tell,
    /// and whom, is that process's.
    pub(crate) fn end_left_behind(&self) {
        let mut seen = self.load();
        loop {
            let next = (seen | DONE) & !(REMOTE | LEAVING | CALLBACKS | DRAINING | PARKED | MULTI_WAITER);
            // ORDERING: Release publishes the outcome to whoever sees DONE.
            match self.state.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Takes the executor's name back: it did not take the task after all, and may be gone any time.
    ///
    /// False: it was told meanwhile that the task has left.
    pub(crate) fn clear_owner(&self) -> bool {
        let before = self.state.fetch_and(!OWNED, Ordering::Relaxed);
        self.wait_until_left();
        phase(before) == PENDING
    }

    /// As `start`, if the task waits in the queue of that very executor; its address is compared and not followed.
    pub(crate) fn start_queued_by(&self, owner: *const Owner) -> bool {
        let mut seen = self.load();
        while phase(seen) == PENDING && seen & OWNED != 0 && self.owner.load(Ordering::Relaxed).cast_const() == owner {
            // An executor that takes its name back changes the word, and with it this step fails.
            match self.state.compare_exchange_weak(seen, seen | RUNNING, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// PENDING to RUNNING: the caller then runs the work. False: it was cancelled, or another runs it.
    #[inline]
    pub(crate) fn start(&self) -> bool {
        let mut seen = self.state.load(Ordering::Relaxed);
        while phase(seen) == PENDING {
            let next = seen | RUNNING;
            match self.state.compare_exchange_weak(seen, next, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Waits until nobody uses the owner's address any more on behalf of this task: a few instructions of one other
    /// thread, which runs no user code meanwhile.
    pub(crate) fn wait_until_left(&self) {
        while self.load() & LEAVING != 0 {
            hint::spin_loop();
            yield_now();
        }
    }

    /// PENDING to COMPLETING: the task will never run, and the caller writes its outcome. Gives the state before.
    pub(crate) fn claim(&self, flags: usize) -> Option<usize> {
        let mut seen = self.state.load(Ordering::Relaxed);
        while phase(seen) == PENDING {
            if seen & REMOTE != 0 {
                return self.claim_remote(flags);
            }
            let leaving = if seen & OWNED == 0 { 0 } else { flags & LEAVING };
            let next = seen | COMPLETING | (flags & !LEAVING) | leaving;
            match self.state.compare_exchange_weak(seen, next, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(seen),
                Err(now) => seen = now,
            }
        }
        None
    }

    /// Claims a queued task and tells its executor. Returns the wakers of those that wait for the room it has left: to wake
    /// them runs user code.
    fn claim_queued(&self, flags: usize, how: Dequeued) -> Option<Vec<Waker>> {
        let before = self.claim(flags | LEAVING)?;
        let mut wakers = Vec::new();
        if before & OWNED != 0 {
            let how = if before & PART == 0 { how } else { Dequeued::Part };
            let owner = self.owner.load(Ordering::Relaxed);
            // SAFETY: OWNED was acquired with the claim. Until LEAVING is cleared, whoever takes the task off the
            // owner's queue waits, and the owner outlives what its queue holds (`Task::set_owner`).
            wakers = contain_with_text(|| unsafe { &*owner }.task_dequeued(how)).unwrap_or_default();
            // ORDERING: Release: the owner may be freed by whoever sees the bit gone.
            self.state.fetch_and(!LEAVING, Ordering::Release);
        }
        Some(wakers)
    }

    /// Cancels a task that has not begun; true also if it was cancelled before.
    ///
    /// # Safety
    /// `cell` is live for the whole call, and a pointer to the whole cell.
    pub(crate) unsafe fn cancel(cell: NonNull<Header>) -> bool {
        // SAFETY: by contract.
        let header = unsafe { cell.as_ref() };
        let Some(wakers) = header.claim_queued(CANCELLED, Dequeued::Cancelled) else {
            return header.load() & CANCELLED != 0;
        };
        wake_all(wakers);
        clock::forget(header);
        // SAFETY: COMPLETING is ours by the claim; the caller's handle keeps its own reference (`false`).
        unsafe { (header.vtable.fail)(cell, TaskError::Cancelled(header.info()), false) };
        true
    }

    /// Claims a task that has waited in the queue for too long, and returns the wakers of those that wait for its room.
    pub(crate) fn claim_expired(&self) -> Option<Vec<Waker>> {
        self.claim_queued(0, Dequeued::Expired)
    }

    /// Claims a task that its executor gives up. One that was away needs nobody's consent then.
    pub(crate) fn claim_by_executor(&self) -> bool {
        if self.load() & REMOTE == 0 { self.claim(0).is_some() } else { self.reclaim() && self.claim_running(0) }
    }

    /// RUNNING to COMPLETING, for a task with a run limit: the runner and the clock both try, one wins.
    pub(crate) fn claim_running(&self, flags: usize) -> bool {
        let mut seen = self.state.load(Ordering::Relaxed);
        while phase(seen) == RUNNING {
            let next = (seen & !PHASE) | COMPLETING | flags;
            match self.state.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Raises the cooperative flag.
    ///
    /// `end_worker`: if that is all the task hears of it in another process, its worker is ended.
    pub(crate) fn request_stop(&self, end_worker: bool) -> usize {
        // ORDERING: Release, with the Acquire of `is_stop_requested`: what the stopper did before is seen by the task.
        let before = self.state.fetch_or(STOP, Ordering::Release);
        if before & REMOTE != 0 {
            self.ask_to_stop_remotely(end_worker);
        }
        before
    }

    /// Whether the task has begun and is not over.
    pub(crate) fn is_running(&self) -> bool {
        let seen = self.load();
        phase(seen) == RUNNING || (phase(seen) == PENDING && seen & REMOTE != 0 && self.has_begun_remotely())
    }

    #[inline]
    pub(crate) fn is_stop_requested(&self) -> bool {
        self.load() & STOP != 0
    }

    /// COMPLETING to DONE, if nobody is to be told but threads that sleep: returns PARKED and MULTI_WAITER as they were. `None`: there
    /// are callbacks or an observer, which may be user code, and the phase is as before.
    ///
    /// This one step decides. A callback or an observer that comes after it finds the future done, and runs where it was added.
    pub(crate) fn end_unheard(&self) -> Option<usize> {
        let mut seen = self.load();
        while seen & (CALLBACKS | OBSERVED) == 0 {
            let sleepers = seen & (PARKED | MULTI_WAITER);
            // ORDERING: Release publishes the outcome to whoever sees DONE.
            match self.state.compare_exchange_weak(seen, (seen ^ sleepers) | DONE, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some(sleepers),
                Err(now) => seen = now,
            }
        }
        None
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
        if header.claim_running(0) {
            // SAFETY: COMPLETING is ours by the claim; the handle keeps its reference (`false`).
            unsafe { (header.vtable.fail)(cell, TaskError::Abandoned(header.info()), false) }
        }
    }

    /// Whether callbacks or an async task's waker are to be told: then completing runs code of users who wait.
    pub(crate) fn has_user_listeners(&self) -> bool {
        let seen = self.load();
        seen & CALLBACKS != 0 || seen & (OBSERVED | QUIET) == OBSERVED
    }

    /// Announces a sleeper, by PARKED or MULTI_WAITER; gives the word as it is then. `None`: there is no need to sleep.
    pub(crate) fn announce(&self, sleeper: usize) -> Option<usize> {
        let mut seen = self.load();
        while phase(seen) != DONE {
            let next = seen | sleeper;
            if seen == next {
                return Some(seen);
            }
            match self.state.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Acquire) {
                Ok(_) => return Some(next),
                Err(now) => seen = now,
            }
        }
        None
    }

    /// Wakes the threads that sleep for the cell, as announced by PARKED and MULTI_WAITER.
    #[inline]
    pub(crate) fn wake_sleepers(&self, announced: usize) {
        if announced & PARKED != 0 {
            parking::unpark_all(self.address());
        }
        if announced & MULTI_WAITER != 0 {
            futex_waitv::wake(&self.state);
        }
    }

    /// Whether a sleeper may go on sleeping.
    pub(crate) fn is_parked(&self) -> bool {
        let seen = self.load();
        phase(seen) != DONE && seen & PARKED != 0
    }

    /// Arms the observer slot; gives the observer back if the future is done.
    ///
    /// # Safety
    /// The caller is the unique handle, and the slot is not armed.
    pub(crate) unsafe fn observe(&self, observer: Observer) -> Result<(), Observer> {
        if self.is_done() {
            return Err(observer);
        }
        let armed = OBSERVED | if observer.is_quiet() { QUIET } else { 0 };
        // SAFETY: not DONE with OBSERVED clear: the slot is the unique handle's, now and at a later DONE.
        self.observer.with_mut(|slot| unsafe { *slot = observer });
        let mut seen = self.load();
        while phase(seen) != DONE {
            // ORDERING: Release publishes the slot to the completer, whose transition to DONE acquires it.
            let next = (seen & !QUIET) | armed;
            match self.state.compare_exchange_weak(seen, next, Ordering::Release, Ordering::Acquire) {
                Ok(_) => return Ok(()),
                Err(now) => seen = now,
            }
        }
        // SAFETY: DONE came while OBSERVED was clear, so the completer leaves the slot to us.
        Err(self.observer.with_mut(|slot| unsafe { std::mem::take(&mut *slot) }))
    }

    /// From now on, telling the observer may run code of users.
    pub(crate) fn clear_quiet(&self) {
        self.state.fetch_and(!QUIET, Ordering::Relaxed);
    }

    /// Disarms the observer slot; false if it was not armed or the completer has taken it.
    ///
    /// # Safety
    /// The caller is the unique handle.
    pub(crate) unsafe fn stop_observing(&self) -> bool {
        let mut seen = self.load();
        while seen & OBSERVED != 0 {
            // ORDERING: Acquire: the slot is read or rewritten next.
            match self.state.compare_exchange_weak(seen, seen & !OBSERVED, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// The observer slot.
    ///
    /// # Safety
    /// The slot is the caller's (see `state.rs`).
    pub(crate) unsafe fn observer_slot<R>(&self, f: impl FnOnce(&mut Observer) -> R) -> R {
        // SAFETY: the caller vouches for exclusiveness.
        self.observer.with_mut(|slot| f(unsafe { &mut *slot }))
    }
}
