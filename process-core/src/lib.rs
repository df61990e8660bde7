//! A process of the same executable, and what it is handed: values, descriptors, memory. Linux; on other systems this crate is empty.
//!
//! [`start`](start()) starts a process that begins with a function of this program instead of `main`, and a [`Connection`] to it carries
//! values in both directions. A value may contain descriptors ([`Handle`]) and memory ([`SharedBuffer`]), wherever serde comes.
//!
//! ```
//! use process_core::{Connection, ExitCode, Handle, Settings, start};
//! use std::fs::File;
//! use std::io::{Read, Write, pipe};
//! use std::os::fd::OwnedFd;
//!
//! /// Where the other process begins.
//! fn greeter(connection: Connection) -> ExitCode {
//!     let greet = || -> std::io::Result<()> {
//!         let (name, output): (String, Handle) = connection.receive()?;
//!         write!(File::from(output.duplicate()?), "hello, {name}")?;
//!         connection.send(&name.len())
//!     };
//!     if greet().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
//! }
//!
//! let mut started = start(greeter, &Settings::default(), &[])?;
//! let (mut reader, writer) = pipe()?;
//! started.connection.send(&("world", Handle::from(OwnedFd::from(writer))))?;
//! assert_eq!(started.connection.receive::<usize>()?, 5);
//! let mut text = String::new();
//! reader.read_to_string(&mut text)?;
//! assert_eq!(text, "hello, world");
//! assert!(started.process.wait()?.is_some_and(|status| status.success()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what it has |
//! | --- | --- |
//! | [`attachments`] | how descriptors travel inside values: noted while a value is encoded, found by number while it is decoded |
//! | [`frame`], [`intake`] | four words with descriptors: what protocols on the socket are made of; and for a process that believes nobody |
//! | [`image`], [`function`] | the running executable: functions and constants as offsets that another process of it understands |
//! | [`memory`] | memory behind a descriptor: mapped, written once, sealed |
//! | [`waking`] | two words in shared memory by which processes wake each other |
//! | [`start_error`], [`exit_status`] | why a process could not be started, and how one ended, in words |
//! | [`untrusted_file`] | descriptors from a process that is not believed, whose close may block |
//! | [`constructors`], [`loader`] | what runs before `main`, and what the kernel was told to start |
//! | [`system`] | every system call |
//!
//! # Who believes whom
//!
//! A process that was started believes the one that has started it. The other way round nothing is believed: what comes is checked
//! before it is used, whatever bytes and descriptors those are.
//!
//! # Exit codes
//!
//! A process that has `CONCURRENT_FUTURES_WORKER_PROCESS` in its environment begins at its entry point or ends; `main` never runs there.
//! The codes with which it ends, each with a line on standard error unless its parent is gone:
//!
//! | code | the process |
//! | --- | --- |
//! | 70 | could not begin: what it was told makes no sense, or the system refuses what it needs |
//! | 77 | has rights that its parent may not have (set-user-ID, set-group-ID, capabilities of its file) |
//! | 78 | was not started by [`start`](start()), but by a program that has the variable in its environment |
//! | 101 | panicked |

#![cfg(target_os = "linux")]

pub mod attachments;
mod begin;
mod connection;
pub mod constructors;
mod entry;
pub mod exit_status;
pub mod frame;
pub mod function;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod handle;
pub mod image;
pub mod intake;
pub mod loader;
pub mod memory;
mod process;
mod refusal;
mod start;
pub mod start_error;
pub mod sync;
pub mod system;
mod take_over;
pub mod untrusted_file;
pub mod waking;

pub use begin::LOOK_FOR_PARENT;
pub use connection::{Connection, MOST_ATTACHMENTS, Parts, REFUSED};
pub use entry::{Entry, ExitCode};
pub use handle::Handle;
pub use memory::{Plain, SharedBuffer};
pub use process::{Process, Signalled};
pub use refusal::Refusal;
pub use start::{NotStarted, Settings, StandardOutput, Started, start};
pub use take_over::{init, is_ready};
