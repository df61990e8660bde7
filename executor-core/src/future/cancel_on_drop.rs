//! [`CancelOnDrop`]: a future that cancels its task when it is dropped.

use crate::error::TaskError;
use crate::future::Future;
use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A [`Future`] that is stopped when it is dropped: its task is cancelled, or asked to stop if it has begun. From
/// [`Future::cancel_on_drop`]; for handlers that are dropped when their client goes away.
///
/// ```
/// let (promise, future) = executor_core::Promise::<u8>::new();
/// let guard = future.cancel_on_drop();
/// drop(guard);
/// assert!(promise.is_cancelled());
/// ```
#[must_use = "dropping it cancels the task"]
pub struct CancelOnDrop<T> {
    /// `None` only between `detach` and drop.
    future: Option<Future<T>>,
}

impl<T> Future<T> {
    /// Makes a handle whose drop cancels the task if it has not begun, and asks it to stop if it has.
    ///
    /// ```
    /// let (promise, future) = executor_core::Promise::<u8>::new();
    /// drop(future.cancel_on_drop());
    /// assert!(promise.is_cancelled());
    /// ```
    pub fn cancel_on_drop(self) -> CancelOnDrop<T> {
        CancelOnDrop::new(self)
    }
}

impl<T> CancelOnDrop<T> {
    pub(crate) fn new(future: Future<T>) -> Self {
        Self { future: Some(future) }
    }

    /// Returns the plain future, whose drop detaches the task.
    ///
    /// ```
    /// let (promise, future) = executor_core::Promise::<u8>::new();
    /// let future = future.cancel_on_drop().detach();
    /// drop(future);
    /// assert!(!promise.is_cancelled());
    /// ```
    pub fn detach(mut self) -> Future<T> {
        self.future.take().expect("present until now")
    }
}

impl<T> Deref for CancelOnDrop<T> {
    type Target = Future<T>;

    fn deref(&self) -> &Future<T> {
        self.future.as_ref().expect("present until detach")
    }
}

impl<T> std::future::Future for CancelOnDrop<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(self.future.as_mut().expect("present until detach")).poll(cx)
    }
}

impl<T> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        if let Some(future) = &self.future {
            future.stop();
        }
    }
}

impl<T> fmt::Debug for CancelOnDrop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelOnDrop").field(&self.future).finish()
    }
}
