//! [`Ring`]: the oldest tasks of a queue, which workers take one at a time, in order and without a lock.
//!
//! Both counts only grow, and a slot is written again only after the task before it was taken; so of all threads that read
//! a slot, the one that moves `taken` past it has the task, and it read the right one.

use super::padded::Padded;
use crate::cell::header::Link;
use crate::sync::{AtomicPtr, AtomicU64, Ordering};
use std::ptr::{self, NonNull};

/// How many tasks it holds at most. One refill under the queue's lock serves so many tasks; with more, workers that find it
/// empty during a refill would only wait longer.
#[cfg(not(any(loom, shuttle)))]
const SLOTS: u64 = 32;
/// Models reach a full ring, and the second use of a slot, with few tasks.
#[cfg(any(loom, shuttle))]
const SLOTS: u64 = 2;

pub(super) struct Ring {
    /// How many tasks were ever taken. Every take writes it.
    taken: Padded<AtomicU64>,
    refilled: Padded<Refilled>,
}

/// What changes only in a refill.
struct Refilled {
    /// How many tasks were ever put in.
    filled: AtomicU64,
    slots: [AtomicPtr<Link>; SLOTS as usize],
}

impl Ring {
    pub(super) fn new() -> Self {
        let slots = std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()));
        Self { taken: Padded(AtomicU64::new(0)), refilled: Padded(Refilled { filled: AtomicU64::new(0), slots }) }
    }

    fn slot(&self, number: u64) -> &AtomicPtr<Link> {
        &self.refilled.0.slots[(number % SLOTS) as usize]
    }

    /// Takes the oldest task. `None` may be out of date unless the caller keeps others from refilling the ring.
    pub(super) fn take(&self) -> Option<NonNull<Link>> {
        // ORDERING: Acquire, with the Release of the exchange below in the thread that took the task before: a thread that sees
        // a task taken sees the refill that brought it, so `filled` never reads as less than `taken`.
        let mut taken = self.taken.0.load(Ordering::Acquire);
        loop {
            // ORDERING: Acquire, with the Release in `fill`: the slots below `filled` are written.
            if taken == self.refilled.0.filled.load(Ordering::Acquire) {
                return None;
            }
            let task = self.slot(taken).load(Ordering::Relaxed);
            // ORDERING: Release, with the Acquire in `fill`: the slot was read before it is written again. Acquire as above.
            match self.taken.0.compare_exchange_weak(taken, taken + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return NonNull::new(task),
                Err(now) => taken = now,
            }
        }
    }

    /// Puts in what `next` returns, until that is nothing or the ring is full. By one thread at a time, under the
    /// queue's lock, and only while the ring is empty.
    pub(super) fn fill(&self, mut next: impl FnMut() -> Option<NonNull<Link>>) {
        // ORDERING: Acquire, with the Release in `take`: who took the last task from a slot has read it.
        let start = self.taken.0.load(Ordering::Acquire);
        let mut end = start;
        while end < start + SLOTS
            && let Some(task) = next()
        {
            self.slot(end).store(task.as_ptr(), Ordering::Relaxed);
            end += 1;
        }
        if end > start {
            // ORDERING: Release, with the Acquire in `take`: publishes the slots.
            self.refilled.0.filled.store(end, Ordering::Release);
        }
    }
}
