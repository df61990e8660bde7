//! Large pages for large memory that is about to be written: the first touch of each page costs a page fault, and a large page
//! takes the place of 512 small ones.

use std::mem::MaybeUninit;

/// Smaller memory may be some that the allocator has kept, with its pages.
#[cfg(target_os = "linux")]
const WORTHWHILE: usize = 64 * 1024 * 1024;

/// Asks for large pages behind `memory`, which has not been written to yet. Only a hint.
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
