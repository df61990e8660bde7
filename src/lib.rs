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
//! With `"processes"` in the place of `"threads:2"`, or `ProcessPoolExecutor`, the same tasks run in worker processes
//! (Linux): a task that crashes, leaks or never ends then costs itself alone. Workers are processes of the program's own
//! executable and need no set-up in it. They are taken over before `main` begins; without the feature `before-main`,
//! [`init`] comes first in `main` instead.
//!
//! # Features
//!
//! | feature | what it is for | by default |
//! | --- | --- | --- |
//! | `threads` | the pool of threads | yes |
//! | `processes` | the pool of worker processes, on Linux | yes |
//! | `before-main` | worker processes are taken over before `main` | yes |
//! | `ipc-channel` | values of the pool of processes may contain channels of the crate ipc-channel | no |
//!
//! A program that needs threads alone says `default-features = false, features = ["threads"]`: it then compiles 20 crates instead
//! of 30, and nothing of ours runs before its `main`.
//!
//! # Crates
//!
//! This crate holds documentation and re-exports. The work is done by `executor-core` (the trait, the future, `wait`,
//! `as_completed`, `map`), `thread-executor` (the thread pool) and `process-executor` (the process pool). Below them,
//! `executor-wire` turns calls into bytes, and `process-core` starts processes and hands them memory.
//!
//! The repository has the guarantees (`docs/guarantees.md`), every name of Python's with its counterpart (`docs/python.md`), and
//! the numbered behaviours with their tests (`docs/contract.md`).

mod any_executor;
mod spec;

pub use any_executor::AnyExecutor;
pub use executor_core::{
    Admission, AsCompleted, AsyncExecutor, AsyncExecutorExt, BrokenExecutor, BuildError, CancelOnDrop, CodecError,
    CodecPhase, Death, DoneAndNotDone, Executor, ExecutorExt, Expired, FirstError, Future, IntoStream, Map, MapOptions,
    Member, Panic, Portable, Promise, Rejected, Rejection, ReturnCondition, ReturnWhen, SerialExecutor, SharedFuture,
    Shutdown, Stats, Stop, SubmitError, TaskError, TaskId, TaskInfo, TaskOptions, TimedAsCompleted, TimedOut,
    TrySubmitError, Unfinished, WORKERS_VARIABLE, WorkerCount, WorkerDeath, as_completed, is_stop_requested, queue,
    task, wait,
};
#[cfg(all(target_os = "linux", feature = "processes"))]
pub use process_executor::{
    Plain, ProcessPoolBuilder, ProcessPoolExecutor, SharedBuffer, TransportKind, WorkerInfo, WorkerOutput, WorkerState,
    init,
};
pub use spec::ExecutorSpec;
#[cfg(feature = "threads")]
pub use thread_executor::{Scope, ScopedFuture, ThreadPoolBuilder, ThreadPoolExecutor};

/// Does nothing in this build, which has no worker processes. With them, on Linux, it is the first line of the `main` of a program
/// that is built without the feature `before-main`.
///
/// ```
/// // The first line of `main`:
/// concurrent_futures::init();
/// ```
#[cfg(not(all(target_os = "linux", feature = "processes")))]
pub fn init() {}

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
    #[cfg(all(target_os = "linux", feature = "processes"))]
    pub use crate::ProcessPoolExecutor;
    #[cfg(feature = "threads")]
    pub use crate::ThreadPoolExecutor;
    pub use crate::{
        AsyncExecutor, AsyncExecutorExt, Executor, ExecutorExt, FirstError, MapOptions, ReturnWhen, Shutdown,
        TaskOptions, as_completed, wait,
    };
}

/// The README's code is compiled and run as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
