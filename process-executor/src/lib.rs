//! [`ProcessPoolExecutor`]: a pool of worker processes behind the [`Executor`](executor_core::Executor) trait. Linux.
//!
//! ```text
//!  submit ─► pack ─► queue ─deal─► ring ═══ shared memory ═══► worker: decode, run, encode
//!                      ▲            │                                    │
//!                      └ take back ─┤ death                              │
//!  future ◄─ finish ◄─ batch ◄──────┴──── collect ◄══════════════════════┘
//! ```
//! Each worker is a process of the same executable, taken over before its `main` (`before_main.rs`), with a ring of shared memory
//! (`protocol/layout.rs`, `dispatch/ring.rs`) and a socket (`link.rs`, `message.rs`) of its own. Nothing is shared between two workers, so that
//! whatever one of them does, the others do not notice.
//!
//! **A task has one holder at a time**: the queue, a ring, a batch, a courier. Whoever holds it ends its future.
//!
//! **Who runs user code**: submitting threads (encoding arguments), waiting threads (decoding results), couriers (decoding,
//! callbacks, wakers), workers (everything else). The supervisor never does, and no lock is held meanwhile.
//!
//! # Exit codes of workers
//!
//! A process that has `CONCURRENT_FUTURES_WORKER_PROCESS` in its environment becomes a worker or ends; `main` never runs there. The
//! codes, each with a line on standard error unless its parent is gone:
//!
//! | code | the process |
//! | --- | --- |
//! | 70 | could not begin: what it was told makes no sense, or the system refuses what it needs |
//! | 77 | has rights that whoever started it may not have (set-user-ID, set-group-ID, capabilities of its file) |
//! | 78 | was not started by a pool, but by a program that has the variable in its environment |

#[cfg(not(target_os = "linux"))]
compile_error!("process-executor works on Linux; use thread-executor here");
// Each module says where it is, so that elsewhere there is that one error and no other.

#[cfg(target_os = "linux")]
mod arrivals;
#[cfg(target_os = "linux")]
mod before_main;
#[cfg(target_os = "linux")]
mod builder;
#[cfg(target_os = "linux")]
mod carrier;
#[cfg(target_os = "linux")]
mod dispatch;
#[cfg(target_os = "linux")]
mod entry;
#[cfg(target_os = "linux")]
mod executor;
#[cfg(target_os = "linux")]
mod function;
#[cfg(target_os = "linux")]
mod ipc_channel;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
mod message;
#[cfg(target_os = "linux")]
mod pool;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod protocol;
#[cfg(target_os = "linux")]
mod settings;
#[cfg(target_os = "linux")]
mod supervisor;
#[cfg(target_os = "linux")]
mod violation;
#[cfg(target_os = "linux")]
mod worker;
#[cfg(target_os = "linux")]
mod worker_info;

#[cfg(all(target_os = "linux", any(test, fuzzing)))]
pub mod fuzzing;

#[cfg(target_os = "linux")]
use process_core::{
    constructors, exit_status as exit_words, image, loader, memory as buffer, memory as mapping, start_error, sync,
    system, untrusted_file, waking,
};

#[cfg(target_os = "linux")]
pub use before_main::init;
#[cfg(target_os = "linux")]
pub use builder::ProcessPoolBuilder;
#[cfg(target_os = "linux")]
pub use executor::ProcessPoolExecutor;
#[cfg(target_os = "linux")]
pub use process_core::{Plain, SharedBuffer};
#[cfg(target_os = "linux")]
pub use settings::{TransportKind, WorkerOutput};
#[cfg(target_os = "linux")]
pub use worker_info::{WorkerInfo, WorkerState};
