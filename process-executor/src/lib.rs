//! [`ProcessPoolExecutor`]: a pool of worker processes behind the [`Executor`](executor_core::Executor) trait. Linux.
//!
//! ```
//! use executor_core::{ExecutorExt, TaskError, TaskOptions};
//! use process_executor::ProcessPoolExecutor;
//! use std::time::Duration;
//!
//! fn count(text: String) -> usize {
//!     match text.as_str() {
//!         "crash" => std::process::abort(), // a bug in a C library, say
//!         "hang" => std::thread::sleep(Duration::MAX),
//!         _ => {}
//!     }
//!     text.len()
//! }
//!
//! let pool = ProcessPoolExecutor::builder().workers(2).build()?;
//! let limit = TaskOptions::new().run_timeout(Duration::from_secs(1));
//! let hang = pool.submit_with(limit, count, "hang".to_owned())?;
//! let crash = pool.submit(count, "crash".to_owned())?;
//! let fine = pool.submit(count, "fine".to_owned())?;
//! assert!(matches!(hang.result(), Err(TaskError::TimedOut(_)))); // its worker was ended
//! assert!(matches!(crash.result(), Err(TaskError::WorkerDied(_)))); // which worker, and that SIGABRT ended it
//! assert_eq!(fine.result()?, 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! How it works:
//!
//! ```text
//!  submit ─► pack ─► queue ─deal─► ring ═══ shared memory ═══► worker: decode, run, encode
//!                      ▲            │                                    │
//!                      └ take back ─┤ death                              │
//!  future ◄─ finish ◄─ batch ◄──────┴──── collect ◄══════════════════════┘
//! ```
//! Each worker is a process of the same executable, taken over before its `main` (`process_core`), with a ring of shared memory
//! (`protocol/layout.rs`, `dispatch/ring.rs`) and a socket (`link.rs`, `protocol/message.rs`) of its own. Two workers share nothing, so the
//! others do not notice what becomes of one.
//!
//! **A task has one holder at a time**: the queue, a ring, a relay, a batch. The holder ends its future.
//!
//! **User code runs** on submitting threads (encoding arguments), waiting threads (decoding results), callback threads (decoding,
//! callbacks, wakers), and in workers (everything else). It never runs on the supervisor, nor under a lock.
//!
//! # Exit codes of workers
//!
//! A process that has `CONCURRENT_FUTURES_WORKER_PROCESS` in its environment becomes a worker or ends; `main` never runs there. The
//! codes with which it ends are those of [`process_core`](process_core#exit-codes).

#[cfg(not(target_os = "linux"))]
compile_error!("process-executor works on Linux; use thread-executor here");
// Each module says where it is, so that elsewhere there is that one error and no other.

#[cfg(target_os = "linux")]
mod builder;
#[cfg(target_os = "linux")]
mod dispatch;
#[cfg(target_os = "linux")]
mod executor;
#[cfg(all(target_os = "linux", feature = "ipc-channel"))]
mod ipc_channel;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
mod pool;
#[cfg(target_os = "linux")]
mod protocol;
#[cfg(target_os = "linux")]
mod settings;
#[cfg(target_os = "linux")]
mod supervisor;
#[cfg(target_os = "linux")]
mod worker;
#[cfg(target_os = "linux")]
mod worker_info;

#[cfg(all(target_os = "linux", any(test, fuzzing)))]
pub mod fuzzing;

#[cfg(target_os = "linux")]
pub use builder::ProcessPoolBuilder;
#[cfg(target_os = "linux")]
pub use executor::ProcessPoolExecutor;
#[cfg(target_os = "linux")]
pub use process_core::init;
#[cfg(target_os = "linux")]
pub use process_core::{Plain, SharedBuffer};
#[cfg(target_os = "linux")]
pub use settings::{TransportKind, WorkerOutput};
#[cfg(target_os = "linux")]
pub use worker_info::{WorkerInfo, WorkerState};
