//! [`Promise`]: the producer side of a future that no task of ours fulfils.

use crate::cell::transition::Start;
use crate::cell::work::NoWork;
use crate::cell::{CellRef, Core, allocate};
use crate::error::TaskError;
use crate::future::Future;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;

/// The producer side of a [`Future`], for executors and bridges outside of this crate.
///
/// One promise fulfils one future, once; the compiler refuses a second time. A promise that is dropped unfulfilled ends the
/// future with [`TaskError::Abandoned`], so the future never hangs.
///
/// ```
/// use executor_core::Promise;
///
/// let (promise, future) = Promise::new();
/// std::thread::spawn(move || {
///     if promise.start() {
///         promise.set_result(6 * 7).expect("a started task is not cancelled any more");
///     }
/// });
/// assert_eq!(future.result()?, 42);
/// # Ok::<(), executor_core::TaskError>(())
/// ```
///
/// It takes values of exactly its type, lifetimes included:
///
/// ```compile_fail,E0597
/// use executor_core::Promise;
///
/// let (promise, future) = Promise::<&'static str>::new();
/// {
///     let text = String::from("gone by the time the future is asked");
///     let promise: Promise<&str> = promise;
///     promise.set_result(text.as_str());
/// }
/// println!("{:?}", future.result());
/// ```
pub struct Promise<T> {
    cell: ManuallyDrop<CellRef>,
    /// Invariant: a promise of a longer lifetime must not take a value of a shorter one.
    value: PhantomData<fn(T) -> T>,
}

impl<T: Send + 'static> Promise<T> {
    /// Returns a promise and its future, pending.
    #[track_caller]
    pub fn new() -> (Self, Future<T>) {
        let (cell, core) = allocate(NoWork, None, Location::caller());
        let promise = Self { cell: ManuallyDrop::new(cell), value: PhantomData };
        // SAFETY: `allocate` counted one reference for the handle.
        (promise, unsafe { Future::from_core(core) })
    }
}

impl<T> Promise<T> {
    /// Says that the work begins. Returns false if the future was cancelled: skip the work then.
    ///
    /// From then on `cancel` returns false. A second call changes nothing and returns true.
    ///
    /// ```
    /// let (promise, future) = executor_core::Promise::<u8>::new();
    /// assert!(promise.start());
    /// assert!(!future.cancel());
    /// ```
    #[must_use = "false means that the work is not wanted"]
    pub fn start(&self) -> bool {
        let header = self.cell.header();
        header.state.start() == Start::Won || header.load().is_running()
    }

    /// Ends the future with a value, whether or not it was started.
    ///
    /// Runs the future's callbacks and wakers in this thread.
    ///
    /// # Errors
    ///
    /// The value back, if the future was cancelled.
    ///
    /// ```
    /// let (promise, future) = executor_core::Promise::new();
    /// future.cancel();
    /// assert_eq!(promise.set_result(1), Err(1));
    /// ```
    pub fn set_result(self, value: T) -> Result<(), T> {
        if !self.start() {
            return Err(value);
        }
        self.fulfil(Ok(value));
        Ok(())
    }

    /// Ends the future with an error. All else is as for [`set_result`](Self::set_result).
    ///
    /// # Errors
    ///
    /// The error back, if the future was cancelled.
    ///
    /// ```
    /// use executor_core::{Promise, TaskError};
    ///
    /// let (promise, future) = Promise::<u8>::new();
    /// let info = future.info();
    /// promise.set_exception(TaskError::Abandoned(info)).unwrap();
    /// assert!(future.exception().is_some());
    /// ```
    pub fn set_exception(self, error: TaskError) -> Result<(), TaskError> {
        if !self.start() {
            return Err(error);
        }
        self.fulfil(Err(error));
        Ok(())
    }

    /// Returns whether the future was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cell.header().load().is_cancelled()
    }

    /// Returns whether [`Future::stop`] asked the running work to stop.
    ///
    /// ```
    /// let (promise, future) = executor_core::Promise::<u8>::new();
    /// promise.start();
    /// future.stop();
    /// assert!(promise.is_stop_requested());
    /// ```
    #[must_use]
    pub fn is_stop_requested(&self) -> bool {
        self.cell.header().is_stop_requested()
    }

    /// Ends a started future.
    fn fulfil(self, outcome: Result<T, TaskError>) {
        let promise = ManuallyDrop::new(self);
        // SAFETY: RUNNING is this promise's, which goes now with its reference; the cell is a `Core<T>`'s.
        unsafe { Core::fulfil(promise.core(), outcome) }
    }

    fn core(&self) -> NonNull<Core<T>> {
        self.cell.pointer().cast()
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if self.start() {
            let abandoned = Err(TaskError::Abandoned(self.cell.header().info()));
            // SAFETY: as in `fulfil`; `cell` is not dropped, so its reference goes here.
            unsafe { Core::fulfil(self.core(), abandoned) }
        } else {
            // SAFETY: dropped here and nowhere else.
            unsafe { ManuallyDrop::drop(&mut self.cell) }
        }
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Promise").field(&self.cell.header().info()).finish()
    }
}
