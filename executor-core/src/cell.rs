//! The one allocation of a task: state word, outcome, observer, callbacks and the work itself.
//!
//! ```text
//!  Task (executor side) ──┐                      ┌── Future<T> (unique handle)
//!                         ▼                      ▼
//!            ┌ Header ───────────────┬ Core<T> ──────────────┬ Cell<T, W> ┐
//!            │ link, state, vtable,  │ callbacks, outcome    │ work       │
//!            │ who, owner, observer  │                       │            │
//!            └───────────────────────┴───────────────────────┴────────────┘
//! ```
//! A `Header` pointer is all the executor side knows, a `Core<T>` pointer all the handle knows; each is a prefix of the
//! next, so one address serves them all. `state.rs` says who owns which field when; the functions here are the only
//! ones that act on it.
//!
//! A plain life costs two read-modify-writes of the state word (start; complete and release in one) plus what the
//! queue needs. Nobody waits: no lock, no system call.

use crate::callback::CallbackList;
use crate::error::TaskError;
use crate::info::{TaskId, TaskInfo};
use crate::observer::Observer;
use crate::options::TaskOptions;
use crate::panic::{catch, contain};
use crate::state::{
    CALLBACKS, CANCELLED, COMPLETING, DONE, DRAINING, EXPOSED, LEAVING, OBSERVED, OWNED, PARKED, PENDING, PHASE,
    REFERENCE, RUNNING, STOP, TIMED, phase, references,
};
use crate::sync::{AtomicPtr, AtomicUsize, Ordering, UnsafeCell, hint, parking, yield_now};
use crate::task::{Ended, Left, Owner};
use crate::{clock, current};
use std::panic::Location;
use std::ptr::{self, NonNull};

/// What a future resolves to.
pub(crate) type Outcome<T> = Result<T, TaskError>;

/// The intrusive queue link; first in `Header`, so that a link pointer is a header pointer.
#[derive(Debug)]
#[repr(C, align(16))]
pub(crate) struct Link {
    pub(crate) next: AtomicPtr<Link>,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }
}

/// All that does not depend on the types of the work and its result.
#[repr(C)]
pub(crate) struct Header {
    link: Link,
    state: AtomicUsize,
    vtable: &'static Vtable,
    id: TaskId,
    location: &'static Location<'static>,
    options: Option<Box<TaskOptions>>,
    /// The executor whose queue holds the task.
    owner: AtomicPtr<Owner>,
    observer: UnsafeCell<Observer>,
}

/// A header with the outcome's type: what a handle sees.
#[repr(C)]
pub(crate) struct Core<T> {
    header: Header,
    callbacks: CallbackList<T>,
    outcome: UnsafeCell<Option<Outcome<T>>>,
}

#[repr(C)]
struct Cell<T, W> {
    core: Core<T>,
    work: UnsafeCell<Option<W>>,
}

/// What the executor side does without knowing the types.
struct Vtable {
    /// Runs the started work and completes; the flag says whether the caller's reference goes with it.
    run: unsafe fn(NonNull<Header>, &dyn Fn(Ended), bool),
    /// Completes a claimed cell with an error, dropping the work unrun; the flag as above.
    fail: unsafe fn(NonNull<Header>, TaskError, bool),
    destroy: unsafe fn(NonNull<Header>),
}

/// The work of a task: called at most once, else dropped.
pub(crate) trait Work<T> {
    fn call(self) -> T;
}

/// Work that is a closure.
pub(crate) struct Closure<F>(pub(crate) F);

impl<T, F: FnOnce() -> T> Work<T> for Closure<F> {
    fn call(self) -> T {
        (self.0)()
    }
}

/// No work: the cell of a promise.
pub(crate) struct NoWork;

impl<T> Work<T> for NoWork {
    fn call(self) -> T {
        unreachable!("a promise is fulfilled, never run")
    }
}

/// A counted pointer to a cell; `Clone` and `Drop` keep the count.
pub(crate) struct CellRef(NonNull<Header>);

// SAFETY: a cell's work, outcome, callbacks and observer are all `Send` (`allocate` asks for it), and which thread may
// touch which is decided by the state word.
unsafe impl Send for CellRef {}
// SAFETY: through a shared `CellRef` only the atomics and the never-changing fields are reached.
unsafe impl Sync for CellRef {}

/// Makes a cell with two references and gives the executor's and the handle's.
pub(crate) fn allocate<T: Send + 'static, W: Work<T> + Send + 'static>(
    work: W,
    options: Option<TaskOptions>,
    location: &'static Location<'static>,
    exposed: bool,
) -> (CellRef, NonNull<Core<T>>) {
    let timed = options.as_ref().is_some_and(|options| options.run_limit().is_some());
    let cell = Box::new(Cell {
        core: Core {
            header: Header {
                link: Link::new(),
                state: AtomicUsize::new(
                    PENDING | 2 * REFERENCE | if timed { TIMED } else { 0 } | if exposed { EXPOSED } else { 0 },
                ),
                vtable: const {
                    &Vtable {
                        run: run::<T, W>,
                        fail: fail::<T, W>,
                        destroy: destroy::<T, W>,
                    }
                },
                id: TaskId::next(),
                location,
                options: options.map(Box::new),
                owner: AtomicPtr::new(ptr::null_mut()),
                observer: UnsafeCell::new(Observer::None),
            },
            callbacks: CallbackList::<T>::new(),
            outcome: UnsafeCell::new(None),
        },
        work: UnsafeCell::new(Some(work)),
    });
    let core = NonNull::from(Box::leak(cell)).cast::<Core<T>>();
    (CellRef(core.cast()), core)
}

impl CellRef {
    /// Takes over a reference that a raw pointer stood for.
    ///
    /// # Safety
    /// `link` came from `into_link`, and this is the only call for it.
    pub(crate) unsafe fn from_link(link: NonNull<Link>) -> Self {
        Self(link.cast())
    }

    /// The queue's pointer; the reference goes with it.
    pub(crate) fn into_link(self) -> NonNull<Link> {
        std::mem::ManuallyDrop::new(self).0.cast()
    }

    pub(crate) fn pointer(&self) -> NonNull<Header> {
        self.0
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: we hold a reference.
        unsafe { self.0.as_ref() }
    }

    /// Another reference, for a clock.
    pub(crate) fn another(&self) -> Self {
        // SAFETY: ours keeps the cell alive.
        unsafe { Self::count(self.0) }
    }

    /// Counts one more reference.
    ///
    /// # Safety
    /// `cell` is live, and a pointer to the whole cell.
    pub(crate) unsafe fn count(cell: NonNull<Header>) -> Self {
        // ORDERING: as in `Arc::clone`: an existing reference is proof enough that the cell lives.
        // SAFETY: by contract.
        unsafe { cell.as_ref() }.state.fetch_add(REFERENCE, Ordering::Relaxed);
        Self(cell)
    }

    /// Runs the work that `Header::start` won, and gives up this reference.
    pub(crate) fn run(self, on_end: &dyn Fn(Ended)) {
        let cell = std::mem::ManuallyDrop::new(self).0;
        // SAFETY: the pointer is live, `start` was won by the caller, and our reference is handed over (`true`).
        unsafe { (cell.as_ref().vtable.run)(cell, on_end, true) }
    }

    /// Completes a cell that the caller claimed, and gives up this reference.
    pub(crate) fn fail(self, error: TaskError) {
        let cell = std::mem::ManuallyDrop::new(self).0;
        // SAFETY: the pointer is live, COMPLETING is the caller's, and our reference is handed over (`true`).
        unsafe { (cell.as_ref().vtable.fail)(cell, error, true) }
    }

    /// The work back from a task that no executor took. `None` if something else got hold of it first.
    ///
    /// # Safety
    /// The cell was allocated with these very types.
    pub(crate) unsafe fn recover<T, W>(self) -> Option<W> {
        self.header().claim(0)?;
        // SAFETY: the caller vouches for the types; the claim left PENDING, so the work is ours.
        unsafe {
            self.0
                .cast::<Cell<T, W>>()
                .as_ref()
                .work
                .with_mut(|work| (*work).take())
        }
    }
}

impl Drop for CellRef {
    fn drop(&mut self) {
        // SAFETY: this is our reference, and it goes now.
        unsafe { release_cell(self.0) }
    }
}

impl Header {
    pub(crate) fn id(&self) -> TaskId {
        self.id
    }

    pub(crate) fn info(&self) -> TaskInfo {
        TaskInfo::new(self.id, self.options.as_deref(), self.location)
    }

    pub(crate) fn options(&self) -> Option<&TaskOptions> {
        self.options.as_deref()
    }

    /// The key of the parking lot, and of "whose callbacks run here".
    pub(crate) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// The state word. Acquire: whoever sees DONE sees the outcome.
    pub(crate) fn load(&self) -> usize {
        self.state.load(Ordering::Acquire)
    }

    pub(crate) fn is_done(&self) -> bool {
        phase(self.load()) == DONE
    }

    pub(crate) fn is_pending(&self) -> bool {
        phase(self.load()) == PENDING
    }

    /// Names the executor whose queue is about to hold the task. False: it was cancelled already, without telling.
    pub(crate) fn set_owner(&self, owner: *const Owner) -> bool {
        // ORDERING: OWNED publishes it; unexposed, the queue's push or the giving away of the handle does.
        self.owner.store(owner.cast_mut(), Ordering::Relaxed);
        let state = self.state.load(Ordering::Relaxed);
        if state & EXPOSED == 0 {
            self.state.store(state | OWNED, Ordering::Relaxed);
            return true;
        }
        phase(self.state.fetch_or(OWNED, Ordering::Release)) == PENDING
    }

    /// Takes the executor's name back: it did not take the task after all, and may be gone any time.
    ///
    /// False: it was told meanwhile that the task has left.
    pub(crate) fn clear_owner(&self) -> bool {
        let before = self.state.fetch_and(!OWNED, Ordering::Relaxed);
        self.wait_until_left();
        phase(before) == PENDING
    }

    /// The executor's address, to be compared and never followed.
    pub(crate) fn owner_address(&self) -> *const Owner {
        self.owner.load(Ordering::Relaxed)
    }

    /// PENDING to RUNNING: the caller then runs the work. False: it was cancelled, or another runs it.
    pub(crate) fn start(&self) -> bool {
        let mut seen = self.state.load(Ordering::Relaxed);
        while phase(seen) == PENDING {
            let next = seen | RUNNING;
            match self
                .state
                .compare_exchange_weak(seen, next, Ordering::Acquire, Ordering::Relaxed)
            {
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
    fn claim(&self, flags: usize) -> Option<usize> {
        let mut seen = self.state.load(Ordering::Relaxed);
        while phase(seen) == PENDING {
            let leaving = if seen & OWNED == 0 { 0 } else { flags & LEAVING };
            let next = seen | COMPLETING | (flags & !LEAVING) | leaving;
            match self
                .state
                .compare_exchange_weak(seen, next, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return Some(seen),
                Err(now) => seen = now,
            }
        }
        None
    }

    /// Claims a queued task and tells its executor, whose wakers for freed room are woken once that is over.
    fn claim_queued(&self, flags: usize, how: Left) -> bool {
        let Some(before) = self.claim(flags | LEAVING) else {
            return false;
        };
        if before & OWNED != 0 {
            let owner = self.owner.load(Ordering::Relaxed);
            // SAFETY: OWNED was acquired with the claim. Until LEAVING is cleared, whoever takes the task off the
            // owner's queue waits, and the owner outlives what its queue holds (`Task::set_owner`).
            let wakers = unsafe { &*owner }.task_left(how);
            // ORDERING: Release: the owner may be freed by whoever sees the bit gone.
            self.state.fetch_and(!LEAVING, Ordering::Release);
            for waker in wakers {
                contain(|| waker.wake());
            }
        }
        true
    }

    /// Cancels a task that has not begun; true also if it was cancelled before.
    ///
    /// # Safety
    /// `cell` is live for the whole call, and a pointer to the whole cell.
    pub(crate) unsafe fn cancel(cell: NonNull<Header>) -> bool {
        // SAFETY: by contract.
        let header = unsafe { cell.as_ref() };
        if !header.claim_queued(CANCELLED, Left::Cancelled) {
            return header.load() & CANCELLED != 0;
        }
        clock::forget(header);
        // SAFETY: COMPLETING is ours by the claim; the caller's handle keeps its own reference (`false`).
        unsafe { (header.vtable.fail)(cell, TaskError::Cancelled(header.info()), false) };
        true
    }

    /// Claims a task that has waited in the queue for too long.
    pub(crate) fn claim_expired(&self) -> bool {
        self.claim_queued(0, Left::Expired)
    }

    /// Claims a task that its executor gives up.
    pub(crate) fn claim_abandoned(&self) -> bool {
        self.claim(0).is_some()
    }

    /// RUNNING to COMPLETING, for a task with a run limit: the runner and the clock both try, one wins.
    pub(crate) fn claim_running(&self, flags: usize) -> bool {
        let mut seen = self.state.load(Ordering::Relaxed);
        while phase(seen) == RUNNING {
            let next = (seen & !PHASE) | COMPLETING | flags;
            match self
                .state
                .compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Raises the cooperative flag.
    pub(crate) fn request_stop(&self) -> usize {
        // ORDERING: Release, with the Acquire of `is_stop_requested`: what the stopper did before is seen by the task.
        self.state.fetch_or(STOP, Ordering::Release)
    }

    pub(crate) fn is_stop_requested(&self) -> bool {
        self.load() & STOP != 0
    }

    /// Whether callbacks or an observer are to be told: then completing runs user code.
    pub(crate) fn has_listeners(&self) -> bool {
        self.load() & (CALLBACKS | OBSERVED) != 0
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

    /// Announces a sleeper; false if there is no need to sleep.
    pub(crate) fn set_parked(&self) -> bool {
        let mut seen = self.load();
        while phase(seen) != DONE {
            if seen & PARKED != 0 {
                return true;
            }
            match self
                .state
                .compare_exchange_weak(seen, seen | PARKED, Ordering::Relaxed, Ordering::Acquire)
            {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
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
        // SAFETY: not DONE with OBSERVED clear: the slot is the unique handle's, now and at a later DONE.
        self.observer.with_mut(|slot| unsafe { *slot = observer });
        let mut seen = self.load();
        while phase(seen) != DONE {
            // ORDERING: Release publishes the slot to the completer, whose transition to DONE acquires it.
            match self
                .state
                .compare_exchange_weak(seen, seen | OBSERVED, Ordering::Release, Ordering::Acquire)
            {
                Ok(_) => return Ok(()),
                Err(now) => seen = now,
            }
        }
        // SAFETY: DONE came while OBSERVED was clear, so the completer leaves the slot to us.
        Err(self.observer.with_mut(|slot| unsafe { std::mem::take(&mut *slot) }))
    }

    /// Disarms the observer slot; false if it was not armed or the completer has taken it.
    ///
    /// # Safety
    /// The caller is the unique handle.
    pub(crate) unsafe fn stop_observing(&self) -> bool {
        let mut seen = self.load();
        while seen & OBSERVED != 0 {
            // ORDERING: Acquire: the slot is read or rewritten next.
            match self
                .state
                .compare_exchange_weak(seen, seen & !OBSERVED, Ordering::Acquire, Ordering::Acquire)
            {
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

impl<T> Core<T> {
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The outcome of a done future.
    ///
    /// # Safety
    /// DONE was seen, or the caller runs this future's callbacks; and the outcome is not taken meanwhile.
    pub(crate) unsafe fn outcome(&self) -> &Outcome<T> {
        // SAFETY: no one writes the outcome after it was published, but the unique handle that takes it.
        self.outcome
            .with(|outcome| unsafe { (*outcome).as_ref() })
            .expect("a done future has its outcome until taken")
    }

    /// Moves the outcome out.
    ///
    /// # Safety
    /// DONE was seen, and the caller is the unique handle, no longer lent to anyone.
    pub(crate) unsafe fn take_outcome(&self) -> Option<Outcome<T>> {
        // SAFETY: no callback runs any more, and late ones borrow the handle, which the caller owns alone.
        self.outcome.with_mut(|outcome| unsafe { (*outcome).take() })
    }

    /// Registers a callback; runs it here and now if the future is done (see `CALLBACKS` and `DRAINING`).
    pub(crate) fn add_callback(&self, callback: Box<dyn FnOnce(&Outcome<T>) + Send>) {
        self.callbacks.push(callback);
        // ORDERING: Release publishes the push to the completer; Acquire shows a finished outcome to us.
        let before = self.header.state.fetch_or(CALLBACKS, Ordering::AcqRel);
        if phase(before) == DONE {
            self.drain_late();
        }
    }

    /// Runs callbacks of a done future, one thread at a time, since `&T` may not be shared.
    fn drain_late(&self) {
        let state = &self.header.state;
        let mut seen = self.header.load();
        while seen & CALLBACKS != 0 && seen & DRAINING == 0 {
            let next = (seen & !CALLBACKS) | DRAINING;
            match state.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    // SAFETY: DONE, and DRAINING is ours; the handle is lent to this call, so nobody takes the outcome.
                    self.callbacks.run(unsafe { self.outcome() });
                    // ORDERING: AcqRel: our use of the outcome ends before the next drainer's begins.
                    seen = state.fetch_and(!DRAINING, Ordering::AcqRel) & !DRAINING;
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Fulfils a promise: RUNNING is the caller's, and so is the reference that goes.
    ///
    /// # Safety
    /// `core` is live, RUNNING was won by the caller, who gives up a reference.
    pub(crate) unsafe fn fulfil(core: NonNull<Self>, outcome: Outcome<T>) {
        // SAFETY: RUNNING without a run limit (promises have none): the outcome is ours to write.
        unsafe {
            core.as_ref().outcome.with_mut(|slot| *slot = Some(outcome));
            complete(core, true);
        }
    }
}

/// Runs the work and completes.
///
/// # Safety
/// `header` heads a live `Cell<T, W>` whose `start` the caller won; with `release` the caller's reference goes.
unsafe fn run<T, W: Work<T>>(pointer: NonNull<Header>, on_end: &dyn Fn(Ended), release: bool) {
    // SAFETY: by contract.
    let cell = unsafe { pointer.cast::<Cell<T, W>>().as_ref() };
    // SAFETY: we won `start`, so the work is ours.
    let work = cell
        .work
        .with_mut(|work| unsafe { (*work).take() })
        .expect("work is taken once, by whoever starts it");
    let header = &cell.core.header;
    // SAFETY: the cell lives throughout this call.
    unsafe { clock::begin(pointer) };
    let result = current::with_task(header, || catch(|| work.call()));
    clock::forget(header);
    let outcome = result.map_err(|caught| TaskError::Panicked(crate::panic::Panic::new(header.info(), caught)));
    on_end(if outcome.is_ok() {
        Ended::Completed
    } else {
        Ended::Failed
    });
    let timed = header.state.load(Ordering::Relaxed) & TIMED != 0;
    if timed && !header.claim_running(0) {
        // The clock has resolved the future; what the task still returned concerns nobody.
        contain(|| drop(outcome));
        if release {
            // SAFETY: the caller's reference goes.
            contain(|| unsafe { release_cell(pointer) });
        }
        return;
    }
    // SAFETY: RUNNING, or COMPLETING by the claim above: the outcome is ours to write.
    unsafe {
        cell.core.outcome.with_mut(|slot| *slot = Some(outcome));
        complete(pointer.cast::<Core<T>>(), release);
    }
}

/// Completes a claimed cell with an error.
///
/// # Safety
/// `header` heads a live `Cell<T, W>` whose COMPLETING is the caller's; with `release` the caller's reference goes.
unsafe fn fail<T, W>(pointer: NonNull<Header>, error: TaskError, release: bool) {
    // SAFETY: by contract.
    let cell = unsafe { pointer.cast::<Cell<T, W>>().as_ref() };
    // SAFETY: the phase left PENDING by the caller's doing. A clock that ended a run finds the work taken already.
    let work = cell.work.with_mut(|work| unsafe { (*work).take() });
    contain(|| drop(work));
    // SAFETY: COMPLETING is ours.
    unsafe {
        cell.core.outcome.with_mut(|slot| *slot = Some(Err(error)));
        complete(pointer.cast::<Core<T>>(), release);
    }
}

/// To DONE: callbacks first, then the observer and sleepers; with `release` the caller's reference goes along.
///
/// # Safety
/// `core` is live, its outcome is written, and the phase is the caller's RUNNING or COMPLETING.
unsafe fn complete<T>(core: NonNull<Core<T>>, release: bool) {
    // SAFETY: live until our reference goes, which is the last thing done with it.
    let cell = unsafe { core.as_ref() };
    let header = &cell.header;
    let mut seen = header.load();
    let listeners = loop {
        if seen & CALLBACKS != 0 {
            let next = (seen & !(PHASE | CALLBACKS)) | COMPLETING;
            match header
                .state
                .compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => {
                    // SAFETY: the outcome is written and no handle takes it before DONE.
                    current::run_callbacks_of(header, || cell.callbacks.run(unsafe { cell.outcome() }));
                    seen = header.load();
                }
                Err(now) => seen = now,
            }
            continue;
        }
        if release && references(seen) == 1 {
            // The handle is gone: nobody is left to tell.
            // SAFETY: ours is the last reference, and the Acquire load saw the others go.
            contain(|| unsafe { (header.vtable.destroy)(core.cast()) });
            return;
        }
        let listeners = seen & (PARKED | OBSERVED);
        let leaving = if release && listeners == 0 { REFERENCE } else { 0 };
        let next = ((seen & !(PARKED | OBSERVED)) | DONE) - leaving;
        // ORDERING: Release publishes the outcome; Acquire takes over the observer slot. With no listeners the
        // reference goes in the same step: the cell may be freed at once and is not touched below.
        match header
            .state
            .compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) if listeners == 0 => return,
            Ok(_) => break listeners,
            Err(now) => seen = now,
        }
    };
    if listeners & OBSERVED != 0 {
        // SAFETY: our transition to DONE cleared OBSERVED, which makes the slot ours; our reference is still held.
        unsafe { Observer::notify(core.cast()) };
    }
    if listeners & PARKED != 0 {
        parking::unpark_all(header.address());
    }
    if release {
        // SAFETY: the caller's reference goes.
        contain(|| unsafe { release_cell(core.cast()) });
    }
}

/// Gives up one reference; the last one frees the cell.
///
/// # Safety
/// The caller owns the reference that goes.
pub(crate) unsafe fn release_cell(header: NonNull<Header>) {
    // SAFETY: live, since the caller still has its reference.
    let cell = unsafe { header.as_ref() };
    // ORDERING: the Acquire load of a count of one sees all that other owners did before they left, and saves the
    // read-modify-write: nobody else can raise the count then. Else as in `Arc`, with Acquire folded in.
    if references(cell.load()) == 1 || references(cell.state.fetch_sub(REFERENCE, Ordering::AcqRel)) == 1 {
        let destroy = cell.vtable.destroy;
        // SAFETY: the last reference is ours.
        unsafe { destroy(header) }
    }
}

/// Frees the cell with all that is left in it.
///
/// # Safety
/// `header` heads a live `Cell<T, W>` to which nobody else holds a reference.
unsafe fn destroy<T, W>(header: NonNull<Header>) {
    // SAFETY: by contract; `allocate` made it as this very box.
    drop(unsafe { Box::from_raw(header.cast::<Cell<T, W>>().as_ptr()) });
}
