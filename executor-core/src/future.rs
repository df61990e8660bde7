//! [`Future`]: the unique handle of one task.

mod cancel_on_drop;
mod promise;
mod shared;

pub use cancel_on_drop::CancelOnDrop;
pub use promise::Promise;
pub use shared::SharedFuture;

use crate::cell::header::Header;
use crate::cell::observer::Observer;
use crate::cell::outcome::Outcome;
use crate::cell::transition::Phase;
use crate::cell::{Core, current, release_cell};
use crate::deadline::{deadline_after, is_over_at_once};
use crate::error::{TaskError, TimedOut};
use crate::info::{TaskId, TaskInfo};
use crate::waiting;
use crate::waiting::help::help;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The handle of one submitted task: it cancels, waits, calls back, and returns the outcome, once.
///
/// The handle is unique; [`share`](Self::share) makes one that can be cloned. Dropping it detaches the task: it still
/// runs, its outcome is dropped. See [`cancel_on_drop`](Self::cancel_on_drop) for the opposite.
///
/// It is also a [`std::future::Future`], to be awaited on any runtime: no runtime is needed, none is assumed.
///
/// Guarantees:
///
/// - A future always becomes done, whatever happens to its task or its executor.
/// - `cancel` is exact: true if and only if the task never ran and never will.
/// - Callbacks that were added before completion have run when the future is done for anyone but them.
/// - On a worker of the task's own pool, a wait for a task that has not begun runs it right there, so that tasks may
///   wait for tasks of the same pool at any depth. A time limit does not interrupt it then.
///
/// ```
/// use executor_core::{ExecutorExt, SerialExecutor};
///
/// let executor = SerialExecutor::new();
/// let future = executor.submit(|(base, exponent)| u64::pow(base, exponent), (2, 10))?;
/// assert_eq!(future.result()?, 1024);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping a future detaches its task, whose outcome is then lost"]
pub struct Future<T> {
    core: NonNull<Core<T>>,
    taken: bool,
    owns: PhantomData<Outcome<T>>,
}

// SAFETY: the handle moves a `T` from the task's thread to its own; that asks for `T: Send`.
unsafe impl<T: Send> Send for Future<T> {}
// SAFETY: through a shared handle a `&T` is lent only to callbacks, and they run one at a time (see `CALLBACKS` and
// `DRAINING` in `state.rs`), so `T: Send` is enough. `&TaskError` is lent freely; `TaskError` is `Sync`.
unsafe impl<T: Send> Sync for Future<T> {}
impl<T> Unpin for Future<T> {}
impl<T> UnwindSafe for Future<T> {}
impl<T> RefUnwindSafe for Future<T> {}

/// What [`Future::stop`] has done.
///
/// ```
/// let (_promise, future) = executor_core::Promise::<u8>::new();
/// assert_eq!(future.stop(), executor_core::Stop::Cancelled);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// The task had not begun and never will.
    Cancelled,
    /// The task is running and was asked to stop.
    Requested,
    /// The task was already over.
    Done,
}

impl<T> Future<T> {
    /// # Safety
    /// The caller gives up one reference to the live cell, and no other handle of it exists.
    pub(crate) unsafe fn from_core(core: NonNull<Core<T>>) -> Self {
        Self { core, taken: false, owns: PhantomData }
    }

    fn core(&self) -> &Core<T> {
        // SAFETY: the handle holds a reference.
        unsafe { self.core.as_ref() }
    }

    pub(crate) fn header(&self) -> &Header {
        self.core().header()
    }

    /// Ends the future with an error if its task belongs to the process that this one is a fork of: it would never be done here.
    #[inline]
    pub(crate) fn end_if_left_behind(&self) {
        if self.header().is_left_behind() {
            self.core().end_left_behind();
        }
    }

    pub(crate) fn pointer(&self) -> NonNull<Header> {
        self.core.cast()
    }

    /// Returns the task's number, for maps from future to input.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.header().id()
    }

    /// Returns the task's number, name and place of submission.
    #[must_use]
    pub fn info(&self) -> TaskInfo {
        self.header().info()
    }

    /// Cancels the task if it has not begun. Returns true if it never ran and never will: the future is then done with
    /// [`TaskError::Cancelled`], for all threads, at once. Returns false if it is running or over; nothing has changed then.
    ///
    /// The cancelling thread drops the task's arguments and runs the future's callbacks. A second cancel returns true as well.
    /// If it comes while the first is still running callbacks, the future is done once those callbacks are.
    ///
    /// ```
    /// let (promise, future) = executor_core::Promise::<u8>::new();
    /// assert!(future.cancel());
    /// assert!(future.is_cancelled() && future.is_done());
    /// # drop(promise);
    /// ```
    #[expect(clippy::must_use_candidate, reason = "many cancel without caring whether it was in time")]
    pub fn cancel(&self) -> bool {
        self.end_if_left_behind();
        // SAFETY: the handle keeps the cell alive.
        unsafe { Header::cancel(self.pointer()) }
    }

    /// Stops the task by the strongest means of its executor: cancels it if it has not begun, else raises the flag that the
    /// task reads by [`is_stop_requested`](crate::is_stop_requested).
    ///
    /// A running thread cannot be stopped from outside; the future's outcome is what the task then returns. In a pool of
    /// processes the worker that runs the task is ended, and with it the task; the future resolves with
    /// [`TaskError::Cancelled`] once the worker is gone, unless the task was over before.
    ///
    /// ```
    /// use executor_core::{Promise, Stop};
    ///
    /// let (promise, future) = Promise::<u8>::new();
    /// promise.start();
    /// assert_eq!(future.stop(), Stop::Requested);
    /// assert!(promise.is_stop_requested());
    /// ```
    #[expect(clippy::must_use_candidate, reason = "many stop without caring what it was doing")]
    pub fn stop(&self) -> Stop {
        if self.cancel() {
            return Stop::Cancelled;
        }
        if self.header().request_stop(true).is_done() { Stop::Done } else { Stop::Requested }
    }

    /// Like `stop`, but ends nothing by force: raises the flag of a running task, and no more.
    pub(crate) fn stop_gently(&self) {
        if !self.cancel() {
            self.header().request_stop(false);
        }
    }

    /// Returns whether the future has its outcome, or had: a result, an error or a cancel.
    ///
    /// ```
    /// let (promise, future) = executor_core::Promise::new();
    /// assert!(!future.is_done());
    /// promise.set_result(1).unwrap();
    /// assert!(future.is_done());
    /// ```
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.header().is_done() || current::runs_callbacks_of(self.header()) || {
            self.end_if_left_behind();
            self.header().is_done()
        }
    }

    /// Returns whether the task has begun and is not over.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.end_if_left_behind();
        self.header().is_running()
    }

    /// Returns whether the future is done because of a cancel.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.header().load().is_cancelled() && self.is_done()
    }

    /// Waits for the outcome, and returns it.
    ///
    /// # Errors
    ///
    /// The reason why there is no value; [`TaskError::Taken`] inside a callback of this very future, which has the outcome on
    /// loan.
    ///
    /// ```
    /// let (promise, future) = executor_core::Promise::new();
    /// promise.set_result("value").unwrap();
    /// assert_eq!(future.result()?, "value");
    /// # Ok::<(), executor_core::TaskError>(())
    /// ```
    pub fn result(mut self) -> Result<T, TaskError> {
        self.wait();
        self.take()
    }

    /// Waits for the outcome, no longer than `limit`, and returns it.
    ///
    /// # Errors
    ///
    /// The future itself, if it is not done by then. A limit of zero does not wait; one beyond the end of the clock waits for
    /// ever.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (promise, future) = executor_core::Promise::new();
    /// let future = future.result_timeout(Duration::from_millis(1)).unwrap_err();
    /// promise.set_result(7).unwrap();
    /// assert_eq!(future.result_timeout(Duration::MAX).unwrap()?, 7);
    /// # Ok::<(), executor_core::TaskError>(())
    /// ```
    pub fn result_timeout(mut self, limit: Duration) -> Result<Result<T, TaskError>, Self> {
        if self.wait_timeout(limit) && self.header().is_done() { Ok(self.take()) } else { Err(self) }
    }

    /// Waits until the future is done. Many threads may wait at once.
    ///
    /// ```
    /// let (promise, future) = executor_core::Promise::new();
    /// std::thread::spawn(move || promise.set_result(1));
    /// future.wait();
    /// assert!(future.is_done());
    /// ```
    pub fn wait(&self) {
        self.end_if_left_behind();
        // SAFETY: the handle keeps the cell alive.
        unsafe { waiting::wait(self.pointer(), None) };
    }

    /// Waits until the future is done, no longer than `limit`. Returns whether it is done.
    #[must_use = "the future may not be done"]
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        if is_over_at_once(limit) { self.is_done() } else { self.wait_until(deadline_after(limit)) }
    }

    pub(crate) fn wait_until(&self, deadline: Option<Instant>) -> bool {
        self.end_if_left_behind();
        // SAFETY: the handle keeps the cell alive.
        unsafe { waiting::wait(self.pointer(), deadline) }
    }

    /// Waits, and returns the error; `None` if the task returned.
    ///
    /// ```
    /// let (promise, future) = executor_core::Promise::new();
    /// promise.set_result(1).unwrap();
    /// assert!(future.exception().is_none());
    /// ```
    #[must_use]
    pub fn exception(&self) -> Option<&TaskError> {
        self.wait();
        self.error()
    }

    /// Like [`exception`](Self::exception), but waits no longer than `limit`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if the future is not done by then.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (promise, future) = executor_core::Promise::<u8>::new();
    /// assert!(future.exception_timeout(Duration::ZERO).is_err());
    /// drop(promise);
    /// assert!(future.exception_timeout(Duration::ZERO)?.is_some());
    /// # Ok::<(), executor_core::TimedOut>(())
    /// ```
    pub fn exception_timeout(&self, limit: Duration) -> Result<Option<&TaskError>, TimedOut> {
        if self.wait_timeout(limit) { Ok(self.error()) } else { Err(TimedOut::after(limit)) }
    }

    /// Calls `callback` with the outcome once the future is done; at once, in this thread, if it is.
    ///
    /// Otherwise it runs in the thread that completes the future: the worker, the thread that cancels, or, when a limit
    /// passes, a thread of this library. Callbacks run in the order they were added, each exactly once, under no lock, and
    /// before the future is done for other threads. A callback may call anything, `shutdown` of the executor included;
    /// inside it this future counts as done. The panic hook reports a callback that panics; the others run all the same.
    ///
    /// Where callbacks complete futures whose callbacks complete futures, a hundred deep, the next completion is put off until
    /// the outermost callback has returned or this thread waits for a future. So chains of any length need little stack.
    ///
    /// A callback that is added to a done future while another thread runs one of the same future runs right after that one,
    /// in that thread: two never share a `&T`.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// let (promise, future) = executor_core::Promise::new();
    /// future.add_done_callback(move |outcome| sender.send(outcome.is_ok()).unwrap());
    /// promise.set_result(1).unwrap();
    /// assert!(receiver.recv()?);
    /// # Ok::<(), mpsc::RecvError>(())
    /// ```
    pub fn add_done_callback(&self, callback: impl FnOnce(&Result<T, TaskError>) + Send + 'static) {
        if self.taken {
            // `.await` has taken the outcome that the callback would be shown.
            executor_wire::panic::contain(|| callback(self.outcome()));
            return;
        }
        self.end_if_left_behind();
        self.core().add_callback(Box::new(callback));
    }

    fn error(&self) -> Option<&TaskError> {
        self.outcome().as_ref().err()
    }

    /// Lends the outcome; `Taken` if it was moved out.
    ///
    /// The caller has seen the future done, or is inside a callback of it.
    pub(crate) fn outcome(&self) -> &Outcome<T> {
        debug_assert!(self.is_done());
        if self.taken {
            return const { &Err(TaskError::Taken) };
        }
        // SAFETY: done (see above), not taken, and while `self` is borrowed nobody takes the outcome.
        unsafe { self.core().outcome() }
    }

    fn take(&mut self) -> Outcome<T> {
        if self.taken || !self.header().is_done() {
            return Err(TaskError::Taken);
        }
        self.taken = true;
        // SAFETY: DONE was seen, and `&mut self` is the unique handle.
        unsafe { self.core().take_outcome() }.unwrap_or(Err(TaskError::Taken))
    }

    /// Runs the task here if it waits in the queue of this thread's own pool. Returns whether it did.
    pub(crate) fn help(&self) -> bool {
        // SAFETY: the handle keeps the cell alive.
        unsafe { help(self.pointer()) }
    }

    /// Arms the observer slot. Returns the observer if the future is done.
    ///
    /// # Safety
    /// No other use of the slot is under way: the caller owns the handle or its lock, and the slot is not armed.
    pub(crate) unsafe fn observe(&self, observer: Observer) -> Result<(), Observer> {
        self.end_if_left_behind();
        // SAFETY: by contract.
        unsafe { self.header().observe(observer) }
    }

    /// From now on, telling the observer may run code of users.
    pub(crate) fn clear_quiet(&self) {
        self.header().state.clear_quiet();
    }

    /// Empties the observer slot unless the completer has it.
    ///
    /// # Safety
    /// As for [`observe`](Self::observe), armed or not.
    pub(crate) unsafe fn stop_observing(&self) {
        // SAFETY: by contract; after a successful disarm the slot is the handle's.
        unsafe {
            drop(self.header().stop_observing());
        }
    }

    /// Leaves the waker of `cx` in the slot. Returns false if the future became done.
    fn watch(&mut self, cx: &Context<'_>) -> bool {
        // SAFETY: `&mut self`: nobody else uses the slot. A successful disarm makes its content ours.
        unsafe {
            let waker = match self.header().stop_observing() {
                Some(Observer::Waker(waker)) if waker.will_wake(cx.waker()) => waker,
                _ => cx.waker().clone(),
            };
            self.observe(Observer::Waker(waker)).is_ok()
        }
    }
}

impl<T> std::future::Future for Future<T> {
    type Output = Result<T, TaskError>;

    /// Polled on a worker of the task's own pool, it runs the task right there if it has not begun.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let done = self.taken || self.is_done() || self.help() && self.header().is_done();
        if done || !self.watch(cx) { Poll::Ready(self.take()) } else { Poll::Pending }
    }
}

impl<T> Drop for Future<T> {
    fn drop(&mut self) {
        // SAFETY: the handle is unique and goes now: slot and reference are its own.
        unsafe {
            self.stop_observing();
            release_cell(self.pointer());
        }
    }
}

impl<T> fmt::Debug for Future<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.header().load();
        let state = match seen.phase() {
            Phase::Pending => "pending",
            Phase::Running if seen.is_stop_requested() => "running, asked to stop",
            Phase::Running => "running",
            Phase::Completing => "completing",
            Phase::Done if self.taken => "taken",
            Phase::Done => match self.outcome() {
                Ok(_) => "finished",
                Err(TaskError::Cancelled(_)) => "cancelled",
                Err(_) => "failed",
            },
        };
        f.debug_struct("Future")
            .field("info", &self.info())
            .field("state", &format_args!("{state}"))
            .field("value", &format_args!("{}", std::any::type_name::<T>()))
            .finish()
    }
}
