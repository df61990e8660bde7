//! `concurrent-futures`: Python's `concurrent.futures` for Rust.
//!
//! One [`Executor`] trait, one [`Future`] handle, and executors that are exchanged by one word:
//!
//! ```
//! use concurrent_futures::prelude::*;
//! use concurrent_futures::ExecutorSpec;
//!
//! fn word_count(text: String) -> usize {
//!     text.split_whitespace().count()
//! }
//!
//! let executor = "threads:2".parse::<ExecutorSpec>()?.build()?;
//! let future = executor.submit(word_count, "one two three".to_owned())?;
//! assert_eq!(future.result()?, 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate holds documentation and re-exports; the work is done by `executor-core` (the trait, the future, `wait`,
//! `as_completed`, `map`) and `thread-executor` (the thread pool).

mod spec;

pub use executor_core::{
    Admission, AsCompleted, AsyncExecutor, AsyncExecutorExt, BrokenExecutor, BuildError, CancelOnDrop, DoneAndNotDone,
    Executor, ExecutorExt, Expired, FirstError, Future, IntoStream, Map, MapOptions, Member, Panic, Portable, Promise,
    Rejected, Rejection, ReturnCondition, ReturnWhen, SerialExecutor, SharedFuture, Shutdown, Stats, Stop, SubmitError,
    TaskError, TaskId, TaskInfo, TaskOptions, TimedAsCompleted, TimedOut, TrySubmitError, Unfinished, WORKERS_VARIABLE,
    WorkerCount, as_completed, is_stop_requested, queue, task, wait,
};
pub use spec::ExecutorSpec;
pub use thread_executor::{Scope, ScopedFuture, ThreadPoolBuilder, ThreadPoolExecutor};

/// What most programs import. [`Future`] is not in it: it would shadow the standard library's trait unasked.
///
/// ```
/// use concurrent_futures::prelude::*;
///
/// let pool = ThreadPoolExecutor::with_workers(2)?;
/// let futures = [1_u64, 2, 3].map(|n| pool.submit(|n: u64| n * n, n).unwrap());
/// let sum: u64 = as_completed(futures).map(|future| future.result().unwrap()).sum();
/// assert_eq!(sum, 14);
/// # Ok::<(), concurrent_futures::BuildError>(())
/// ```
pub mod prelude {
    pub use crate::{
        AsyncExecutor, AsyncExecutorExt, Executor, ExecutorExt, FirstError, MapOptions, ReturnWhen, Shutdown,
        TaskOptions, ThreadPoolExecutor, as_completed, wait,
    };
}

/// The README's code is compiled and run as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
