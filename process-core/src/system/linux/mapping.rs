//! Memory behind a descriptor, as this process sees it; in large pages, where the system has them.
//!
//! Memory of a file comes in pages of 4 KiB. The first write to each, and the first read in another process, costs more time than
//! the copy of its bytes. The system makes large pages of them on request (`MADV_COLLAPSE`, Linux 6.1), if they are mapped where a
//! large one could be. Where it does not, all works as well, and more slowly.

use super::memory::{fill_holes, grow};
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

/// Memory behind a descriptor, mapped into this process until dropped.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a range of memory; its owner, who hands out pointers into it, decides who may touch what.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// `MADV_COLLAPSE`, the same number on every architecture. Musl has no name for it.
const COLLAPSE: libc::c_int = 25;

/// What a mapping allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing but reading.
    Read,
    /// Reading and writing.
    ReadWrite,
}

impl Mapping {
    /// Maps the first `length` bytes of `file`, which must have as many.
    ///
    /// # Errors
    ///
    /// `mmap` fails, most likely since there is no room in the address space.
    pub fn new(file: impl AsFd, length: usize, access: Access) -> io::Result<Self> {
        Self::part(file, 0..length, access, None)
    }

    /// Does the same where large pages can take the place of small ones, if there are enough bytes for one.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn for_large_pages(file: impl AsFd, length: usize, access: Access) -> io::Result<Self> {
        Self::part(file, 0..length, access, large_page_within(length))
    }

    /// Maps those bytes of `file`, which must have as many; they begin with a page. `page`: at a multiple of that.
    fn part(file: impl AsFd, bytes: Range<usize>, access: Access, page: Option<usize>) -> io::Result<Self> {
        let protection = match access {
            Access::Read => ProtFlags::READ,
            Access::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
        };
        let (offset, length) = (bytes.start as u64, bytes.len());
        let aligned = page.and_then(|page| Self::reserve(length, page).ok());
        let (place, flags) = match &aligned {
            Some(reserved) => (reserved.start.as_ptr().cast(), MapFlags::SHARED | MapFlags::FIXED),
            None => (ptr::null_mut(), MapFlags::SHARED),
        };
        // SAFETY: a fresh range, chosen by the kernel, or one that was reserved for this.
        let start = unsafe { mmap(place, length.max(1), protection, flags, file, offset) };
        let start = start.map_err(|error| no_room(error, length))?;
        match aligned {
            Some(mapping) => Ok(mapping),
            None => Ok(Self { start: NonNull::new(start.cast()).ok_or(Errno::NOMEM)?, length }),
        }
    }

    /// Reserves addresses with nothing behind them, from a multiple of `page` on.
    fn reserve(length: usize, page: usize) -> io::Result<Self> {
        let whole = length.checked_next_multiple_of(rustix::param::page_size()).ok_or(Errno::NOMEM)?;
        let all = whole.checked_add(page).ok_or(Errno::NOMEM)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a fresh range, chosen by the kernel.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), all, ProtFlags::empty(), flags) }?;
        let start = NonNull::new(start.cast::<u8>()).ok_or(Errno::NOMEM)?;
        let before = start.align_offset(page);
        // SAFETY: both inside of the range.
        let (kept, after) = unsafe { (start.add(before), start.add(before + whole)) };
        unmap(start, before);
        unmap(after, page - before);
        Ok(Self { start: kept, length })
    }

    /// Keeps it out of forks of this process.
    pub fn keep_out_of_forks(&self) {
        // SAFETY: our own range; nothing in it changes. A fork that has it all the same does not touch it, as far as it knows.
        let _ = unsafe { madvise(self.start.as_ptr().cast(), self.length, Advice::LinuxDontFork) };
    }

    /// Returns its first byte.
    #[inline]
    #[must_use]
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Returns how many bytes it has.
    #[inline]
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Puts large pages in the place of small ones and of pages that are not there yet. The mapping is writable, and begins with
    /// byte `start` of `file`. False: some are as small as before.
    pub fn take_large_pages(&self, file: impl AsFd, start: usize) -> bool {
        let Some(page) = large_page_within(self.length) else { return false };
        let length = self.length / page * page;
        // A large page is made only where there is at least one small one.
        for first in (start..start + length).step_by(page) {
            if fill_holes(&file, first..first + 1).is_err() {
                return false;
            }
        }
        // SAFETY: a part of our own range; what is in it stays as it is.
        unsafe { libc::madvise(self.start.as_ptr().cast(), length, COLLAPSE) == 0 }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        unmap(self.start, self.length.max(1));
    }
}

/// Says what to do where the system maps nothing more.
fn no_room(error: Errno, length: usize) -> io::Error {
    if error != Errno::NOMEM {
        return error.into();
    }
    let text = format!(
        "no room for {length} bytes in the address space of process {}; see its limit (RLIMIT_AS, `ulimit -v`)",
        std::process::id()
    );
    io::Error::new(io::ErrorKind::OutOfMemory, text)
}

/// Returns a range of our own to the system.
fn unmap(start: NonNull<u8>, length: usize) {
    if length > 0 {
        // SAFETY: our own range; pointers into it are used only while its owner is alive.
        let _ = unsafe { munmap(start.as_ptr().cast(), length) };
    }
}

/// The part of a file that is written next, in large pages.
#[derive(Debug)]
pub struct LargePages {
    mapping: Mapping,
    /// Bytes that were there before.
    written: usize,
}

/// More than one page at a time: each request has the system tidy up first. No more than the caches hold: they are cleared,
/// and written again.
const AT_A_TIME: usize = 8 * 1024 * 1024;

impl LargePages {
    /// Takes the pages behind the first `written` bytes of a file that `more` bytes fill; none if those are too few, or if the
    /// system has no large pages.
    #[must_use]
    pub fn take(file: impl AsFd, written: usize, more: usize) -> Option<Self> {
        let all = written.checked_add(more)?;
        let page = large_page_within(all)?;
        let start = written / page * page;
        let end = (all / page * page).min(start + AT_A_TIME.max(page));
        if end <= start {
            return None;
        }
        grow(&file, end).ok()?;
        let mapping = Mapping::part(&file, start..end, Access::ReadWrite, Some(page)).ok()?;
        mapping.take_large_pages(&file, start).then_some(Self { mapping, written: written - start })
    }

    /// Fills the pages from the front of `bytes`; returns the rest.
    #[must_use]
    pub fn fill(self, bytes: &[u8]) -> &[u8] {
        let (now, later) = bytes.split_at(self.mapping.length - self.written);
        // SAFETY: what is left of the mapping, which nobody else has.
        unsafe {
            let start = self.mapping.start.as_ptr().add(self.written);
            ptr::copy_nonoverlapping(now.as_ptr(), start, now.len());
        }
        later
    }
}

/// Returns the size of a large page, if there are such and so many bytes fill one.
fn large_page_within(length: usize) -> Option<usize> {
    // No system has smaller ones: most memory is too small to ask.
    const LEAST: usize = 1024 * 1024;
    (length >= LEAST).then(large_page).flatten().filter(|page| length >= *page)
}

/// Returns what the system says of it, asked once.
fn large_page() -> Option<usize> {
    const SAID_IN: &str = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";
    static SIZE: OnceLock<Option<usize>> = OnceLock::new();
    let read =
        || std::fs::read_to_string(SAID_IN).ok()?.trim().parse().ok().filter(|size: &usize| size.is_power_of_two());
    *SIZE.get_or_init(read)
}

#[cfg(test)]
mod tests {
    use super::{Access, LargePages, Mapping, large_page};
    use crate::system;

    #[test]
    fn a_large_mapping_begins_where_a_large_page_could() {
        let Some(page) = large_page() else { return };
        for length in [page, page + 1, 3 * page - 1] {
            let file = system::anonymous_memory("test", length).unwrap();
            let mapping = Mapping::for_large_pages(&file, length, Access::Read).unwrap();
            assert_eq!((mapping.start().addr().get() % page, mapping.length()), (0, length));
        }
    }

    #[test]
    fn pages_that_are_filled_from_within() {
        let Some(page) = large_page() else { return };
        let bytes: Vec<u8> = (0..=250).cycle().take(2 * page + 99).collect();
        for written in [0, 1, 5000, page - 1] {
            let file = system::growing_memory("test").unwrap();
            system::write_all(&file, 0, &bytes[..written]).unwrap();
            assert!(LargePages::take(&file, written, page - written - 1).is_none(), "too few to fill one");
            // An old system has none.
            let Some(pages) = LargePages::take(&file, written, bytes.len() - written) else { return };
            let rest = pages.fill(&bytes[written..]);
            assert_eq!(rest, &bytes[2 * page..]);
            let mapping = Mapping::new(&file, 2 * page, Access::Read).unwrap();
            // SAFETY: mapped, and nobody writes any more.
            let found = unsafe { std::slice::from_raw_parts(mapping.start().as_ptr(), 2 * page) };
            assert!(found == &bytes[..2 * page], "other bytes, from {written} on");
        }
    }
}
