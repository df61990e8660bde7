//! The core of `concurrent-futures`: what executors have in common.
//!
//! ```text
//! submit(f, args) ─► Task ──► an executor's queue ──► a worker runs it ──► outcome
//!                     │ one allocation                                      │
//!                     ▼                                                     ▼
//!                   Future ◄── cancel, wait, callbacks, .await ◄── state transition
//! ```
//!
//! - [`Executor`] is implemented by executors, [`ExecutorExt`] gives `submit` and `map` to all of them.
//! - [`Future`] is the handle of one task; [`SharedFuture`] can be cloned; [`Promise`] is the producer side.
//! - [`wait`], [`as_completed`] and [`Map`] deal with many futures at once.
//! - [`SerialExecutor`] runs everything in the caller; thread and process pools are crates of their own.
//!
//! The semantics follow Python's `concurrent.futures`, without its known faults: see `README.md` and
//! `ARCHITECTURE.md` of the repository.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod state;
mod sync;

mod info;
mod options;
mod own_thread;
mod panic;

mod error;
mod submit_error;

mod away;
mod callback;
mod cell;
mod clock;
mod current;
mod deadline;
mod expiry;
pub mod fork;
mod header;
mod observer;
pub mod queue;
pub mod task;
mod worker;

pub mod driver;
mod futex_waitv;
mod spin;
mod waiting;

mod codec_error;
mod death;
mod remains;
pub mod remote;

mod cancel_on_drop;
mod future;
mod promise;
mod shared_future;

mod as_completed;
mod completion;
mod into_stream;
mod member;
mod wait;
mod wake_thread;

mod async_executor;
mod executor;
mod serial;
mod shutdown;
mod stats;
mod worker_count;

mod chunk;
mod chunk_size;
mod map;
mod map_options;
mod outcomes;
mod pace;
mod parts;
mod window;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;

pub use as_completed::{AsCompleted, TimedAsCompleted, Unfinished, as_completed};
pub use async_executor::{AsyncExecutor, AsyncExecutorExt};
pub use cancel_on_drop::CancelOnDrop;
pub use current::is_stop_requested;
pub use error::{BrokenExecutor, CodecError, CodecPhase, Death, Expired, TaskError, TimedOut, WorkerDeath};
pub use executor::{Admission, Executor, ExecutorExt, Rejected, Rejection};
pub use executor_wire::{Portable, kept, local};
pub use future::{Future, Stop};
pub use info::{TaskId, TaskInfo};
pub use into_stream::IntoStream;
pub use map::Map;
pub use map_options::MapOptions;
pub use member::Member;
pub use options::TaskOptions;
pub use panic::Panic;
pub use promise::Promise;
pub use serial::SerialExecutor;
pub use shared_future::SharedFuture;
pub use shutdown::Shutdown;
pub use stats::Stats;
pub use submit_error::{BuildError, SubmitError, TrySubmitError};
pub use wait::{DoneAndNotDone, FirstError, ReturnCondition, ReturnWhen, wait};
pub use worker_count::{WORKERS_VARIABLE, WorkerCount};
