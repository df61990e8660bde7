//! Memory that holds one value and is handed to a worker as a descriptor: inputs and results too large for a block, and the
//! contents of a `SharedBuffer`.
//!
//! A buffer is written once, then sealed against all change; after that, whoever has it may read it in place, and a worker
//! that overwrites its own memory at random cannot spoil what others read.

use crate::system::{self, Access, Mapping, Sealed};
use rustix::fd::OwnedFd;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sealed memory, mapped for reading.
#[derive(Debug)]
pub(crate) struct Buffer {
    id: u64,
    file: OwnedFd,
    mapping: Mapping,
}

/// Numbers of this process's buffers. They begin at a different place in each process, by its own number, so that a buffer
/// that comes back is not taken for another's.
fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    (u64::from(std::process::id()) << 40) | NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Buffer {
    /// Makes a buffer of `length` bytes, all zero, filled by `fill`.
    pub(crate) fn build(length: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        let file = system::anonymous_memory("concurrent-futures", length)?;
        let writable = Mapping::new(&file, length, Access::ReadWrite)?;
        // SAFETY: fresh memory that nobody else has yet.
        fill(unsafe { std::slice::from_raw_parts_mut(writable.start().as_ptr(), length) });
        drop(writable);
        system::seal_for_reading(&file)?;
        let mapping = Mapping::new(&file, length, Access::Read)?;
        Ok(Self { id: next_id(), file, mapping })
    }

    /// A buffer with these contents.
    pub(crate) fn copy_of(bytes: &[u8]) -> io::Result<Self> {
        let file = system::anonymous_memory("concurrent-futures", bytes.len())?;
        // Written and not mapped: the kernel fills page after page without a fault for each.
        system::write_all(&file, bytes)?;
        system::seal_for_reading(&file)?;
        let mapping = Mapping::new(&file, bytes.len(), Access::Read)?;
        Ok(Self { id: next_id(), file, mapping })
    }

    /// A buffer that another process made. What can still be written to is copied; what could shrink is refused.
    pub(crate) fn receive(id: u64, file: OwnedFd, length: u64) -> io::Result<Self> {
        let size = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        match system::seals_of(&file, length) {
            Sealed::Wholly => {}
            Sealed::Length => return Self::copy(id, &file, size),
            Sealed::No => return Err(io::Error::new(io::ErrorKind::InvalidData, "memory that is not sealed")),
        }
        let mapping = Mapping::new(&file, size, Access::Read)?;
        Ok(Self { id, file, mapping })
    }

    /// The parent's own memory, which nobody else writes: as `receive`, for a worker.
    pub(crate) fn receive_from_parent(id: u64, file: OwnedFd, length: u64) -> io::Result<Self> {
        if system::seals_of(&file, length) == Sealed::No {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "memory that is not sealed"));
        }
        let mapping =
            Mapping::new(&file, usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?, Access::Read)?;
        Ok(Self { id, file, mapping })
    }

    fn copy(id: u64, file: &OwnedFd, length: usize) -> io::Result<Self> {
        let source = Mapping::new(file, length, Access::Read)?;
        let copied = Self::build(length, |memory| {
            // SAFETY: as many bytes, mapped for reading. Should they change meanwhile, the copy is one of both states.
            unsafe { std::ptr::copy_nonoverlapping(source.start().as_ptr(), memory.as_mut_ptr(), length) };
        })?;
        Ok(Self { id, ..copied })
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn length(&self) -> u64 {
        self.mapping.length() as u64
    }

    pub(crate) fn file(&self) -> &OwnedFd {
        &self.file
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for reading as long as `self`, and sealed: nobody can change it.
        unsafe { std::slice::from_raw_parts(self.mapping.start().as_ptr(), self.mapping.length()) }
    }
}
