//! A counting global allocator, switched on only in the child processes that count.
//!
//! The timed rows run with the switch off: what remains is one load of a flag that nobody writes, the same for every
//! contender.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// The system's allocator, with counters in front.
pub(crate) struct Counting;

/// What was allocated between two moments by all threads.
#[derive(Clone, Copy)]
pub(crate) struct Tally {
    /// Calls of `alloc` and `realloc`.
    pub(crate) allocations: u64,
    /// Requested bytes that are still allocated, less those freed.
    pub(crate) live_bytes: i64,
}

static ENABLED: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

/// Counts what happens while the closure runs. The counters are relaxed: the closure has to make sure by its own
/// waiting that the threads it cares about have finished.
pub(crate) fn count(work: impl FnOnce()) -> Tally {
    let before = read();
    ENABLED.store(true, Ordering::SeqCst);
    work();
    ENABLED.store(false, Ordering::SeqCst);
    let after = read();
    Tally { allocations: after.allocations - before.allocations, live_bytes: after.live_bytes - before.live_bytes }
}

fn read() -> Tally {
    Tally { allocations: ALLOCATIONS.load(Ordering::SeqCst), live_bytes: LIVE_BYTES.load(Ordering::SeqCst) }
}

fn note(allocations: u64, bytes: i64) {
    if ENABLED.load(Ordering::Relaxed) {
        ALLOCATIONS.fetch_add(allocations, Ordering::Relaxed);
        LIVE_BYTES.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator unchanged; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: the caller keeps `alloc`'s contract, which is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: the caller keeps `alloc_zeroed`'s contract, which is the system allocator's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(0, -(layout.size() as i64));
        // SAFETY: the block came from the system's allocator with this layout, by the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note(1, new_size as i64 - layout.size() as i64);
        // SAFETY: the block came from the system's allocator with this layout, by the caller's promise.
        unsafe { System.realloc(block, layout, new_size) }
    }
}
