//! What this thread is doing: which task it runs, whose callbacks it runs, which pool it works for.
//!
//! A callback may complete another future, whose callback completes a third, and so on. Up to a depth each runs inside
//! the one before; beyond it the completion is put off until the outermost callback has returned, or until this thread
//! is about to wait, so that a chain of a million futures needs no more stack than a short one.

use crate::cell::header::Header;
use crate::cell::worker::InlineWorker;
use crate::sync::{kept, local};
use std::cell::Cell;
use std::collections::VecDeque;
use std::ptr::{self, NonNull};

/// A future whose callbacks run on this thread. Frames nest, since a callback may complete another future.
struct Frame {
    address: usize,
    depth: usize,
    outer: *const Frame,
}

/// How deep callbacks nest before completions are put off: deeper than programs nest them by hand, and some hundred
/// kilobytes of stack at most.
const MOST_NESTED: usize = 100;

/// A completion that was put off: the cell, one reference to it, and how to go on.
struct Deferred {
    cell: NonNull<Header>,
    complete: unsafe fn(NonNull<Header>),
}

local! {
    static TASK: Cell<*const Header> = Cell::new(ptr::null());
    static CALLBACKS: Cell<*const Frame> = Cell::new(ptr::null());
    static WORKER: Cell<Option<*const dyn InlineWorker>> = Cell::new(None);
    static RUNS_DEFERRED: Cell<bool> = Cell::new(false);
}

kept! {
    static DEFERRED: VecDeque<Deferred> = VecDeque::new();
}

/// Puts a thread-local value back when dropped, panics included.
struct Restore<T: Copy, Set: Fn(T)> {
    set: Set,
    outer: T,
}

impl<T: Copy, Set: Fn(T)> Drop for Restore<T, Set> {
    fn drop(&mut self) {
        (self.set)(self.outer);
    }
}

/// Runs `f` as the task of `header`.
pub(crate) fn with_task<R>(header: &Header, f: impl FnOnce() -> R) -> R {
    let outer = TASK.with(|task| task.replace(ptr::from_ref(header)));
    let _restore = Restore { set: |outer| TASK.with(|task| task.set(outer)), outer };
    f()
}

/// Returns the task that this thread runs, for work that looks at it often.
///
/// # Panics
/// Outside a task.
pub(crate) fn task<'a>() -> &'a Header {
    // SAFETY: `with_task` is on this thread's stack, and its caller holds a reference to the cell; the work that asks is
    // called by it and keeps the answer no longer than its own call.
    unsafe { TASK.with(Cell::get).as_ref() }.expect("asked from inside a task")
}

/// Runs `f` inside another frame.
fn with_frame(address: usize, depth: usize, f: impl FnOnce()) {
    let outer = CALLBACKS.with(Cell::get);
    let frame = Frame { address, depth, outer };
    CALLBACKS.with(|frames| frames.set(ptr::from_ref(&frame)));
    let _restore = Restore { set: |outer| CALLBACKS.with(|frames| frames.set(outer)), outer };
    f();
}

/// Runs `f`, which runs the callbacks of `header`. The outermost call then runs the completions that were put off.
pub(crate) fn run_callbacks_of(header: &Header, f: impl FnOnce()) {
    let depth = depth();
    with_frame(header.address(), depth + 1, || run_completion_hooks(f));
    if depth == 0 && !RUNS_DEFERRED.with(Cell::get) {
        run_deferred();
    }
}

/// Runs user code that follows a task, by way of the worker that this thread may be.
pub(crate) fn run_completion_hooks(f: impl FnOnce()) {
    let mut f = Some(f);
    let mut once = || {
        if let Some(f) = f.take() {
            f();
        }
    };
    if worker(|worker| worker.run_completion_hooks(&mut once)).is_none() {
        once();
    }
}

/// Returns how deep the callbacks that run on this thread are nested.
fn depth() -> usize {
    // SAFETY: frames live on this thread's stack, below us, until their `Restore` unlinks them.
    unsafe { CALLBACKS.with(Cell::get).as_ref() }.map_or(0, |frame| frame.depth)
}

/// Returns whether callbacks are nested so deep that the next completion is put off.
pub(crate) fn is_deep_in_callbacks() -> bool {
    depth() >= MOST_NESTED
}

/// Puts a completion off.
///
/// # Safety
/// `complete(cell)` may be called once, on this thread.
pub(crate) unsafe fn defer(cell: NonNull<Header>, complete: unsafe fn(NonNull<Header>)) {
    if DEFERRED.with(|deferred| deferred.push_back(Deferred { cell, complete })).is_none() {
        // This thread is ending, and with it the list: go on here, whatever the depth.
        // SAFETY: by contract.
        unsafe { complete(cell) };
    }
}

/// Runs the completions that were put off on this thread. Called before the thread waits, too, which may be for one of them.
///
/// Counts the depth anew: what runs from here has the rest of the stack, and must not be put off again at once.
pub(crate) fn run_deferred() {
    if DEFERRED.with(|deferred| deferred.is_empty()) != Some(false) {
        return;
    }
    let outer = RUNS_DEFERRED.with(|runs| runs.replace(true));
    let _restore = Restore { set: |outer| RUNS_DEFERRED.with(|runs| runs.set(outer)), outer };
    let next = || DEFERRED.with(VecDeque::pop_front).flatten();
    with_frame(0, 0, || {
        while let Some(Deferred { cell, complete }) = next() {
            // SAFETY: promised by `defer`; it leaves the list here.
            unsafe { complete(cell) };
        }
    });
}

/// Returns whether this thread is inside a callback of that future: waiting for it would then be waiting for itself.
pub(crate) fn runs_callbacks_of(header: &Header) -> bool {
    let mut frame = CALLBACKS.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: frames live on this thread's stack, below us, until their `Restore` unlinks them.
    while let Some(here) = unsafe { frame.as_ref() } {
        if here.address == header.address() {
            return true;
        }
        frame = here.outer;
    }
    false
}

/// Runs `f` on a thread that works for `worker`'s pool.
pub(crate) fn with_worker<R>(worker: &dyn InlineWorker, f: impl FnOnce() -> R) -> R {
    // SAFETY: only the lifetime is erased; `Restore` takes the pointer away before the borrow ends.
    let erased: *const dyn InlineWorker =
        unsafe { std::mem::transmute::<*const (dyn InlineWorker + '_), *const (dyn InlineWorker + 'static)>(worker) };
    let outer = WORKER.with(|worker| worker.replace(Some(erased)));
    let _restore = Restore { set: |outer| WORKER.with(|worker| worker.set(outer)), outer };
    f()
}

/// Runs `f` with the worker that this thread is, if it is one.
pub(crate) fn worker<R>(f: impl FnOnce(&dyn InlineWorker) -> R) -> Option<R> {
    let worker = WORKER.try_with(Cell::get).ok().flatten()?;
    // SAFETY: `with_worker` is still on this thread's stack and keeps the worker borrowed.
    Some(f(unsafe { &*worker }))
}

/// Returns the worker that this thread is, if it runs that task for its pool; for work that asks often.
pub(crate) fn worker_of<'a>(task: &Header) -> Option<&'a dyn InlineWorker> {
    let worker = WORKER.try_with(Cell::get).ok().flatten()?;
    // SAFETY: `with_worker` is on this thread's stack and keeps the worker borrowed; the work that asks is called inside of it
    // and keeps the answer no longer than its own call.
    let worker = unsafe { &*worker };
    task.is_owned_by(worker.owner()).then_some(worker)
}

/// Returns whether the task that this thread runs was asked to stop: by [`Future::stop`](crate::Future::stop), or because its
/// run limit passed. Outside a task: false.
///
/// Costs one load and a thread-local read: cheap enough for the head of a loop.
///
/// ```
/// use executor_core::is_stop_requested;
///
/// fn count_to(limit: u64) -> u64 {
///     (0..limit).take_while(|_| !is_stop_requested()).count() as u64
/// }
/// assert_eq!(count_to(1000), 1000);
/// ```
#[must_use]
pub fn is_stop_requested() -> bool {
    let task = TASK.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: `with_task` is on this thread's stack, and its caller holds a reference to the cell.
    if let Some(task) = unsafe { task.as_ref() } {
        return task.is_stop_requested();
    }
    executor_wire::is_stop_requested()
}
