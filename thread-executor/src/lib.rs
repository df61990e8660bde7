//! A thread pool behind the [`Executor`](executor_core::Executor) trait.
//!
//! ```
//! use executor_core::{ExecutorExt, as_completed};
//! use thread_executor::ThreadPoolExecutor;
//!
//! let pool = ThreadPoolExecutor::builder().workers(4).thread_name_prefix("hash").build()?;
//!
//! // A plain function and its argument, as every executor takes them.
//! let squares = [1_u64, 2, 3].map(|n| pool.submit(|n: u64| n * n, n).unwrap());
//! assert_eq!(as_completed(squares).map(|square| square.result().unwrap()).sum::<u64>(), 14);
//!
//! // On threads, closures may also capture, and borrow for a scope.
//! let text = String::from("one two three");
//! let words = pool.scope(|scope| scope.spawn(|| text.split(' ').count()).unwrap().result());
//! assert_eq!(words?, 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! How it works:
//!
//! ```text
//!  submit ─► capacity? ─► queue ──oldest──► worker ─► run ─► future
//!                           │ wakes a sleeper
//!                           └─ or starts a worker
//! ```
//! - All submitters append to one queue, and every worker takes its oldest task: no task waits behind a younger one, or
//!   behind one that runs, while a worker is free.
//! - Workers sleep without cost and are woken one at a time; a submit that finds no sleeper makes no system call.
//! - Workers hold the pool, not its handle. Closing the queue is what ends them.

mod sync;

mod capacity;
mod counters;
mod idle;
mod settings;

mod backlog;

mod deep_stack;
mod pool;
mod worker;

mod builder;
mod executor;
mod scope;

pub use builder::ThreadPoolBuilder;
pub use executor::ThreadPoolExecutor;
pub use scope::{Scope, ScopedFuture};
