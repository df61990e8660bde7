//! [`IntoStream`]: a `Stream` that is nothing else.

use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The items of an iterator as a `Stream`, without the iterator's methods, which `StreamExt` has, too. From
/// [`AsCompleted::into_stream`](crate::AsCompleted::into_stream) and [`Map::into_stream`](crate::Map::into_stream).
///
/// ```
/// use executor_core::{Promise, as_completed};
///
/// let (_promise, future) = Promise::<u8>::new();
/// let stream = as_completed([future]).into_stream();
/// assert_eq!(stream.into_inner().len(), 1);
/// ```
#[derive(Debug)]
#[must_use = "a stream does nothing until it is polled"]
pub struct IntoStream<S> {
    inner: S,
}

impl<S> IntoStream<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner }
    }

    /// Returns the iterator that the stream was made from.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Stream + Unpin> Stream for IntoStream<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        Pin::new(&mut self.inner).poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}
