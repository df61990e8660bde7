//! [`ProcessPoolExecutor`]: a pool of worker processes behind the [`Executor`](executor_core::Executor) trait. Linux.
//!
//! ```text
//!  submit ─► pack ─► queue ─deal─► lane ═══ shared memory ═══► worker: decode, run, encode
//!                      ▲            │                                    │
//!                      └ take back ─┤ death                              │
//!  future ◄─ finish ◄─ batch ◄──────┴──── collect ◄══════════════════════┘
//! ```
//! Each worker is a process of the same executable, taken over before its `main` (`before_main.rs`), with a lane of shared memory
//! (`layout.rs`, `lane.rs`) and a socket (`link.rs`, `message.rs`) of its own. Nothing is shared between two workers, so that
//! whatever one of them does, the others do not notice.
//!
//! **A task has one holder at a time**: the queue, a lane, a batch, a courier. Whoever holds it ends its future.
//!
//! **Who runs user code**: submitting threads (encoding arguments), waiting threads (decoding results), couriers (decoding,
//! callbacks, wakers), workers (everything else). The supervisor never does, and no lock is held meanwhile.

#[cfg(not(target_os = "linux"))]
compile_error!("process-executor works on Linux; use thread-executor here");

mod arrivals;
mod batch;
mod before_main;
mod budget;
mod buffer;
mod builder;
mod carrier;
mod couriers;
mod dispatch;
mod entry;
mod executor;
mod exit_words;
mod function;
mod image;
mod lane;
mod layout;
mod link;
mod mapping;
mod message;
mod parcel;
mod pool;
mod porter;
mod process;
mod room;
mod seat;
mod settings;
mod shared_buffer;
mod start_error;
mod supervisor;
mod sync;
mod system;
mod untrusted_file;
mod waking;
mod watch;
mod worker;
mod worker_info;
mod worker_settings;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;

pub use before_main::init;
pub use builder::ProcessPoolBuilder;
pub use executor::ProcessPoolExecutor;
pub use settings::{TransportKind, WorkerOutput};
pub use shared_buffer::{Plain, SharedBuffer};
pub use worker_info::{WorkerInfo, WorkerState};
