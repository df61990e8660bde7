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
//! The executor side knows a `Header` pointer, the handle a `Core<T>` pointer; each is a prefix of the next, so one address
//! serves them all. `state.rs` has the transitions of the state word; here is what happens with the typed parts: running the
//! work, completing, lending and taking the outcome, freeing.
//!
//! A plain life costs three read-modify-writes of the state word (taken by an executor; started; completed and released
//! in one) plus what the queue needs. Nobody waits: no lock, no system call.

pub(crate) mod callback;
pub(crate) mod clock;
pub(crate) mod current;
pub(crate) mod expiry;
pub(crate) mod header;
pub(crate) mod observer;
pub(crate) mod outcome;
pub(crate) mod owner;
pub(crate) mod ready_list;
mod remote;
pub(crate) mod remote_work;
pub(crate) mod state;
pub(crate) mod task;
pub(crate) mod transition;
pub(crate) mod work;
pub(crate) mod worker;

use crate::cell::callback::{Callback, CallbackList};
use crate::cell::header::{Header, Link, Vtable};
use crate::cell::observer::Observer;
use crate::cell::outcome::Outcome;
use crate::cell::owner::Ended;
use crate::cell::state::Listeners;
use crate::cell::transition::{Reclaim, ToDone};
use crate::cell::work::Work;
use crate::error::{Panic, TaskError};
use crate::fork::Origin;
use crate::options::TaskOptions;
use crate::sync::UnsafeCell;
use executor_wire::panic::{catch, contain};
use std::mem::needs_drop;
use std::panic::Location;
use std::ptr::NonNull;

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

/// A counted pointer to a cell; `count`, `another` and `Drop` keep the count.
pub(crate) struct CellRef(NonNull<Header>);

// SAFETY: a cell's work, outcome, callbacks and observer are all `Send` (`allocate` asks for it), and which thread may
// touch which is decided by the state word.
unsafe impl Send for CellRef {}
// SAFETY: through a shared `CellRef` only the atomics and the never-changing fields are reached.
unsafe impl Sync for CellRef {}

/// Makes a cell with two references, and returns the executor's and the handle's.
pub(crate) fn allocate<T: Send + 'static, W: Work<T> + Send + 'static>(
    work: W,
    options: Option<TaskOptions>,
    location: &'static Location<'static>,
) -> (CellRef, NonNull<Core<T>>) {
    let cell = Box::new(Cell {
        core: Core {
            header: Header::new(
                const {
                    &Vtable {
                        run: run::<T, W>,
                        fail: fail::<T, W>,
                        fail_unheard: fail_unheard::<T>,
                        destroy: destroy::<T, W>,
                        remote: W::REMOTE,
                    }
                },
                options,
                location,
            ),
            callbacks: CallbackList::<T>::new(),
            outcome: UnsafeCell::new(None),
        },
        work: UnsafeCell::new(Some(work)),
    });
    let core = NonNull::from(Box::leak(cell)).cast::<Core<T>>();
    (CellRef(core.cast()), core)
}

impl CellRef {
    /// Takes over the reference that a raw pointer stood for.
    ///
    /// # Safety
    /// `link` came from `into_link`, and this is the only call for it.
    pub(crate) unsafe fn from_link(link: NonNull<Link>) -> Self {
        Self(link.cast())
    }

    /// Returns the queue's pointer; the reference goes with it.
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

    /// Returns another reference, for a clock.
    pub(crate) fn another(&self) -> Self {
        // SAFETY: ours keeps the cell alive.
        unsafe { Self::count(self.0) }
    }

    /// Counts one more reference.
    ///
    /// # Safety
    /// `cell` is live, and a pointer to the whole cell.
    pub(crate) unsafe fn count(cell: NonNull<Header>) -> Self {
        // SAFETY: by contract.
        unsafe { cell.as_ref() }.state.add_reference();
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

    /// Ends the run that the caller claimed, if no user code runs by that; else returns the error.
    pub(crate) fn fail_unheard(&self, error: TaskError) -> Result<(), TaskError> {
        // SAFETY: the pointer is live, and COMPLETING is the caller's.
        unsafe { (self.header().vtable.fail_unheard)(self.0, error) }
    }

    /// Gives up this reference, unless it is the last: what is in the cell may have destructors that are user code.
    pub(crate) fn release_unless_last(self) -> Result<(), Self> {
        let cell = std::mem::ManuallyDrop::new(self);
        if cell.header().state.release_unless_last() { Ok(()) } else { Err(std::mem::ManuallyDrop::into_inner(cell)) }
    }

    /// Takes the work back from a task that no executor took. `None` if something else got hold of it first.
    ///
    /// # Safety
    /// The cell was allocated with these very types.
    pub(crate) unsafe fn recover<T, W>(self) -> Option<W> {
        if !self.header().claim(false, false).is_won() {
            return None;
        }
        // SAFETY: the caller vouches for the types; the claim left PENDING, so the work is ours.
        unsafe { Self::take_work::<T, W>(self.0) }
    }

    /// Takes the work of a cell.
    ///
    /// # Safety
    /// The cell was allocated with these very types, is live, and its work is the caller's (see `state.rs`).
    pub(crate) unsafe fn take_work<T, W>(cell: NonNull<Header>) -> Option<W> {
        // SAFETY: by contract.
        unsafe { cell.cast::<Cell<T, W>>().as_ref().work.with_mut(|work| (*work).take()) }
    }

    /// Lends the work of a cell, where it is.
    ///
    /// # Safety
    /// As for `take_work`, as long as the reference lives.
    pub(crate) unsafe fn work<'a, T, W>(cell: NonNull<Header>) -> Option<&'a mut W> {
        // SAFETY: by contract.
        unsafe { cell.cast::<Cell<T, W>>().as_ref().work.with_mut(|work| (*work).as_mut()) }
    }

    /// Returns whether no handle is left, and no callback waits: nobody will see the outcome.
    pub(crate) fn is_unwanted(&self) -> bool {
        self.header().load().is_unwanted()
    }

    /// Tells an executor how a REMOTE task has ended, just before its future shows it. A part of a chunk counts with its chunk.
    pub(crate) fn tell_end(&self, ended: Ended, on_end: &dyn Fn(Ended)) {
        contain(|| on_end(if self.header().is_part() { Ended::Part } else { ended }));
    }

    /// Ends a REMOTE task, and gives up this reference. If it was cancelled meanwhile, the outcome is dropped, and `on_end` hears
    /// nothing.
    ///
    /// # Safety
    /// `T` is the type of the cell's result.
    pub(crate) unsafe fn end_remote<T>(self, outcome: Outcome<T>, ended: Ended, on_end: &dyn Fn(Ended)) {
        if self.header().state.reclaim() == Reclaim::Over {
            return;
        }
        clock::forget(self.header());
        self.tell_end(ended, on_end);
        let core = std::mem::ManuallyDrop::new(self).0.cast::<Core<T>>();
        // SAFETY: RUNNING is ours, and no clock ends the run of a REMOTE task: the outcome is ours to write. Our
        // reference goes with the completion.
        unsafe {
            core.as_ref().outcome.with_mut(|slot| *slot = Some(outcome));
            complete(core, true);
        }
    }
}

impl Drop for CellRef {
    fn drop(&mut self) {
        // SAFETY: this is our reference, and it goes now.
        unsafe { release_cell(self.0) }
    }
}

impl<T> Core<T> {
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Lends the outcome of a done future.
    ///
    /// # Safety
    /// DONE was seen, or the caller runs this future's callbacks; and the outcome is not taken meanwhile.
    pub(crate) unsafe fn outcome(&self) -> &Outcome<T> {
        // SAFETY: no one writes the outcome after it was published, but the unique handle that takes it.
        self.outcome.with(|outcome| unsafe { (*outcome).as_ref() }).expect("a done future has its outcome until taken")
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
    pub(crate) fn add_callback(&self, callback: Callback<T>) {
        self.callbacks.push(callback);
        if self.header.state.add_callback() {
            // One thread at a time, since `&T` may not be shared.
            // SAFETY: DONE, and DRAINING is ours; the handle is lent to this call, so nobody takes the outcome.
            self.header.state.drain(|| self.callbacks.run(unsafe { self.outcome() }));
        }
    }

    /// Ends a future whose task belongs to an executor of another process, of which this one is a fork. Its callbacks and its
    /// work are left where they are: what they would do is for that process to do.
    #[cold]
    pub(crate) fn end_left_behind(&self) {
        static ONE_AT_A_TIME: parking_lot::Mutex<()> = parking_lot::Mutex::new(());
        let _one_at_a_time = ONE_AT_A_TIME.lock();
        if self.header.is_done() {
            return;
        }
        let error = TaskError::Broken(self.header.info(), Origin::elsewhere());
        // SAFETY: not DONE, and only threads of the other process could write the outcome, so it is ours, under the lock. What
        // is there may be half written, and is overwritten without a look.
        self.outcome.with_mut(|slot| unsafe { slot.write(Some(Err(error))) });
        self.callbacks.forget();
        self.header.state.end_left_behind();
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
    let work =
        cell.work.with_mut(|work| unsafe { (*work).take() }).expect("work is taken once, by the thread that starts it");
    let header = &cell.core.header;
    // SAFETY: the cell lives throughout this call.
    unsafe { clock::begin(pointer) };
    let result = current::with_task(header, || catch(|| work.call()));
    clock::forget(header);
    let outcome = result.map_err(|caught| TaskError::Panicked(Panic::new(header.info(), caught)));
    // Neither flag changes while a task runs.
    let flags = header.state.load_settled();
    contain(|| {
        on_end(match &outcome {
            _ if flags.is_part() => Ended::Part,
            Ok(_) => Ended::Completed,
            Err(_) => Ended::Failed,
        })
    });
    if flags.is_timed() && !header.state.claim_running(false).is_won() {
        // The clock has resolved the future; what the task still returned concerns nobody.
        current::run_completion_hooks(|| contain(|| drop(outcome)));
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
    if !cell.core.header.load().is_remote() {
        // SAFETY: the phase left PENDING by the caller's doing. A clock that ended a run finds the work taken already.
        let work = cell.work.with_mut(|work| unsafe { (*work).take() });
        contain(|| drop(work));
    }
    // SAFETY: COMPLETING is ours.
    unsafe {
        cell.core.outcome.with_mut(|slot| *slot = Some(Err(error)));
        complete(pointer.cast::<Core<T>>(), release);
    }
}

/// Completes a cell whose run was claimed with an error, if no user code runs by that; else returns the error.
///
/// # Safety
/// `pointer` heads a live cell of that result, whose COMPLETING is the caller's, and whose work is taken.
unsafe fn fail_unheard<T>(pointer: NonNull<Header>, error: TaskError) -> Result<(), TaskError> {
    // SAFETY: by contract.
    let core = unsafe { pointer.cast::<Core<T>>().as_ref() };
    // SAFETY: COMPLETING is ours, here and below.
    core.outcome.with_mut(|slot| unsafe { *slot = Some(Err(error)) });
    let Some(sleepers) = core.header.state.to_done_unheard() else {
        // SAFETY: as above.
        return match core.outcome.with_mut(|slot| unsafe { (*slot).take() }) {
            Some(Err(error)) => Err(error),
            _ => unreachable!("nobody else writes the outcome"),
        };
    };
    core.header.wake_sleepers(sleepers);
    Ok(())
}

/// To DONE: callbacks first, then the observer and sleepers; with `release` the caller's reference goes along.
///
/// # Safety
/// `core` is live, its outcome is written, and the phase is the caller's RUNNING or COMPLETING.
unsafe fn complete<T>(core: NonNull<Core<T>>, release: bool) {
    // SAFETY: live until our reference goes, which is the last thing done with it.
    let cell = unsafe { core.as_ref() };
    let listeners = loop {
        match cell.header.state.to_done(release) {
            ToDone::Released => return,
            ToDone::Done(listeners) => break listeners,
            // SAFETY: ours is the last reference, and the transition saw the others go.
            ToDone::Unwanted => return unsafe { free_unwanted(core) },
            ToDone::Callbacks if current::is_deep_in_callbacks() => {
                // SAFETY: the reference that goes with the completion is the caller's, or a new one.
                return unsafe { put_off(core, release) };
            }
            ToDone::Callbacks => {
                cell.header.state.take_callbacks();
                // SAFETY: the outcome is written and no handle takes it before DONE.
                current::run_callbacks_of(&cell.header, || cell.callbacks.run(unsafe { cell.outcome() }));
            }
        }
    };
    // SAFETY: the transition was ours, and so is the reference, still.
    unsafe { tell(core.cast(), listeners, release) }
}

/// Frees a cell of which no handle is left: nobody will see the outcome.
///
/// # Safety
/// The caller holds the only reference, which goes.
unsafe fn free_unwanted<T>(core: NonNull<Core<T>>) {
    let cell = core.cast::<Header>();
    // SAFETY: by contract.
    let destroy = || contain(|| unsafe { (cell.as_ref().vtable.destroy)(cell) });
    if needs_drop::<T>() { current::run_completion_hooks(destroy) } else { destroy() }
}

/// Tells those who wait that a future is done; with `release` the caller's reference goes afterwards.
///
/// # Safety
/// The caller's transition to DONE has found these listeners, and the caller holds a reference.
unsafe fn tell(cell: NonNull<Header>, listeners: Listeners, release: bool) {
    if listeners.has_observer() {
        // SAFETY: our transition to DONE cleared OBSERVED, which makes the slot ours; our reference is still held.
        unsafe { Observer::notify(cell) };
    }
    // SAFETY: our reference is still held.
    unsafe { cell.as_ref() }.wake_sleepers(listeners);
    if release {
        // SAFETY: the caller's reference goes.
        contain(|| unsafe { release_cell(cell) });
    }
}

/// Leaves the rest of `complete` for later.
///
/// # Safety
/// As for `complete`.
unsafe fn put_off<T>(core: NonNull<Core<T>>, release: bool) {
    /// # Safety
    /// As for `complete`, a reference included.
    unsafe fn go_on<T>(cell: NonNull<Header>) {
        // SAFETY: by contract.
        unsafe { complete(cell.cast::<Core<T>>(), true) }
    }
    // SAFETY: the cell is live; the phase stays ours until `go_on`, which gets a reference of its own.
    unsafe {
        if !release {
            let _counted = std::mem::ManuallyDrop::new(CellRef::count(core.cast()));
        }
        current::defer(core.cast(), go_on::<T>);
    }
}

/// Gives up one reference; the last one frees the cell.
///
/// # Safety
/// The caller owns the reference that goes.
pub(crate) unsafe fn release_cell(header: NonNull<Header>) {
    // SAFETY: live, since the caller still has its reference.
    let cell = unsafe { header.as_ref() };
    if cell.state.release() {
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
