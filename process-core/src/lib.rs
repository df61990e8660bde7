//! A process of the same executable, and what it is handed: memory, descriptors, the names of functions. Linux; on other systems
//! this crate is empty.
//!
//! | module | what it has |
//! | --- | --- |
//! | [`image`] | the running executable: functions and constants as offsets that another process of it understands |
//! | [`attachments`], [`Handle`] | descriptors inside values: noted while a value is encoded, found by number while it is decoded |
//! | [`memory`] | memory behind a descriptor: mapped, written once, sealed; [`SharedBuffer`] as a value |
//! | [`untrusted_file`] | descriptors from a process that is not believed, whose close may block |
//! | [`waking`] | two words in shared memory by which processes wake each other |
//! | [`start_error`], [`exit_status`] | why a process could not be started, and how one ended, in words |
//! | [`constructors`], [`loader`] | what runs before `main`, and what the kernel was told to start |
//! | [`system`] | every system call |

#![cfg(target_os = "linux")]

pub mod attachments;
pub mod constructors;
pub mod exit_status;
mod handle;
pub mod image;
pub mod loader;
pub mod memory;
pub mod start_error;
pub mod sync;
pub mod system;
pub mod untrusted_file;
pub mod waking;

pub use handle::Handle;
pub use memory::{Plain, SharedBuffer};
