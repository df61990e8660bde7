//! The core of `concurrent-futures`: what executors have in common.
//!
//! ```text
//! submit(f, args) ─► Task ──► an executor's queue ──► a worker runs it ──► outcome
//!                     │ one allocation                                      │
//!                     ▼                                                     ▼
//!                   Future ◄── cancel, wait, callbacks, .await ◄── state transition
//! ```
//!
//! - [`Executor`] is the trait that executors implement; [`ExecutorExt`] has `submit` and `map` for all of them.
//! - [`Future`] is the handle of one task; [`SharedFuture`] can be cloned; [`Promise`] is the producer side.
//! - [`wait`], [`as_completed`] and [`Map`] are for many futures at once.
//! - [`SerialExecutor`] runs everything in the caller. Pools of threads and of processes are crates of their own.
//! - [`task`], [`queue`], [`remote`] and [`driver`] are for authors of executors.
//!
//! The semantics follow Python's `concurrent.futures`, without its known faults: see `README.md` and
//! `ARCHITECTURE.md` of the repository.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod deadline;
mod error;
pub mod fork;
mod info;
mod options;
mod sync;

mod cell;
mod future;
mod waiting;

pub mod queue;
pub mod task;

mod completion;
mod executor;
mod map;
pub mod remote;
mod submit;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;

pub use cell::current::is_stop_requested;
pub use completion::{
    AsCompleted, DoneAndNotDone, FirstError, IntoStream, Member, ReturnCondition, ReturnWhen, TimedAsCompleted,
    Unfinished, as_completed, wait,
};
pub use error::{
    BrokenExecutor, BuildError, CodecError, CodecPhase, Death, Expired, Panic, SubmitError, TaskError, TimedOut,
    TrySubmitError, WorkerDeath,
};
pub use executor::{
    Admission, Executor, Rejected, Rejection, SerialExecutor, Shutdown, Stats, WORKERS_VARIABLE, WorkerCount,
};
pub use executor_wire::{Portable, kept, local};
pub use future::{CancelOnDrop, Future, Promise, SharedFuture, Stop};
pub use info::{TaskId, TaskInfo};
pub use map::{Map, MapOptions};
pub use options::TaskOptions;
pub use submit::{AsyncExecutor, AsyncExecutorExt, ExecutorExt};
pub use waiting::driver;
