//! Memory that several processes have: behind a descriptor, without a name, gone with its last owner.

mod buffer;
mod shared_buffer;

pub use crate::system::{Access, LargePages, Mapping};
pub use buffer::{Buffer, GrowingBuffer, Spill};
pub use shared_buffer::{Plain, SharedBuffer};
