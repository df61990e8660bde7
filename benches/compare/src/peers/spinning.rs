//! Two processes that spin on a word of shared memory each: the least that a round trip can cost on this machine.

use std::hint;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap};

use super::each;
use crate::helper::{self, Helper, Part};

/// A cache line each, so that writing one does not take the other away.
#[repr(C, align(128))]
struct Line(AtomicU64);

/// All of the shared memory.
#[repr(C)]
struct Words {
    ping: Line,
    pong: Line,
}

/// Times so many round trips; the other process lives only as long, since it takes a whole core.
pub(crate) fn round_trips(count: u64) -> Duration {
    let memory = memfd_create("spinning", MemfdFlags::CLOEXEC).expect("memory can be shared");
    ftruncate(&memory, size_of::<Words>() as u64).expect("memory for two words");
    let words = map(memory.as_fd());
    let _far = Helper::start(&mut helper::command(Part::Spin), memory);
    round_trip(words, u64::MAX);
    each(count, |trip| round_trip(words, trip + 1))
}

fn round_trip(words: &Words, trip: u64) {
    // ORDERING: the word itself is the message, but a task's bytes would have to be published with it.
    words.ping.0.store(trip, Ordering::Release);
    wait_until(&words.pong.0, |seen| seen == trip);
}

/// The other process: repeats what it sees until it is killed.
pub(crate) fn answer() {
    let words = map(io::stdin().as_fd());
    let mut last = 0;
    loop {
        last = wait_until(&words.ping.0, |seen| seen != last);
        // ORDERING: as in `round_trip`.
        words.pong.0.store(last, Ordering::Release);
    }
}

/// Spins; on a machine with fewer free cores than spinners it gives its core away, or a round trip would take two
/// time slices.
fn wait_until(word: &AtomicU64, arrived: impl Fn(u64) -> bool) -> u64 {
    for turn in 1_u32.. {
        // ORDERING: pairs with the other process's release.
        let seen = word.load(Ordering::Acquire);
        if arrived(seen) {
            return seen;
        }
        if turn % 1_000 == 0 {
            thread::yield_now();
        }
        hint::spin_loop();
    }
    unreachable!("the other process is gone")
}

/// Maps the two words; for good, since whoever maps them needs them to its end or maps few.
fn map(memory: BorrowedFd<'_>) -> &'static Words {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the kernel chooses an address where nothing is.
    let start = unsafe { mmap(ptr::null_mut(), size_of::<Words>(), protection, MapFlags::SHARED, memory, 0) };
    // SAFETY: the mapping is as large as the words, page-aligned, never unmapped, and made of atomics only, for which
    // every content is valid and which may be written by others.
    unsafe { &*start.expect("the memory can be mapped").cast::<Words>() }
}
