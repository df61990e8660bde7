//! A counting global allocator, switched on only in the child processes that count.
//!
//! The timed rows run with the switch off: what remains is one load of a flag that nobody writes, the same for every
//! contender.
//!
//! The child that counts futex calls has another switch: memory then comes from one large block and is never given
//! back. The system's allocator locks its arenas with futexes, and under `strace` those locks are contended so much
//! that they would be most of what is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

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

/// The block's size, and how much of it is used. Pages that are not touched cost nothing.
const BLOCK: usize = 1 << 30;
static BLOCK_START: AtomicUsize = AtomicUsize::new(0);
static BLOCK_USED: AtomicUsize = AtomicUsize::new(0);

/// From now on memory comes from one block, without a lock.
pub(crate) fn use_one_block() {
    let layout = Layout::from_size_align(BLOCK, 4096).expect("a page is a power of two");
    // SAFETY: the size is not zero.
    let start = unsafe { System.alloc(layout) };
    assert!(!start.is_null(), "no address space for a block of {BLOCK} bytes");
    BLOCK_START.store(start.expose_provenance(), Ordering::SeqCst);
}

/// Memory of the block; null when it is used up, `None` when it is not in use.
fn from_block(layout: Layout) -> Option<*mut u8> {
    let start = BLOCK_START.load(Ordering::Relaxed);
    if start == 0 {
        return None;
    }
    let room = layout.size() + layout.align();
    let used = BLOCK_USED.fetch_add(room, Ordering::Relaxed);
    if used + room > BLOCK {
        return Some(ptr::null_mut());
    }
    Some(ptr::with_exposed_provenance_mut((start + used).next_multiple_of(layout.align())))
}

fn is_in_block(block: *mut u8) -> bool {
    let start = BLOCK_START.load(Ordering::Relaxed);
    start != 0 && (start..start + BLOCK).contains(&block.addr())
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
        from_block(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        if BLOCK_START.load(Ordering::Relaxed) != 0 {
            // SAFETY: the caller keeps the contract; fresh memory of the block is written before it is used.
            let block = unsafe { self.alloc(layout) };
            if !block.is_null() {
                // SAFETY: `alloc` gave this many bytes.
                unsafe { block.write_bytes(0, layout.size()) };
            }
            return block;
        }
        // SAFETY: the caller keeps `alloc_zeroed`'s contract, which is the system allocator's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(0, -(layout.size() as i64));
        if is_in_block(block) {
            return;
        }
        // SAFETY: the block came from the system's allocator with this layout, by the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note(1, new_size as i64 - layout.size() as i64);
        if is_in_block(block) {
            let Ok(wanted) = Layout::from_size_align(new_size, layout.align()) else { return ptr::null_mut() };
            let Some(larger) = from_block(wanted).filter(|larger| !larger.is_null()) else { return ptr::null_mut() };
            // SAFETY: both are of the block and apart from each other; the shorter length is within both.
            unsafe { ptr::copy_nonoverlapping(block, larger, layout.size().min(new_size)) };
            return larger;
        }
        // SAFETY: the block came from the system's allocator with this layout, by the caller's promise.
        unsafe { System.realloc(block, layout, new_size) }
    }
}
