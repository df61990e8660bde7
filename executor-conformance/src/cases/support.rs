//! Small helpers that several themes share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use executor_core::{Future, Promise, TaskError};

/// No time at all: reads what is done, and does not wait.
pub(crate) const NOW: Duration = Duration::ZERO;

/// A limit that must expire, because the task it limits is held back.
pub(crate) const SHORT: Duration = Duration::from_millis(20);

/// A limit that never expires in a healthy run; the watchdog ends a hang first.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// Returns a future that is done with `value`.
pub(crate) fn done<T: Send + 'static>(value: T) -> Future<T> {
    let (promise, future) = Promise::new();
    assert!(promise.set_result(value).is_ok(), "nothing else completes this future");
    future
}

/// Returns a future that has failed. Without an executor, the only error that can be made is an abandoned promise.
pub(crate) fn failed<T: Send + 'static>() -> Future<T> {
    let (promise, future) = Promise::new();
    drop(promise);
    future
}

/// Returns a future that was cancelled while its promise still exists.
pub(crate) fn cancelled<T: Send + 'static>() -> (Promise<T>, Future<T>) {
    let (promise, future) = Promise::new();
    assert!(future.cancel(), "a new future can be cancelled");
    (promise, future)
}

/// Returns promises and their futures, in the same order.
pub(crate) fn pairs<T: Send + 'static>(count: usize) -> (Vec<Promise<T>>, Vec<Future<T>>) {
    (0..count).map(|_| Promise::new()).unzip()
}

#[track_caller]
pub(crate) fn assert_cancelled<T: std::fmt::Debug>(outcome: Result<T, TaskError>) {
    match outcome {
        Err(error) => assert!(error.is_cancelled(), "expected a cancelled task, got {error:?}"),
        Ok(value) => panic!("expected a cancelled task, got {value:?}"),
    }
}

#[track_caller]
pub(crate) fn assert_timed_out<T: std::fmt::Debug>(outcome: Result<T, TaskError>) {
    match outcome {
        Err(error) => assert!(error.is_timed_out(), "expected an expired limit, got {error:?}"),
        Ok(value) => panic!("expected an expired limit, got {value:?}"),
    }
}

/// A count that a callback or a waker raises.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counter(Arc<AtomicUsize>);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}
