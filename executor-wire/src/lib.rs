//! How a call and its outcome become bytes, and back: for executors whose workers are other processes of the same executable.
//!
//! ```text
//!  caller                                  ║ worker
//!  pack(f, args) ──► function + input ─────║──► Trampoline::run(code, Job { input, .. })
//!                                          ║      decode, call, encode
//!  read(reply) ◄── reply ◄─────────────────║──◄ reply
//! ```
//! A function crosses as two addresses: its own, and that of a [`Trampoline`], a static of the executable that was made for
//! its types and knows how to decode the argument, call the function and encode the result. Both processes run the same
//! executable, so each address crosses as an offset in it. A reply is data only; reading it trusts nothing in it.
//!
//! How the bytes, and the two offsets, get from one process to the other is left to the user of this crate. So is the
//! future of the result: this crate has no threads, no queues and no waiting. It is what an executor over shared memory and one
//! over a network have in common.
//!
//! ```
//! use executor_wire::{Job, Output, Phase, Progress, pack, read};
//! use std::sync::atomic::AtomicU32;
//!
//! /// Where a worker would tell its parent how far it has come.
//! struct Unwatched;
//!
//! impl Progress for Unwatched {
//!     fn enter(&mut self, _phase: Phase) {}
//!     fn begin_items(&mut self) {}
//!     fn begin_item(&mut self) {}
//!     fn end_item(&mut self, _output: &mut Output<'_>) -> bool {
//!         true
//!     }
//! }
//!
//! // The caller packs a call,
//! let mut input = Vec::new();
//! let function = pack(u64::isqrt, 81, &mut Output::new(&mut input)).map_err(|(phase, text)| format!("{phase}: {text}"))?;
//! // the worker runs it,
//! let (mut reply, stop) = (Vec::new(), AtomicU32::new(0));
//! let output = Output::new(&mut reply);
//! let mut job = Job { input: &input, output, stop: &stop, timed: false, worker: "one", progress: &mut Unwatched };
//! // SAFETY: trampoline and function come from one call of `pack`.
//! unsafe { function.trampoline.run(function.code, &mut job) };
//! drop(job);
//! // and the caller reads the reply.
//! assert_eq!(read::<u64>(&reply).ok(), Some(9));
//! # Ok::<(), String>(())
//! ```
//!
//! | module | what it is |
//! | --- | --- |
//! | [`codec`] | postcard's format with limits on nesting, lengths and elements without bytes |
//! | [`Output`], [`Memory`] | windows of memory, wherever it is, into which values are encoded |
//! | [`items`] | several inputs, or outcomes, in one message |
//! | [`reply`] | what a worker answers: a value, a panic, or why there is none |
//! | [`Trampoline`], [`Job`] | the worker's side of a call |
//! | [`Initializer`] | what a worker runs before its first call |
//! | [`panic`](mod@panic) | catching, describing and containing panics |
//! | [`local`](mod@local) | thread-local values that may be asked for while their thread ends |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod codec;
pub mod items;
pub mod local;
pub mod panic;
pub mod reply;

mod call;
mod codec_phase;
mod initializer;
mod job;
mod large_pages;
mod output;
mod portable;
mod stop;
mod trampoline;

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;

pub use call::{Packed, call_trampoline, chunk_trampoline, pack, pack_items};
pub use codec_phase::CodecPhase;
pub use initializer::{Initializer, InitializerError};
pub use job::{Job, Phase, Progress};
pub use output::{Memory, Output, Window};
pub use portable::Portable;
pub use reply::{Failure, read};
pub use stop::is_stop_requested;
pub use trampoline::{Function, Trampoline};
