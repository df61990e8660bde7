//! A process of the same executable, and what it is handed: memory, descriptors, the names of functions. Linux; on other systems
//! this crate is empty.
//!
//! | module | what it has |
//! | --- | --- |
//! | [`image`] | the running executable: functions and constants as offsets that another process of it understands |
//! | [`memory`] | memory behind a descriptor: mapped, written once, sealed |
//! | [`waking`] | two words in shared memory by which processes wake each other |
//! | [`start_error`], [`exit_status`] | why a process could not be started, and how one ended, in words |
//! | [`constructors`], [`loader`] | what runs before `main`, and what the kernel was told to start |
//! | [`system`] | every system call |

#![cfg(target_os = "linux")]

pub mod constructors;
pub mod exit_status;
pub mod image;
pub mod loader;
pub mod memory;
pub mod start_error;
pub mod sync;
pub mod system;
pub mod waking;
