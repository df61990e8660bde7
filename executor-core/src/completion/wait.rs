//! [`wait`]: block until some or all of a set of futures are done.

use crate::completion::member::Member;
use crate::completion::set::CompletionSet;
use crate::deadline::{deadline_after, is_over_at_once};
use crate::error::TaskError;
use std::time::{Duration, Instant};

/// When a [`wait`] returns.
///
/// ```
/// use executor_core::{Promise, ReturnWhen, wait};
///
/// let (promise, first) = Promise::new();
/// let (_pending, second) = Promise::<u8>::new();
/// promise.set_result(1).unwrap();
/// let sets = wait([first, second], None, ReturnWhen::FirstCompleted);
/// assert_eq!((sets.done.len(), sets.not_done.len()), (1, 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnWhen {
    /// One future is done, however it ended.
    FirstCompleted,
    /// One future has a [`TaskError`] other than a cancel; without any, all are done.
    ///
    /// For futures of a `Result`, an inner `Err` is a value like any other here; see [`FirstError`].
    FirstException,
    /// All futures are done.
    AllCompleted,
}

/// For futures of a `Result<T, E>`: [`wait`] returns at the first error of either kind, a [`TaskError`] other than a
/// cancel or an `Err` that the task returned; without any, when all are done.
///
/// ```
/// use executor_core::{ExecutorExt, FirstError, SerialExecutor, wait};
///
/// fn parse(text: String) -> Result<u32, String> {
///     text.parse().map_err(|_| format!("{text:?} is no number"))
/// }
/// let executor = SerialExecutor::new();
/// let futures = ["1", "two"].map(|text| executor.submit(parse, text.to_owned()).unwrap());
/// let sets = wait(futures, None, FirstError);
/// assert_eq!(sets.done.len(), 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstError;

/// A condition that ends a [`wait`] early: [`ReturnWhen`], [`FirstError`], or a closure that looks at an outcome.
///
/// ```
/// use executor_core::{ExecutorExt, SerialExecutor, TaskError, wait};
///
/// let executor = SerialExecutor::new();
/// let futures = [3_u32, 40, 5].map(|n| executor.submit(|n: u32| n * 2, n).unwrap());
/// let large = |outcome: &Result<u32, TaskError>| outcome.as_ref().is_ok_and(|&n| n > 50);
/// assert_eq!(wait(futures, None, large).done.len(), 3);
/// ```
pub trait ReturnCondition<T> {
    /// Returns whether a future with this outcome ends the wait.
    ///
    /// ```
    /// use executor_core::{ReturnCondition, ReturnWhen};
    ///
    /// assert!(ReturnWhen::FirstCompleted.is_met(&Ok(1)));
    /// assert!(!ReturnWhen::AllCompleted.is_met(&Ok(1)));
    /// ```
    fn is_met(&self, outcome: &Result<T, TaskError>) -> bool;

    /// Returns whether no outcome can end the wait, so that none need be looked at before all futures are done.
    fn waits_for_all(&self) -> bool {
        false
    }
}

impl<T> ReturnCondition<T> for ReturnWhen {
    fn is_met(&self, outcome: &Result<T, TaskError>) -> bool {
        match self {
            Self::FirstCompleted => true,
            Self::FirstException => outcome.as_ref().is_err_and(|error| !error.is_cancelled()),
            Self::AllCompleted => false,
        }
    }

    fn waits_for_all(&self) -> bool {
        *self == Self::AllCompleted
    }
}

impl<T, E> ReturnCondition<Result<T, E>> for FirstError {
    fn is_met(&self, outcome: &Result<Result<T, E>, TaskError>) -> bool {
        match outcome {
            Ok(value) => value.is_err(),
            Err(error) => !error.is_cancelled(),
        }
    }
}

impl<T, F: Fn(&Result<T, TaskError>) -> bool> ReturnCondition<T> for F {
    fn is_met(&self, outcome: &Result<T, TaskError>) -> bool {
        self(outcome)
    }
}

/// The two sets that [`wait`] returns. Every future is in one of them, in the order it was given.
///
/// ```
/// use executor_core::{DoneAndNotDone, Future, ReturnWhen, wait};
///
/// let DoneAndNotDone { done, not_done } = wait(Vec::<Future<u8>>::new(), None, ReturnWhen::AllCompleted);
/// assert!(done.is_empty() && not_done.is_empty());
/// ```
#[derive(Debug)]
#[must_use = "the futures are in it"]
pub struct DoneAndNotDone<M> {
    /// Done when `wait` returned, cancelled ones included.
    pub done: Vec<M>,
    /// Not done then.
    pub not_done: Vec<M>,
}

/// Waits for futures, of one executor or several, until `when` says so, all are done, or `timeout` has passed, which is
/// no error. Takes plain futures or pairs `(key, future)`; since handles are unique, there are no duplicates.
///
/// O(1) work per completion; one call is O(n). To wait again and again over the same futures, use
/// [`as_completed`](crate::as_completed), which registers once.
///
/// ```
/// use executor_core::{ExecutorExt, ReturnWhen, SerialExecutor, wait};
/// use std::time::Duration;
///
/// let executor = SerialExecutor::new();
/// let futures = [1_u32, 2, 3].map(|n| executor.submit(|n: u32| n * n, n).unwrap());
/// let sets = wait(futures, Some(Duration::from_secs(5)), ReturnWhen::AllCompleted);
/// let total: u32 = sets.done.into_iter().map(|future| future.result().unwrap()).sum();
/// assert_eq!(total, 14);
/// ```
pub fn wait<M: Member>(
    members: impl IntoIterator<Item = M>,
    timeout: Option<Duration>,
    when: impl ReturnCondition<M::Value>,
) -> DoneAndNotDone<M> {
    let deadline = timeout.and_then(deadline_after);
    let members: Vec<M> = members.into_iter().collect();
    let members = if when.waits_for_all() {
        wait_for_all(members, timeout, deadline)
    } else {
        wait_for_one(members, timeout, deadline, &when)
    };
    let (done, not_done) = members.into_iter().partition(|member| member.future().is_done());
    DoneAndNotDone { done, not_done }
}

/// Waits for each future in turn: most are done by then, and no single completion costs anything.
fn wait_for_all<M: Member>(members: Vec<M>, timeout: Option<Duration>, deadline: Option<Instant>) -> Vec<M> {
    if !timeout.is_some_and(is_over_at_once) {
        let _ = members.iter().all(|member| member.future().wait_until(deadline));
    }
    members
}

fn wait_for_one<M: Member>(
    members: Vec<M>,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    when: &impl ReturnCondition<M::Value>,
) -> Vec<M> {
    let is_met = |member: &M| member.future().is_done() && when.is_met(member.future().outcome());
    if timeout.is_some_and(is_over_at_once) || members.iter().any(is_met) {
        return members;
    }
    let mut set = CompletionSet::new();
    set.reserve(members.len());
    // The members with their places, so that they are returned in the order they came.
    let mut places = Vec::with_capacity(members.len());
    for (place, member) in members.into_iter().enumerate() {
        set.insert(Placed { place, member });
    }
    while let Some(placed) = set.next(deadline) {
        let met = is_met(&placed.member);
        places.push(placed);
        if met {
            break;
        }
    }
    places.extend(set.into_members());
    places.sort_unstable_by_key(|placed| placed.place);
    places.into_iter().map(|placed| placed.member).collect()
}

/// A member with its place in the order of the call.
struct Placed<M> {
    place: usize,
    member: M,
}

impl<M: Member> crate::completion::member::Sealed for Placed<M> {}

impl<M: Member> Member for Placed<M> {
    type Value = M::Value;

    fn future(&self) -> &crate::future::Future<M::Value> {
        self.member.future()
    }
}
