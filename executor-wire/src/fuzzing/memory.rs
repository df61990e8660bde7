//! How much memory something takes: an allocator that counts for each thread by itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes allocated and not freed by this thread.
    static NOW: Cell<isize> = const { Cell::new(0) };
    /// The most there were at one time.
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// Returns the most memory that decoding so many bytes may take at one time. A `BTreeMap` is the greediest: its first entry, of
/// two bytes, takes a node for eleven. What does not grow with the bytes is what is said of them.
#[must_use]
pub fn room_for(bytes: usize) -> usize {
    bytes * 1024 + 4096
}

/// Runs `work`, and returns how many bytes more than before it had at one time.
pub fn peak_of<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let before = NOW.get();
    MOST.set(before);
    let result = work();
    (result, (MOST.get() - before).cast_unsigned())
}

/// The system's allocator, which counts; a program that asks how much memory something takes declares it as its own.
#[derive(Debug)]
pub struct Counting;

// One allocator for all crates of a fuzzer.
#[cfg(fuzzing)]
#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: usize, freed: usize) {
    let now = NOW.get() + bytes.cast_signed() - freed.cast_signed();
    NOW.set(now);
    MOST.set(MOST.get().max(now));
}

// SAFETY: all is left to the system's allocator; the counters are plain cells, which allocate nothing themselves.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: by contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: by contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both at one time, as where it has to move.
        count(size, 0);
        count(0, layout.size());
        // SAFETY: by contract.
        unsafe { System.realloc(start, layout, size) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: by contract.
        unsafe { System.dealloc(start, layout) }
    }
}
