//! [`AsyncExecutor`]: waits for room in a queue and for a shutdown without blocking the thread.

use crate::cell::task::Task;
use crate::error::SubmitError;
use crate::executor::{Admission, Executor, Rejected, Rejection, Shutdown};
use crate::future::Future;
use crate::submit::call::Call;
use async_trait::async_trait;
use executor_wire::Portable;
use std::future::poll_fn;
use std::panic::Location;

/// The two operations of an executor that may have to wait, for async code. Implemented for every [`Executor`], and
/// usable as `dyn AsyncExecutor`.
///
/// ```
/// use executor_core::{AsyncExecutor, AsyncExecutorExt, SerialExecutor, Shutdown};
/// # use futures::executor::block_on;
/// # mod futures { pub mod executor {
/// #     pub fn block_on<F: std::future::Future>(f: F) -> F::Output {
/// #         let mut f = std::pin::pin!(f);
/// #         let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// #         loop { if let std::task::Poll::Ready(out) = f.as_mut().poll(&mut cx) { return out } }
/// #     }
/// # }}
///
/// async fn double(executor: &dyn AsyncExecutor) -> Result<u32, Box<dyn std::error::Error>> {
///     let future = executor.submit_async(|n: u32| n * 2, 21).await?;
///     let doubled = future.await?;
///     executor.shutdown_async(Shutdown::wait()).await;
///     Ok(doubled)
/// }
/// assert_eq!(block_on(double(&SerialExecutor::new()))?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[async_trait]
pub trait AsyncExecutor: Send + Sync {
    /// Like [`Executor::submit_task`], but awaits room in a bounded queue.
    ///
    /// # Errors
    ///
    /// The task back, when no task is taken any more.
    ///
    /// ```
    /// # use executor_core::{AsyncExecutor, Rejected, task::Task};
    /// async fn answer(executor: &dyn AsyncExecutor) -> Result<executor_core::Future<u32>, Rejected> {
    ///     let (task, future) = Task::from_closure(|| 42);
    ///     executor.submit_task_async(task).await?;
    ///     Ok(future)
    /// }
    /// # let _ = answer;
    /// ```
    async fn submit_task_async(&self, task: Task) -> Result<(), Rejected>;

    /// Like [`Executor::shutdown`], but awaits the end. Dropping the future midway leaves the executor shut down; dropping the
    /// executor does not wait then.
    ///
    /// ```
    /// # use executor_core::{AsyncExecutor, Shutdown};
    /// async fn close(executor: &dyn AsyncExecutor) {
    ///     executor.shutdown_async(Shutdown::wait().cancel_futures()).await;
    /// }
    /// # let _ = close;
    /// ```
    async fn shutdown_async(&self, how: Shutdown);
}

#[async_trait]
impl<E: Executor + ?Sized> AsyncExecutor for E {
    async fn submit_task_async(&self, task: Task) -> Result<(), Rejected> {
        let mut task = task;
        loop {
            match self.submit_task(task, Admission::Async) {
                Err(Rejected { task: back, reason: Rejection::Full }) => task = back,
                settled => return settled,
            }
            poll_fn(|cx| self.poll_ready(cx)).await;
        }
    }

    async fn shutdown_async(&self, how: Shutdown) {
        poll_fn(|cx| self.poll_shutdown(how, cx)).await;
    }
}

/// `submit` for async code: awaits room in a bounded queue instead of blocking the thread.
///
/// ```
/// use executor_core::{AsyncExecutorExt, SerialExecutor};
///
/// async fn double(n: u32) -> Result<u32, Box<dyn std::error::Error>> {
///     Ok(SerialExecutor::new().submit_async(|n: u32| n * 2, n).await?.await?)
/// }
/// # let _ = double;
/// ```
pub trait AsyncExecutorExt: AsyncExecutor {
    /// Like [`ExecutorExt::submit`](crate::ExecutorExt::submit). Dropped before it is ready, it submits nothing.
    ///
    /// # Errors
    ///
    /// As for `submit`.
    ///
    /// ```
    /// use executor_core::{AsyncExecutorExt, SerialExecutor};
    /// use std::future::Future;
    /// use std::task::{Context, Poll, Waker};
    ///
    /// let executor = SerialExecutor::new();
    /// let mut submitted = std::pin::pin!(executor.submit_async(|n: u32| n + 1, 1));
    /// let Poll::Ready(future) = submitted.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
    ///     unreachable!("a serial executor always has room")
    /// };
    /// assert_eq!(future?.result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    fn submit_async<A: Portable, R: Portable>(
        &self,
        f: fn(A) -> R,
        args: A,
    ) -> impl std::future::Future<Output = Result<Future<R>, SubmitError>> + Send {
        let location = Location::caller();
        async move {
            let (task, future) = Task::from_work(Call { f, args }, None, location);
            match self.submit_task_async(task).await {
                Ok(()) => Ok(future),
                Err(Rejected { reason: Rejection::Refused(error), .. }) => Err(error),
                Err(Rejected { reason: Rejection::Full, .. }) => unreachable!("full is what it waits for"),
            }
        }
    }
}

impl<E: AsyncExecutor + ?Sized> AsyncExecutorExt for E {}
