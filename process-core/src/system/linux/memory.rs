//! Memory behind a descriptor: made, filled, sealed, and checked when another process made it.

use super::descriptors::beyond_standard;
use super::machine::check_file_size;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::io::{Errno, retry_on_intr};
use std::io;
use std::ops::Range;

/// Seals against another length.
const LENGTH: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

/// Makes memory of a fixed size: no name, no file, gone with its last descriptor and mapping. `name` is what `/proc` calls it.
///
/// # Errors
///
/// `memfd_create`, `ftruncate` or `fcntl(F_ADD_SEALS)` fails, or the limit on the size of files is lower.
pub fn anonymous_memory(name: &str, length: usize) -> io::Result<OwnedFd> {
    let file = growing_memory(name)?;
    grow(&file, length)?;
    rustix::fs::fcntl_add_seals(&file, LENGTH)?;
    Ok(file)
}

/// Makes the same with no bytes yet: what is written makes it longer.
///
/// # Errors
///
/// `memfd_create` fails.
pub fn growing_memory(name: &str) -> io::Result<OwnedFd> {
    beyond_standard(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?)
}

/// Makes memory longer.
///
/// # Errors
///
/// `ftruncate` fails, or the limit on the size of files is lower.
pub fn grow(file: impl AsFd, length: usize) -> io::Result<()> {
    check_file_size(length)?;
    Ok(rustix::fs::ftruncate(file, length as u64)?)
}

/// Takes the pages for some bytes now which were never written, and so are not there yet.
///
/// # Errors
///
/// There is no memory for them.
pub fn fill_fresh(file: impl AsFd, length: usize) -> io::Result<()> {
    const ZEROS: &[u8] = &[0; 4096];
    if fill_holes(&file, 0..length).is_ok() {
        return Ok(());
    }
    // A sandbox may know no `fallocate`; where there is no memory, this fails as well.
    (0..length)
        .step_by(ZEROS.len())
        .try_for_each(|start| write_all(&file, start, &ZEROS[..ZEROS.len().min(length - start)]))
}

/// Takes the pages for some bytes now, whatever is in them.
///
/// # Errors
///
/// `fallocate` fails, or the limit on the size of files is lower.
pub fn fill_holes(file: impl AsFd, bytes: Range<usize>) -> io::Result<()> {
    let (start, length) = (bytes.start as u64, bytes.len() as u64);
    if length > 0 {
        check_file_size(bytes.end)?;
        retry_on_intr(|| rustix::fs::fallocate(&file, FallocateFlags::empty(), start, length))?;
    }
    Ok(())
}

/// Writes all bytes from `start` on.
///
/// # Errors
///
/// `pwrite` fails, or the limit on the size of files is lower.
pub fn write_all(file: impl AsFd, mut start: usize, mut bytes: &[u8]) -> io::Result<()> {
    check_file_size(start.saturating_add(bytes.len()))?;
    while !bytes.is_empty() {
        match retry_on_intr(|| rustix::io::pwrite(&file, bytes, start as u64))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => (start, bytes) = (start + written, &bytes[written..]),
        }
    }
    Ok(())
}

/// Seals memory against all change, also of its length, for ever. No writable mapping of it may exist.
///
/// # Errors
///
/// `ResourceBusy`: there is a writable mapping; or `fcntl(F_ADD_SEALS)` fails for another reason.
pub fn seal_for_reading(file: impl AsFd) -> io::Result<()> {
    const TRIES: u32 = 8;
    // The kernel gives up if its own housekeeping uses pages at the moment; that passes.
    for _ in 0..TRIES {
        match rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | LENGTH | SealFlags::SEAL) {
            Err(Errno::BUSY) => std::thread::yield_now(),
            sealed => return Ok(sealed?),
        }
    }
    Err(Errno::BUSY.into())
}

/// Returns whether a descriptor is memory that can never change, whoever made it.
///
/// A descriptor from another process may be a file that blocks every reader. This question does not block: the kernel answers it
/// from its own memory, and says no of all that is not memory.
pub fn is_sealed(file: impl AsFd) -> bool {
    rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(LENGTH | SealFlags::WRITE))
}

/// Checks memory that another process made and says to be `length` bytes long: it can never change, and all of it is there.
///
/// # Errors
///
/// It is not like that.
pub fn check_sealed(file: impl AsFd, length: u64) -> Result<(), Unfit> {
    const BLOCK: u64 = 512;
    if !is_sealed(&file) {
        return Err(Unfit::Unsealed);
    }
    let stat = rustix::fs::fstat(file).map_err(|_| Unfit::Unsealed)?;
    if u64::try_from(stat.st_size) != Ok(length) {
        return Err(Unfit::OtherLength);
    }
    // A file of any length with nothing in it costs its maker a few bytes, and its reader the memory.
    let there = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK);
    if there < length { Err(Unfit::Missing) } else { Ok(()) }
}

/// What is wrong with memory that another process made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Somebody may still change it, or it is not memory.
    #[error("memory that is not sealed against change")]
    Unsealed,
    /// It is longer or shorter.
    #[error("memory that is not as long as was said")]
    OtherLength,
    /// It has fewer pages than bytes.
    #[error("memory that is not there")]
    Missing,
}
