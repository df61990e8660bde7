//! Memory that holds one value and is handed to another process as a descriptor.
//!
//! A buffer is written once, then sealed against all change. Any process that has it may then read it in place, and one that
//! overwrites its own memory at random cannot spoil what others read.

use crate::attachments::{Attachment, next_id};
use crate::system::{self, Access, LargePages, Mapping, leave};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::io;

/// Sealed memory, mapped for reading.
#[derive(Debug)]
pub struct Buffer {
    id: u64,
    /// There until it is dropped.
    file: Option<OwnedFd>,
    identity: Option<(u64, u64)>,
    mapping: Mapping,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // The program may have closed it by its number, which is another's then.
        if let Some(file) = self.file.take()
            && self.identity.is_some()
            && system::file_identity(&file) != self.identity
        {
            leave(file);
        }
    }
}

/// What `/proc` calls the memory.
const NAME: &str = "concurrent-futures";

impl Attachment for Buffer {
    fn id(&self) -> u64 {
        self.id
    }

    fn file(&self) -> BorrowedFd<'_> {
        self.file().as_fd()
    }

    fn sealed_length(&self) -> Option<u64> {
        Some(self.length())
    }
}

impl Buffer {
    /// Makes a buffer of `length` bytes, zero until `fill` has written them.
    ///
    /// # Errors
    ///
    /// The system has no memory, or no descriptor, for it.
    pub fn build(length: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        let file = system::anonymous_memory(NAME, length)?;
        let writable = Mapping::for_large_pages(&file, length, Access::ReadWrite)?;
        writable.take_large_pages(&file, 0);
        system::fill_fresh(&file, length)?;
        // SAFETY: fresh memory that nobody else has yet.
        fill(unsafe { std::slice::from_raw_parts_mut(writable.start().as_ptr(), length) });
        drop(writable);
        Self::seal(file, length)
    }

    fn seal(file: OwnedFd, length: usize) -> io::Result<Self> {
        match system::seal_for_reading(&file) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                // A child that was forked meanwhile has the writable mapping, perhaps for as long as it lives.
                let written = Self::map(0, file, length as u64)?;
                let file = system::growing_memory(NAME)?;
                system::write_all(&file, 0, written.bytes())?;
                system::seal_for_reading(&file)?;
                Self::map(next_id(), file, length as u64)
            }
            sealed => sealed.and_then(|()| Self::map(next_id(), file, length as u64)),
        }
    }

    /// Makes a buffer with these contents.
    ///
    /// # Errors
    ///
    /// The system has no memory, or no descriptor, for it.
    pub fn copy_of(bytes: &[u8]) -> io::Result<Self> {
        GrowingBuffer::new()?.finish(bytes)
    }

    /// Takes a buffer that another process made.
    ///
    /// # Errors
    ///
    /// It may still change, or not all of it is there, or this process has no room for it.
    pub fn receive(id: u64, file: OwnedFd, length: u64) -> io::Result<Self> {
        system::check_sealed(&file, length).map_err(|unfit| io::Error::new(io::ErrorKind::InvalidData, unfit))?;
        Self::map(id, file, length)
    }

    /// Takes a buffer that was [checked](system::check_sealed).
    ///
    /// # Errors
    ///
    /// This process has no room for it.
    pub fn map(id: u64, file: OwnedFd, length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mapping = Mapping::for_large_pages(&file, length, Access::Read)?;
        Ok(Self { id, identity: system::file_identity(&file), file: Some(file), mapping })
    }

    /// Returns the number by which other processes know it.
    #[inline]
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns how many bytes it has.
    #[inline]
    #[must_use]
    pub fn length(&self) -> u64 {
        self.mapping.length() as u64
    }

    /// Returns its descriptor.
    #[must_use]
    pub fn file(&self) -> &OwnedFd {
        self.file.as_ref().expect("there until it is dropped")
    }

    /// Returns its bytes.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for reading as long as `self`, and sealed: nobody can change it.
        unsafe { std::slice::from_raw_parts(self.mapping.start().as_ptr(), self.mapping.length()) }
    }
}

/// A buffer that is being written, front to back, its length not known yet.
#[derive(Debug)]
pub struct GrowingBuffer {
    file: OwnedFd,
    length: usize,
}

impl GrowingBuffer {
    /// Makes one without bytes.
    ///
    /// # Errors
    ///
    /// The system has no descriptor for it.
    pub fn new() -> io::Result<Self> {
        Ok(Self { file: system::growing_memory(NAME)?, length: 0 })
    }

    /// Appends bytes. Where there is no large page they are written and not mapped: the kernel fills page after page without a
    /// fault for each.
    ///
    /// # Errors
    ///
    /// The system has no memory for them.
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let end = self.length + bytes.len();
        while let Some(pages) = LargePages::take(&self.file, end - bytes.len(), bytes.len()) {
            bytes = pages.fill(bytes);
        }
        self.length = end;
        system::write_all(&self.file, end - bytes.len(), bytes)
    }

    /// Appends the last bytes, and seals it.
    ///
    /// # Errors
    ///
    /// The system has no memory for them, or no descriptor.
    pub fn finish(mut self, bytes: &[u8]) -> io::Result<Buffer> {
        self.write(bytes)?;
        Buffer::seal(self.file, self.length)
    }
}

/// The front of an encoding that grows too long to be held: it goes to a buffer bit by bit.
#[derive(Debug, Default)]
pub struct Spill {
    buffer: Option<GrowingBuffer>,
    error: Option<io::Error>,
}

impl Spill {
    /// Moves all of `held`, and then `more`, to the buffer. False: nothing was moved, since there is no buffer to be had.
    pub fn take(&mut self, held: &mut Vec<u8>, more: &[u8]) -> bool {
        if self.buffer.is_none() && self.error.is_none() {
            self.buffer = GrowingBuffer::new().ok();
        }
        if let Some(buffer) = &mut self.buffer {
            let written = buffer.write(held).and_then(|()| buffer.write(more));
            self.error = written.err();
        } else if self.error.is_none() {
            return false;
        }
        if self.error.is_some() {
            // What follows is worth nothing, and is not kept.
            self.buffer = None;
        }
        held.clear();
        true
    }

    /// Returns all of it, with `end` behind; `None` if nothing was ever moved.
    ///
    /// # Errors
    ///
    /// The system has no memory for it.
    pub fn finish(self, end: &[u8]) -> io::Result<Option<Buffer>> {
        match self.error {
            Some(error) => Err(error),
            None => self.buffer.map(|buffer| buffer.finish(end)).transpose(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Buffer, GrowingBuffer, Mapping};
    use crate::system::{self, Unfit};

    #[test]
    fn memory_that_grows_by_pieces_of_any_length() {
        const MIB: usize = 1 << 20;
        let pieces = [5, 3 * MIB, 1, 19 * MIB + 7, 100, 2 * MIB, 0, 5 * MIB, 4096];
        let bytes: Vec<u8> = (0..=250).cycle().take(pieces.iter().sum()).collect();
        let mut buffer = GrowingBuffer::new().unwrap();
        let mut rest = &bytes[..];
        for piece in pieces {
            let (now, later) = rest.split_at(piece);
            buffer.write(now).unwrap();
            rest = later;
        }
        let made = buffer.finish(&[]).unwrap();
        assert_eq!(system::check_sealed(made.file(), bytes.len() as u64), Ok(()));
        assert!(made.bytes() == bytes, "other bytes than were written");
        let received = Buffer::receive(7, made.file().try_clone().unwrap(), bytes.len() as u64).unwrap();
        assert!(received.bytes() == bytes, "other bytes than were sent");
    }

    #[test]
    fn memory_that_another_process_made() {
        let made = Buffer::copy_of(&[1, 2, 3]).unwrap();
        assert_eq!(system::check_sealed(made.file(), 3), Ok(()));
        assert_eq!(system::check_sealed(Buffer::build(3, |_| {}).unwrap().file(), 3), Ok(()));
        let file = || made.file().try_clone().unwrap();
        assert_eq!(Buffer::receive(7, file(), 3).unwrap().bytes(), [1, 2, 3]);
        for length in [0, 2, 4, 1 << 40, u64::MAX] {
            assert!(Buffer::receive(7, file(), length).is_err(), "{length} bytes were said");
        }
        // Zeros are as good as any bytes, if they are there.
        let zeros = Buffer::build(1 << 20, |_| {}).unwrap();
        assert_eq!(Buffer::receive(7, zeros.file().try_clone().unwrap(), 1 << 20).unwrap().length(), 1 << 20);
        assert_eq!(Buffer::build(0, |_| {}).unwrap().bytes(), []);
    }

    /// More than any machine has: whoever reads it, or copies it, would have to have it all.
    #[test]
    fn memory_of_any_length_with_nothing_in_it() {
        const LENGTH: usize = usize::MAX >> 20;
        let file = system::anonymous_memory("test", LENGTH).unwrap();
        assert_eq!(system::check_sealed(&file, LENGTH as u64), Err(Unfit::Unsealed));
        system::seal_for_reading(&file).unwrap();
        assert_eq!(system::check_sealed(&file, LENGTH as u64), Err(Unfit::Missing));
        assert!(Buffer::receive(7, file, LENGTH as u64).is_err());
    }

    /// What can still be written to is refused, not copied: a copy for each message costs the parent more than its maker.
    #[test]
    fn memory_that_can_be_written_to() {
        let file = system::anonymous_memory("test", 5).unwrap();
        system::write_all(&file, 0, b"bytes").unwrap();
        assert_eq!(system::check_sealed(&file, 5), Err(Unfit::Unsealed));
        // No new way to write to it is left, but there may be an old one.
        rustix::fs::fcntl_add_seals(&file, rustix::fs::SealFlags::FUTURE_WRITE).unwrap();
        assert_eq!(system::check_sealed(&file, 5), Err(Unfit::Unsealed));
        system::seal_for_reading(&file).unwrap();
        assert_eq!(system::check_sealed(&file, 5), Ok(()));
        let (socket, _) = system::socket_pair().unwrap();
        assert_eq!(system::check_sealed(socket, 0), Err(Unfit::Unsealed));
    }

    /// Somebody has a writable mapping of it for good, as a forked child would.
    #[test]
    fn memory_that_stays_mapped_elsewhere_is_copied_and_sealed() {
        let file = system::anonymous_memory("test", 5).unwrap();
        system::write_all(&file, 0, b"bytes").unwrap();
        let mapped = Mapping::new(&file, 5, Access::ReadWrite).unwrap();
        let buffer = Buffer::seal(file, 5).unwrap();
        assert_eq!(buffer.bytes(), b"bytes");
        assert_eq!(system::check_sealed(buffer.file(), 5), Ok(()));
        drop(mapped);
    }
}
