//! Large pages for large memory that is about to be written: the system gives the first touch of each page a page fault, and a
//! large page takes the place of 512 small ones.

use std::mem::MaybeUninit;

/// Less may be memory that the allocator has kept, with its pages.
#[cfg(target_os = "linux")]
const WORTHWHILE: usize = 64 * 1024 * 1024;

/// Asks for large pages where `memory` comes to lie, which nobody has written to yet. A hint: nothing else depends on it.
#[cfg(target_os = "linux")]
pub(crate) fn prefer_large_pages(memory: &mut [MaybeUninit<u8>]) {
    if memory.len() < WORTHWHILE {
        return;
    }
    // SAFETY: a question.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.cast_unsigned() as usize;
    let skipped = memory.as_ptr().align_offset(page);
    let length = (memory.len() - skipped) / page * page;
    // SAFETY: whole pages inside of `memory`, whose content the advice leaves as it is.
    let _ = unsafe { libc::madvise(memory.as_mut_ptr().add(skipped).cast(), length, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn prefer_large_pages(_memory: &mut [MaybeUninit<u8>]) {}
