//! [`as_completed`]: futures in the order they are done, as an iterator and as a `Stream`.

use crate::completion::IntoStream;
use crate::completion::member::Member;
use crate::completion::set::CompletionSet;
use crate::deadline::deadline_after;
use crate::error::TimedOut;
use futures_core::Stream;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Returns an iterator over futures in the order they are done, those that are done already first. Takes plain futures or pairs `(key, future)`, of one
/// executor or several.
///
/// The call itself registers the futures. Nothing is scanned again: a step costs the same for ten futures and for a
/// million. Dropping the iterator detaches the futures it still holds.
///
/// ```
/// use executor_core::{ExecutorExt, SerialExecutor, as_completed};
///
/// let executor = SerialExecutor::new();
/// let futures = [1_u32, 2, 3].map(|n| executor.submit(|n: u32| n * n, n).unwrap());
/// let mut squares = Vec::new();
/// for future in as_completed(futures) {
///     squares.push(future.result()?);
/// }
/// assert_eq!(squares, [1, 4, 9]);
/// # Ok::<(), executor_core::TaskError>(())
/// ```
pub fn as_completed<M: Member>(members: impl IntoIterator<Item = M>) -> AsCompleted<M> {
    let members = members.into_iter();
    let mut set = CompletionSet::new();
    set.reserve(members.size_hint().0);
    for member in members {
        set.insert(member);
    }
    AsCompleted { set }
}

/// The iterator and `Stream` of [`as_completed`].
///
/// As an iterator it blocks; it ends when it holds no more futures, and goes on when some are added.
///
/// ```
/// use executor_core::{AsCompleted, ExecutorExt, Future, SerialExecutor};
///
/// let executor = SerialExecutor::new();
/// let mut running: AsCompleted<Future<u32>> = AsCompleted::new();
/// running.push(executor.submit(|n: u32| n + 1, 1)?);
/// let mut last = 0;
/// while let Some(future) = running.next() {
///     last = future.result()?;
///     if last < 10 {
///         running.push(executor.submit(|n: u32| n + 1, last)?);
///     }
/// }
/// assert_eq!(last, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it does nothing until it is iterated, and detaches its futures when dropped"]
pub struct AsCompleted<M: Member> {
    set: CompletionSet<M>,
}

impl<M: Member> AsCompleted<M> {
    /// Returns an iterator without futures, to be filled by [`push`](Self::push).
    pub fn new() -> Self {
        Self { set: CompletionSet::new() }
    }

    /// Adds a future, also while iterating.
    ///
    /// ```
    /// # use executor_core::{AsCompleted, Promise};
    /// let (_promise, future) = Promise::<u8>::new();
    /// let mut running = AsCompleted::new();
    /// running.push(future);
    /// assert_eq!(running.len(), 1);
    /// ```
    pub fn push(&mut self, member: M) {
        self.set.insert(member);
    }

    /// Returns how many futures are left, done or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Returns whether no future is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the next done future, waiting no longer than `limit`; `None` if no future is left.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if none is done by then. Nothing is lost: call it again.
    ///
    /// ```
    /// # use executor_core::{Promise, as_completed};
    /// # use std::time::Duration;
    /// let (promise, future) = Promise::new();
    /// let mut running = as_completed([future]);
    /// assert!(running.next_timeout(Duration::from_millis(1)).is_err());
    /// promise.set_result(1).unwrap();
    /// assert!(running.next_timeout(Duration::MAX)?.is_some());
    /// # Ok::<(), executor_core::TimedOut>(())
    /// ```
    pub fn next_timeout(&mut self, limit: Duration) -> Result<Option<M>, TimedOut> {
        match self.set.next_until(deadline_after(limit)) {
            None if !self.is_empty() => Err(TimedOut::after(limit)),
            next => Ok(next),
        }
    }

    /// Limits the whole iteration to `total`, counted from this call. Futures that are already done are given even
    /// after that.
    ///
    /// ```
    /// # use executor_core::{Promise, as_completed};
    /// # use std::time::Duration;
    /// let (_promise, future) = Promise::<u8>::new();
    /// let mut running = as_completed([future]).timeout(Duration::from_millis(1));
    /// let unfinished = running.next().unwrap().unwrap_err();
    /// assert_eq!(unfinished.to_string(), "1 of 1 futures unfinished after 1ms");
    /// assert_eq!(unfinished.rest.len(), 1);
    /// ```
    pub fn timeout(self, total: Duration) -> TimedAsCompleted<M> {
        let total_count = self.len();
        let deadline = deadline_after(total);
        TimedAsCompleted { rest: Some(self), limit: total, deadline, total: total_count }
    }

    /// Returns the same as a `Stream` and nothing else. With `StreamExt` imported, `next` and `map` of a type that is also an
    /// iterator would be ambiguous.
    pub fn into_stream(self) -> IntoStream<Self> {
        IntoStream::new(self)
    }

    /// Ends the iteration, and returns the futures that are left, done or not, in the order they were added.
    ///
    /// ```
    /// # use executor_core::{Promise, as_completed};
    /// let (_promise, future) = Promise::<u8>::new();
    /// assert_eq!(as_completed([future]).into_rest().len(), 1);
    /// ```
    #[must_use = "the futures are in it"]
    pub fn into_rest(self) -> Vec<M> {
        self.set.into_members()
    }
}

impl<M: Member> Default for AsCompleted<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Member> Iterator for AsCompleted<M> {
    type Item = M;

    fn next(&mut self) -> Option<M> {
        self.set.next(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<M: Member + Unpin> Stream for AsCompleted<M> {
    type Item = M;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M>> {
        self.set.poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<M: Member> fmt::Debug for AsCompleted<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The iterator of [`AsCompleted::timeout`]: futures, then, if the time is up first, one [`Unfinished`].
///
/// ```
/// # use executor_core::{Promise, as_completed};
/// # use std::time::Duration;
/// let (promise, future) = Promise::new();
/// promise.set_result(1).unwrap();
/// for future in as_completed([future]).timeout(Duration::from_secs(1)) {
///     assert_eq!(future?.result()?, 1);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it does nothing until it is iterated, and detaches its futures when dropped"]
pub struct TimedAsCompleted<M: Member> {
    rest: Option<AsCompleted<M>>,
    limit: Duration,
    deadline: Option<Instant>,
    total: usize,
}

impl<M: Member> TimedAsCompleted<M> {
    /// Ends the iteration, and returns the futures that are left, as [`AsCompleted::into_rest`] does; none after an [`Unfinished`],
    /// which has them.
    ///
    /// ```
    /// # use executor_core::{Promise, as_completed};
    /// # use std::time::Duration;
    /// let (first, quick) = Promise::new();
    /// let (_second, slow) = Promise::<u8>::new();
    /// first.set_result(1).unwrap();
    /// let mut running = as_completed([quick, slow]).timeout(Duration::from_secs(10));
    /// assert!(running.next().is_some());
    /// assert!(running.into_rest().into_iter().all(|future| future.cancel()));
    /// ```
    #[must_use = "the futures are in it"]
    pub fn into_rest(self) -> Vec<M> {
        self.rest.map_or_else(Vec::new, AsCompleted::into_rest)
    }
}

impl<M: Member> Iterator for TimedAsCompleted<M> {
    type Item = Result<M, Unfinished<M>>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(member) = self.rest.as_mut()?.set.next_until(self.deadline) {
            return Some(Ok(member));
        }
        let rest = self.rest.take()?.into_rest();
        let unfinished = Unfinished { unfinished: rest.len(), total: self.total, limit: self.limit, rest };
        (unfinished.unfinished > 0).then_some(Err(unfinished))
    }
}

impl<M: Member> fmt::Debug for TimedAsCompleted<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedAsCompleted").field("rest", &self.rest).field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// The limit of [`AsCompleted::timeout`] has passed: how many futures are unfinished, and the futures themselves.
///
/// ```
/// # use executor_core::{Promise, as_completed};
/// # use std::time::Duration;
/// let (_promise, future) = Promise::<u8>::new();
/// let error = as_completed([future]).timeout(Duration::ZERO).next().unwrap().unwrap_err();
/// assert_eq!((error.unfinished, error.total), (1, 1));
/// ```
#[non_exhaustive]
pub struct Unfinished<M> {
    /// How many were not done in time.
    pub unfinished: usize,
    /// How many there were.
    pub total: usize,
    /// The unfinished ones, untouched, in the order they were added.
    pub rest: Vec<M>,
    limit: Duration,
}

impl<M> fmt::Display for Unfinished<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} futures unfinished after {:?}", self.unfinished, self.total, self.limit)
    }
}

impl<M> fmt::Debug for Unfinished<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unfinished")
            .field("unfinished", &self.unfinished)
            .field("total", &self.total)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<M> std::error::Error for Unfinished<M> {}
