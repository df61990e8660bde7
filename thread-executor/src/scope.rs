//! [`Scope`]: closures that borrow, all over before the scope returns.
//!
//! What a scoped closure captures and returns lives in the closure itself and in a slot it shares with its handle,
//! never in the task's cell. A task that is over has dropped its closure, so once all tasks of a scope are over, nothing
//! in the pool refers to what was borrowed.

use crate::executor::ThreadPoolExecutor;
use crate::sync::Mutex;
use executor_core::task::Task;
use executor_core::{SharedFuture, SubmitError};
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// The right to hand closures that borrow for `'scope` to the pool. From [`ThreadPoolExecutor::scope`].
///
/// ```
/// # use thread_executor::ThreadPoolExecutor;
/// let pool = ThreadPoolExecutor::with_workers(2)?;
/// let numbers = [1, 2, 3, 4];
/// let sum = pool.scope(|scope| {
///     let halves = numbers.chunks(2).map(|half| scope.spawn(move || half.iter().sum::<i32>()).unwrap());
///     halves.collect::<Vec<_>>().into_iter().map(|half| half.result().unwrap()).sum::<i32>()
/// });
/// assert_eq!(sum, 10);
/// # Ok::<(), executor_core::BuildError>(())
/// ```
pub struct Scope<'scope, 'env: 'scope> {
    pool: &'env ThreadPoolExecutor,
    tasks: Mutex<Vec<SharedFuture<()>>>,
    unasked: Unasked,
    /// Invariant, as `std::thread::Scope` is: the borrow is exactly `'scope`.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// The first panic that no handle has asked for.
type Unasked = Arc<Mutex<Option<Box<dyn Any + Send>>>>;

/// Where a scoped closure leaves what it has to give; shared with its handle.
struct Slot<T> {
    result: Mutex<Option<Result<T, Box<dyn Any + Send>>>>,
    unasked: Unasked,
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        if let Some(Err(payload)) = self.result.lock().take() {
            self.unasked.lock().get_or_insert(payload);
        }
    }
}

/// The handle of a scoped closure.
///
/// ```
/// # use thread_executor::ThreadPoolExecutor;
/// let pool = ThreadPoolExecutor::with_workers(1)?;
/// let name = String::from("Ada");
/// let greeting = pool.scope(|scope| scope.spawn(|| format!("hello {name}")).unwrap().result().unwrap());
/// assert_eq!(greeting, "hello Ada");
/// # Ok::<(), executor_core::BuildError>(())
/// ```
#[must_use = "its result, and its panic, are lost without it"]
pub struct ScopedFuture<'scope, T> {
    task: SharedFuture<()>,
    slot: Arc<Slot<T>>,
    scope: PhantomData<&'scope ()>,
}

/// Why a scoped closure has no value.
///
/// ```
/// # use thread_executor::{ScopedError, ThreadPoolExecutor};
/// let pool = ThreadPoolExecutor::with_workers(1)?;
/// let result = pool.scope(|scope| scope.spawn(|| -> u8 { panic!("no") }).unwrap().result());
/// assert!(matches!(result, Err(ScopedError::Panicked(_))));
/// # Ok::<(), executor_core::BuildError>(())
/// ```
#[non_exhaustive]
pub enum ScopedError {
    /// It panicked; the payload, as `std::thread::ScopedJoinHandle::join` gives it.
    Panicked(Box<dyn Any + Send>),
    /// It was cancelled before it began.
    Cancelled,
}

pub(crate) fn run<'env, F, R>(pool: &'env ThreadPoolExecutor, f: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    let scope = Scope {
        pool,
        tasks: Mutex::new(Vec::new()),
        unasked: Arc::new(Mutex::new(None)),
        scope: PhantomData,
        env: PhantomData,
    };
    // Unwind safety: the panic goes on below.
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    scope.join();
    let unasked = scope.unasked.lock().take();
    match (result, unasked) {
        (Err(payload), _) | (Ok(_), Some(payload)) => resume_unwind(payload),
        (Ok(value), None) => value,
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Hands a closure to the pool that may borrow all that outlives the scope. Closures may spawn more.
    ///
    /// # Errors
    ///
    /// As for [`ThreadPoolExecutor::spawn`].
    ///
    /// ```
    /// # use thread_executor::ThreadPoolExecutor;
    /// let pool = ThreadPoolExecutor::with_workers(2)?;
    /// let mut left = 0;
    /// let mut right = 0;
    /// pool.scope(|scope| {
    ///     let _ = scope.spawn(|| left = 1)?;
    ///     let _ = scope.spawn(|| right = 2)?;
    ///     Ok::<(), executor_core::SubmitError>(())
    /// })?;
    /// assert_eq!((left, right), (1, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn<T, F>(&'scope self, f: F) -> Result<ScopedFuture<'scope, T>, SubmitError>
    where
        T: Send + 'scope,
        F: FnOnce() -> T + Send + 'scope,
    {
        let slot = Arc::new(Slot {
            result: Mutex::new(None),
            unasked: self.unasked.clone(),
        });
        let work = {
            let slot = slot.clone();
            move || {
                *slot.result.lock() = Some(catch_unwind(AssertUnwindSafe(f)));
            }
        };
        let work: Box<dyn FnOnce() + Send + 'scope> = Box::new(work);
        // SAFETY: only the lifetime changes. `run` returns, by value or by panic, after `join` has seen every task over,
        // and a task that is over has dropped its closure; so the closure does not outlive `'scope`. The task's own
        // result is `()`.
        let work: Box<dyn FnOnce() + Send + 'static> = unsafe { std::mem::transmute(work) };
        let task = Task::spawn_on(self.pool, None, work)?.share();
        self.tasks.lock().push(task.clone());
        Ok(ScopedFuture {
            task,
            slot,
            scope: PhantomData,
        })
    }

    /// Waits for all closures, those included that are spawned meanwhile.
    fn join(&self) {
        loop {
            let Some(task) = self.tasks.lock().pop() else {
                return;
            };
            task.wait();
        }
    }
}

impl<T> ScopedFuture<'_, T> {
    /// Waits for the closure and gives its value.
    ///
    /// # Errors
    ///
    /// It panicked or was cancelled.
    ///
    /// ```
    /// # use thread_executor::ThreadPoolExecutor;
    /// let pool = ThreadPoolExecutor::with_workers(1)?;
    /// assert_eq!(pool.scope(|scope| scope.spawn(|| 7).unwrap().result().unwrap()), 7);
    /// # Ok::<(), executor_core::BuildError>(())
    /// ```
    pub fn result(self) -> Result<T, ScopedError> {
        self.task.wait();
        match self.slot.result.lock().take() {
            Some(Ok(value)) => Ok(value),
            Some(Err(payload)) => Err(ScopedError::Panicked(payload)),
            None => Err(ScopedError::Cancelled),
        }
    }

    /// As [`Future::cancel`](executor_core::Future::cancel).
    ///
    /// ```
    /// # use thread_executor::ThreadPoolExecutor;
    /// let pool = ThreadPoolExecutor::with_workers(1)?;
    /// pool.scope(|scope| {
    ///     let future = scope.spawn(|| ()).unwrap();
    ///     let cancelled = future.cancel();
    ///     assert_eq!(cancelled, future.result().is_err());
    /// });
    /// # Ok::<(), executor_core::BuildError>(())
    /// ```
    #[expect(
        clippy::must_use_candidate,
        reason = "many cancel without caring whether it was in time"
    )]
    pub fn cancel(&self) -> bool {
        self.task.cancel()
    }

    /// As [`Future::is_done`](executor_core::Future::is_done).
    ///
    /// ```
    /// # use thread_executor::ThreadPoolExecutor;
    /// let pool = ThreadPoolExecutor::with_workers(1)?;
    /// pool.scope(|scope| {
    ///     let future = scope.spawn(|| ()).unwrap();
    ///     while !future.is_done() {
    ///         std::thread::yield_now();
    ///     }
    /// });
    /// # Ok::<(), executor_core::BuildError>(())
    /// ```
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.task.is_done()
    }
}

impl fmt::Display for ScopedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(payload) => {
                let text = payload.downcast_ref::<&'static str>().copied();
                let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
                write!(
                    f,
                    "the scoped closure panicked: {}",
                    text.unwrap_or("a payload that is not text")
                )
            }
            Self::Cancelled => f.write_str("the scoped closure was cancelled before it began"),
        }
    }
}

impl fmt::Debug for ScopedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(_) => f.write_str("Panicked(..)"),
            Self::Cancelled => f.write_str("Cancelled"),
        }
    }
}

impl std::error::Error for ScopedError {}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ScopedFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopedFuture").field(&self.task).finish()
    }
}
