//! [`Scope`]: closures that borrow, all ended before the scope returns.
//!
//! What a scoped closure captures lives in the closure itself, what it returns in a slot that it shares with its handle;
//! neither is in the task's cell. A task that has ended has dropped its closure. So once all tasks of a scope have ended,
//! nothing in the pool refers to what was borrowed.

use crate::executor::ThreadPoolExecutor;
use crate::sync::{Mutex, thread};
use executor_core::task::{Task, contain};
use executor_core::{Future, SubmitError, TaskError, TaskId};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Spawns closures that borrow for `'scope`. From [`ThreadPoolExecutor::scope`].
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
    tasks: Arc<Tasks>,
    /// Invariant, as `std::thread::Scope` is: the borrow is exactly `'scope`.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// A task of a scope, shared by the scope and the handle.
struct Entry {
    future: Future<()>,
    /// The handle has asked for the outcome, which is then for the handle alone.
    claimed: AtomicBool,
}

/// The tasks of a scope that are not known to have ended, by number.
struct Tasks(Mutex<BTreeMap<TaskId, Arc<Entry>>>);

impl Tasks {
    /// Waits for all tasks, also for those that are spawned meanwhile. Returns the first panic that no handle has claimed.
    ///
    /// It must not unwind while a task may still run, so it catches what users' destructors throw.
    fn join(&self) -> Option<Box<dyn Any + Send>> {
        let mut unclaimed = None;
        loop {
            let Some((_, entry)) = self.0.lock().pop_first() else { return unclaimed };
            entry.future.wait();
            // ORDERING: SeqCst, pairs with the store in `ScopedFuture::result`; either order of the two is handled.
            if entry.claimed.load(Ordering::SeqCst) {
                // The handle waits until this reference is gone.
                drop(entry);
                continue;
            }
            // A handle that still exists may claim the outcome later, or was leaked.
            let Some(entry) = Arc::into_inner(entry) else { continue };
            let _ = contain(|| match entry.future.result() {
                Err(TaskError::Panicked(panic)) if unclaimed.is_none() => unclaimed = Some(panic.into_payload()),
                outcome => drop(outcome),
            });
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
#[must_use = "its result is lost without it"]
pub struct ScopedFuture<'scope, T> {
    task: Arc<Entry>,
    value: Arc<Mutex<Option<T>>>,
    tasks: Arc<Tasks>,
    scope: PhantomData<&'scope ()>,
}

impl ThreadPoolExecutor {
    /// Runs `f`, which may hand closures to the pool that borrow from outside of it. Returns once all of them have ended.
    ///
    /// # Panics
    ///
    /// If `f` panics, or if a closure did and its handle was not asked for the result: after all closures have ended.
    ///
    /// ```
    /// # use thread_executor::ThreadPoolExecutor;
    /// let pool = ThreadPoolExecutor::with_workers(2)?;
    /// let text = String::from("borrowed, not moved");
    /// let words = pool.scope(|scope| {
    ///     let words = scope.spawn(|| text.split(' ').count())?;
    ///     let letters = scope.spawn(|| text.chars().filter(|c| c.is_alphabetic()).count())?;
    ///     assert_eq!(letters.result().unwrap(), 16);
    ///     Ok::<_, executor_core::SubmitError>(words.result().unwrap())
    /// })?;
    /// assert_eq!(words, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scope<'env, F, R>(&'env self, f: F) -> R
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    {
        let tasks = Arc::new(Tasks(Mutex::new(BTreeMap::new())));
        let scope = Scope { pool: self, tasks, scope: PhantomData, env: PhantomData };
        // Unwind safety: the panic goes on below.
        let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
        let unclaimed = scope.tasks.join();
        match (result, unclaimed) {
            (Err(payload), unclaimed) => {
                // One panic goes on; the other's destructor must not throw into it.
                let _ = contain(|| drop(unclaimed));
                resume_unwind(payload)
            }
            (Ok(_), Some(payload)) => resume_unwind(payload),
            (Ok(value), None) => value,
        }
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Hands a closure to the pool that may borrow all that outlives the scope. Closures may spawn more closures.
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
        let value = Arc::new(Mutex::new(None));
        let work = {
            let value = value.clone();
            move || {
                let result = f();
                *value.lock() = Some(result);
            }
        };
        let work: Box<dyn FnOnce() + Send + 'scope> = Box::new(work);
        // SAFETY: only the lifetime changes. `ThreadPoolExecutor::scope` returns, by value or by panic, after `join` has seen
        // the end of every task, and a task that has ended has dropped its closure; so the closure does not outlive `'scope`.
        // The task's own result is `()`. A handle takes its task off the list only after the task's end, and `join` does not
        // unwind.
        let work: Box<dyn FnOnce() + Send + 'static> = unsafe { std::mem::transmute(work) };
        let future = Task::spawn_on(self.pool, None, work)?;
        let task = Arc::new(Entry { future, claimed: AtomicBool::new(false) });
        self.tasks.0.lock().insert(task.future.id(), task.clone());
        Ok(ScopedFuture { task, value, tasks: self.tasks.clone(), scope: PhantomData })
    }
}

impl<T> ScopedFuture<'_, T> {
    /// Waits for the closure and returns its value.
    ///
    /// # Errors
    ///
    /// As for [`Future::result`](executor_core::Future::result).
    pub fn result(self) -> Result<T, TaskError> {
        let Self { mut task, value, tasks, .. } = self;
        // ORDERING: SeqCst, pairs with the load in `Tasks::join`.
        task.claimed.store(true, Ordering::SeqCst);
        task.future.wait();
        drop(tasks.0.lock().remove(&task.future.id()));
        loop {
            match Arc::try_unwrap(task) {
                Ok(entry) => {
                    entry.future.result()?;
                    return Ok(value.lock().take().expect("a closure that returned has left its value"));
                }
                // `join` has just seen the end, too, and is about to drop its reference.
                Err(shared) => task = shared,
            }
            thread::yield_now();
        }
    }

    /// Cancels the closure if no worker has begun it, as [`Future::cancel`](executor_core::Future::cancel) does.
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
    #[expect(clippy::must_use_candidate, reason = "many cancel without caring whether it was in time")]
    pub fn cancel(&self) -> bool {
        self.task.future.cancel()
    }

    /// Returns whether the closure has ended or was cancelled.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.task.future.is_done()
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("pool", &self.pool).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ScopedFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopedFuture").field(&self.task.future).finish()
    }
}
