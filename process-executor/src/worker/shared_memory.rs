//! The transport of shared memory, in the worker: inputs lie in the slot, in a block, or in memory of their own.

use super::passage::InMemory;
use super::tasks::{TaskLoop, Transport, missing};
use crate::protocol::layout::{BLOCK, IN_BLOCK, IN_BUFFER, IN_SLOT, INLINE, Shared, Slot};
use rustix::fd::OwnedFd;
use std::io;
use std::sync::atomic::Ordering;

pub(crate) struct SharedMemory;

impl Transport for SharedMemory {
    fn open(_: Vec<OwnedFd>) -> io::Result<Self> {
        Ok(Self)
    }

    fn run_task(&self, tasks: &mut TaskLoop<'_, Self>, slot: &Slot) {
        let buffer;
        let inline;
        let length = slot.input_length.load(Ordering::Relaxed) as usize;
        let input = match slot.input_place.load(Ordering::Relaxed) {
            IN_SLOT => {
                inline = slot.read(length);
                &inline[..length.min(INLINE)]
            }
            IN_BUFFER => {
                let id = u64::from_ne_bytes(slot.read(8)[..8].try_into().unwrap_or_default());
                match tasks.connection.buffer(id) {
                    Ok(found) => buffer = found,
                    Err(reason) => {
                        tasks.run_input(slot, Err(&missing(&reason)), &InMemory);
                        return;
                    }
                }
                buffer.bytes()
            }
            place => block_input(tasks.shared, place.wrapping_sub(IN_BLOCK), length),
        };
        tasks.run_input(slot, Ok(input), &InMemory);
    }
}

fn block_input(shared: &Shared, block: u32, length: usize) -> &[u8] {
    match shared.input_block(block as usize) {
        // SAFETY: the parent wrote so many bytes there for this task, and does not touch the block until the task is over.
        Some(start) => unsafe { std::slice::from_raw_parts(start.as_ptr(), length.min(BLOCK)) },
        None => &[],
    }
}
