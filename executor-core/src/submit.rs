//! What users call on every executor: [`ExecutorExt`] with `submit` and `map`, and their async kin.

mod async_executor;
mod call;

use crate::cell::task::Task;
use crate::cell::work::Closure;
use crate::error::{SubmitError, TrySubmitError};
use crate::executor::{Admission, Executor, Rejected, Rejection};
use crate::future::Future;
use crate::map::{Map, MapOptions};
use crate::options::TaskOptions;
pub use async_executor::{AsyncExecutor, AsyncExecutorExt};
use call::Call;
use executor_wire::Portable;
use std::panic::Location;

/// `submit` and `map` in their variants, for every [`Executor`].
///
/// `f` is a plain function, or a closure that captures nothing, which is the same. All that it needs is its argument; several
/// arguments are a tuple.
///
/// ```
/// use executor_core::{ExecutorExt, SerialExecutor};
///
/// let executor = SerialExecutor::new();
/// let power = executor.submit(|(base, exponent)| u64::pow(base, exponent), (3, 7))?;
/// assert_eq!(power.result()?, 2187);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ExecutorExt: Executor {
    /// Submits `f(args)`, and returns the future of its result. Waits for room if the queue is bounded and full.
    ///
    /// # Errors
    ///
    /// The executor was shut down, is broken, or has no worker; the arguments are dropped then.
    ///
    /// ```
    /// # use executor_core::{ExecutorExt, SerialExecutor};
    /// let future = SerialExecutor::new().submit(|text: String| text.len(), "four".to_owned())?;
    /// assert_eq!(future.result()?, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    fn submit<A: Portable, R: Portable>(&self, f: fn(A) -> R, args: A) -> Result<Future<R>, SubmitError> {
        let (task, future) = Task::from_work(Call { f, args }, None, Location::caller());
        self.submit_task(task, Admission::Block).map_err(refusal)?;
        Ok(future)
    }

    /// Like [`submit`](Self::submit), with a name or limits.
    ///
    /// # Errors
    ///
    /// As for `submit`.
    ///
    /// ```
    /// # use executor_core::{ExecutorExt, SerialExecutor, TaskOptions};
    /// let executor = SerialExecutor::new();
    /// let future = executor.submit_with(TaskOptions::new().name("half"), |n: u32| n / 2, 8)?;
    /// assert_eq!(future.result()?, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    fn submit_with<A: Portable, R: Portable>(
        &self,
        options: TaskOptions,
        f: fn(A) -> R,
        args: A,
    ) -> Result<Future<R>, SubmitError> {
        let (task, future) = Task::from_work(Call { f, args }, Some(options), Location::caller());
        self.submit_task(task, Admission::Block).map_err(refusal)?;
        Ok(future)
    }

    /// Like [`submit`](Self::submit), but does not wait.
    ///
    /// # Errors
    ///
    /// The arguments back: the queue is full, or no task is taken.
    ///
    /// # Panics
    ///
    /// If the executor breaks its contract and hands back another task than it was given.
    ///
    /// ```
    /// # use executor_core::{ExecutorExt, SerialExecutor};
    /// let future = SerialExecutor::new().try_submit(|n: u32| n + 1, 1)?;
    /// assert_eq!(future.result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    fn try_submit<A: Portable, R: Portable>(&self, f: fn(A) -> R, args: A) -> Result<Future<R>, TrySubmitError<A>> {
        let (task, future) = Task::from_work(Call { f, args }, None, Location::caller());
        match self.submit_task(task, Admission::Try) {
            Ok(()) => Ok(future),
            Err(Rejected { task, reason }) => {
                // SAFETY: task and future were made above, with these types.
                let Call { args, .. } = unsafe { task.recover::<R, Call<A, R>>(&future) };
                Err(match reason {
                    Rejection::Full => TrySubmitError::Full(args),
                    Rejection::Refused(error) => TrySubmitError::Refused(error, args),
                })
            }
        }
    }

    /// Calls `f` on each input, in parallel, and returns an iterator over the outcomes, in input order. See [`Map`].
    ///
    /// The call itself submits the first inputs; each `next` pulls more, so that endless inputs work and memory stays flat. Small
    /// tasks travel in chunks, whose size follows from how long they take.
    ///
    /// ```
    /// # use executor_core::{ExecutorExt, SerialExecutor};
    /// let executor = SerialExecutor::new();
    /// let squares: Result<Vec<u64>, _> = executor.map(|n: u64| n * n, 0..).take(4).collect();
    /// assert_eq!(squares?, [0, 1, 4, 9]);
    /// # Ok::<(), executor_core::TaskError>(())
    /// ```
    #[track_caller]
    fn map<A: Portable, R: Portable, I: IntoIterator<Item = A>>(
        &self,
        f: fn(A) -> R,
        inputs: I,
    ) -> Map<'_, Self, A, R, I::IntoIter> {
        self.map_with(MapOptions::new(), f, inputs)
    }

    /// Like [`map`](Self::map), with options.
    ///
    /// ```
    /// # use executor_core::{ExecutorExt, MapOptions, SerialExecutor};
    /// let executor = SerialExecutor::new();
    /// let options = MapOptions::new().chunk_size(100).unordered();
    /// let sum: u64 = executor.map_with(options, |n: u64| n, 0..1000).map(Result::unwrap).sum();
    /// assert_eq!(sum, 499_500);
    /// ```
    #[track_caller]
    fn map_with<A: Portable, R: Portable, I: IntoIterator<Item = A>>(
        &self,
        options: MapOptions,
        f: fn(A) -> R,
        inputs: I,
    ) -> Map<'_, Self, A, R, I::IntoIter> {
        Map::start(self, options, f, inputs.into_iter(), Location::caller())
    }
}

impl<E: Executor + ?Sized> ExecutorExt for E {}

fn refusal(rejected: Rejected) -> SubmitError {
    match rejected.reason {
        Rejection::Refused(error) => error,
        Rejection::Full => unreachable!("an executor that was told to wait for room does not report a full queue"),
    }
}

impl Task {
    /// Submits a closure to an executor of this process. Pools make their `spawn` of it.
    ///
    /// # Errors
    ///
    /// As for [`ExecutorExt::submit`](crate::ExecutorExt::submit).
    ///
    /// ```
    /// # use executor_core::{SerialExecutor, task::Task};
    /// let three = 3;
    /// let future = Task::spawn_on(&SerialExecutor::new(), None, move || three + 4)?;
    /// assert_eq!(future.result()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn_on<R, F>(
        executor: &(impl Executor + ?Sized),
        options: Option<TaskOptions>,
        f: F,
    ) -> Result<Future<R>, SubmitError>
    where
        R: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        let (task, future) = Self::from_work(Closure(f), options, Location::caller());
        executor.submit_task(task, Admission::Block).map_err(refusal)?;
        Ok(future)
    }
}
