//! The parent's side of the memory shared with one worker: tasks go in, replies come out.
//!
//! All of it is under the pool's lock, so nothing here waits or runs user code; bytes are copied out for later.

pub(crate) mod replies;
mod revoking;
pub(crate) mod running;

use crate::dispatch::entry::{Entry, Payload};
use crate::dispatch::functions::FunctionTable;
use crate::dispatch::whereabouts::Whereabouts;
use crate::protocol::layout::{
    BLOCK, BLOCKS, IN_BLOCK, IN_BUFFER, IN_SLOT, INLINE, QUEUED, SLOTS, Shared, Slot, TIMED, shortened,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Tasks in flight for one worker.
#[derive(Debug)]
pub(crate) struct Ring {
    shared: Arc<Shared>,
    /// Number of the slot that takes the next task.
    next: u64,
    /// Number of the oldest slot in use; the worker is there or beyond.
    oldest: u64,
    in_flight: Box<[Option<InFlight>]>,
    free_blocks: Vec<u8>,
    replies_taken: u32,
    functions_told: u32,
    /// What the tasks in flight are expected to take, in nanoseconds.
    load: u64,
    bytes_sent: u64,
    /// Tasks that the relay is about to put in: one, or none.
    expected: usize,
    /// How many replies the relay has carried.
    relayed: u64,
    /// A task or a reply block was handed over, for which the worker may sleep.
    may_sleep: bool,
    /// The worker was told that rests of chunks are wanted.
    wants_rests: bool,
}

#[derive(Debug)]
struct InFlight {
    entry: Entry,
    block: Option<u8>,
    cost: u32,
    /// The task counts as begun: it is, or was, the oldest.
    began: bool,
    /// Its slot's flag was raised.
    asked_to_stop: bool,
}

impl InFlight {
    /// Returns whether the task was revoked: its worker passes it by.
    fn is_tombstone(&self) -> bool {
        self.entry.is_at(Whereabouts::Revoked)
    }

    /// Returns whether the task has not begun, and may.
    fn waits(&self) -> bool {
        !self.began && !self.is_tombstone()
    }
}

impl Ring {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            next: 0,
            oldest: 0,
            in_flight: (0..SLOTS).map(|_| None).collect(),
            free_blocks: (0..BLOCKS as u8).collect(),
            replies_taken: 0,
            functions_told: 0,
            load: 0,
            bytes_sent: 0,
            expected: 0,
            relayed: 0,
            may_sleep: false,
            wants_rests: false,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns the number of tasks in flight, revoked ones and that of the relay included.
    pub(crate) fn depth(&self) -> usize {
        (self.next - self.oldest) as usize + self.expected
    }

    /// Returns whether there are tasks in flight that were not revoked.
    pub(crate) fn has_tasks(&self) -> bool {
        let is_task = |number| self.in_flight[index(number)].as_ref().is_some_and(|task| !task.is_tombstone());
        self.expected > 0 || (self.oldest..self.next).any(is_task)
    }

    /// Notes that the relay will put a task in.
    pub(crate) fn expect_one(&mut self) {
        self.expected = 1;
    }

    /// Notes that the relay will not put a task in after all.
    #[cfg(feature = "ipc-channel")]
    pub(crate) fn expect_nothing(&mut self) {
        self.expected = 0;
    }

    /// Returns what the tasks in flight are expected to take, in nanoseconds.
    pub(crate) fn load(&self) -> u64 {
        self.load
    }

    pub(crate) fn bytes_sent(&self) -> u64 {
        self.bytes_sent
    }

    /// Returns whether there is a slot, and a block if the task needs one.
    pub(crate) fn has_room_for(&self, entry: &Entry) -> bool {
        self.depth() < SLOTS && (!needs_block(&entry.payload) || !self.free_blocks.is_empty())
    }

    /// Hands a task to the worker. The caller has asked `has_room_for`, and asks `take_sleeper` before it releases the lock.
    pub(crate) fn put(&mut self, entry: Entry, functions: &FunctionTable, worker: usize) {
        let slot = self.shared.slot(self.next);
        let input = write_input(&self.shared, slot, &entry.payload, &mut self.free_blocks);
        self.publish(entry, functions, worker, input);
    }

    /// Puts in a task whose input the relay has sent.
    #[cfg(feature = "ipc-channel")]
    pub(crate) fn put_relayed(&mut self, entry: Entry, functions: &FunctionTable, worker: usize) {
        self.expected = 0;
        let length = entry.payload.bytes().len();
        self.publish(entry, functions, worker, Input { place: crate::protocol::layout::RELAYED, length, block: None });
    }

    /// Fills the next slot for a task, and gives it to the worker.
    #[inline]
    fn publish(&mut self, entry: Entry, functions: &FunctionTable, worker: usize, input: Input) {
        let Input { place, length, block } = input;
        self.tell_functions(functions, entry.function);
        let number = self.next;
        let slot = self.shared.slot(number);
        slot.function.store(entry.function, Ordering::Relaxed);
        slot.input_place.store(place, Ordering::Relaxed);
        slot.input_length.store(shortened(length), Ordering::Relaxed);
        slot.flags.store(if entry.timed { TIMED } else { 0 }, Ordering::Relaxed);
        slot.items.store(0, Ordering::Relaxed);
        slot.reply_length.store(0, Ordering::Relaxed);
        let asked_to_stop = entry.task.is_stop_requested();
        if asked_to_stop {
            slot.stop.store(1, Ordering::Relaxed);
        }
        let cost = functions.get(entry.function).estimate;
        entry.move_to(Whereabouts::InRing { worker, slot: number });
        self.in_flight[index(number)] = Some(InFlight { began: entry.begun, entry, block, cost, asked_to_stop });
        self.next += 1;
        self.load += u64::from(cost);
        self.bytes_sent += length as u64;
        // ORDERING: Release, with the Acquire in `TaskLoop::run`: the worker sees what was written above.
        slot.state.store(QUEUED, Ordering::Release);
        self.may_sleep = true;
    }

    /// Tells the worker of the functions that it does not know. They are published with the slot that names one of them.
    fn tell_functions(&mut self, functions: &FunctionTable, needed: u32) {
        if needed < self.functions_told {
            return;
        }
        for known in functions.since(self.functions_told) {
            if let Some(entry) = self.shared.function(self.functions_told) {
                entry.write(known.name);
            }
            self.functions_told += 1;
        }
    }

    /// Tells the worker whether the rest of a chunk that takes long is to come back.
    pub(crate) fn want_rests(&mut self, wanted: bool) {
        if std::mem::replace(&mut self.wants_rests, wanted) != wanted {
            self.shared.rests_wanted().store(u32::from(wanted), Ordering::Relaxed);
        }
    }

    /// Returns whether a task or a reply block was handed over, for which the worker may sleep.
    pub(crate) fn may_sleep(&self) -> bool {
        self.may_sleep
    }

    /// Returns whether the worker sleeps, or is about to, with something before it; then the caller wakes it. The caller has a fence
    /// between those changes and this.
    pub(crate) fn take_sleeper(&mut self) -> bool {
        std::mem::take(&mut self.may_sleep) && self.oldest != self.next && self.shared.asleep().take()
    }

    /// Returns how many tasks wait for their turn, for drivers that check the books.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn count_waiting(&self) -> usize {
        self.in_flight.iter().flatten().filter(|task| task.waits()).count()
    }
}

fn index(number: u64) -> usize {
    (number % SLOTS as u64) as usize
}

fn needs_block(payload: &Payload) -> bool {
    matches!(payload, Payload::Bytes(bytes) if bytes.len() > INLINE)
}

/// Where an input lies, how long it is, and the block that it took.
struct Input {
    place: u32,
    length: usize,
    block: Option<u8>,
}

/// Writes an input where the worker finds it.
fn write_input(shared: &Shared, slot: &Slot, payload: &Payload, free: &mut Vec<u8>) -> Input {
    let bytes = match payload {
        Payload::Buffer(buffer) => {
            slot.write(&buffer.id().to_ne_bytes());
            return Input { place: IN_BUFFER, length: buffer.bytes().len(), block: None };
        }
        payload => payload.bytes(),
    };
    if bytes.len() <= INLINE {
        slot.write(bytes);
        return Input { place: IN_SLOT, length: bytes.len(), block: None };
    }
    let block = free.pop().expect("asked for by `has_room_for`");
    let start = shared.input_block(block.into()).expect("a block's number");
    // SAFETY: the block is free, that is, the parent's; payloads in bytes are no longer than a block.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.as_ptr(), bytes.len().min(BLOCK)) };
    Input { place: IN_BLOCK + u32::from(block), length: bytes.len(), block: Some(block) }
}
