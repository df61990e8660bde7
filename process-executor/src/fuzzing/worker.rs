//! A worker, without a process: one that does its work, and one that writes what it likes where it can.

use super::message::file;
use super::{below, client, take};
use crate::dispatch::ring::Ring;
use crate::dispatch::seat::{Seat, SeatState};
use crate::link::Link;
use crate::protocol::layout::{
    BLOCK, BLOCKS, DONE, FunctionEntry, IN_BLOCK, IN_BUFFER, IN_SLOT, INLINE, QUEUED, REVOKED, RUNNING, SIZE, SKIPPED,
    Shared, Slot, TIMED, shortened,
};
use crate::protocol::message::{self, Message, Received};
use arbitrary::Unstructured;
use executor_core::remote::{Job, Output, Phase, Progress};
use process_core::frame;
use process_core::image::Image;
use process_core::memory::Buffer;
use process_core::memory::{Access, Mapping};
use process_core::system;
use rustix::fd::{AsFd, OwnedFd};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

pub(super) struct Worker {
    /// The whole memory, to write anywhere.
    memory: Mapping,
    shared: Shared,
    socket: OwnedFd,
    receiver: frame::Receiver,
    buffers: HashMap<u64, Buffer>,
    /// Number of the slot that comes next, or runs.
    next: u64,
    runs: bool,
    /// Reply blocks used so far.
    used: u32,
    /// It may write what it likes, sooner or later.
    is_wild: bool,
    /// It has not done so yet.
    is_good: bool,
}

/// Makes a worker that is ready, and its seat.
pub(super) fn start(is_wild: bool) -> (Seat, Worker) {
    let file = system::anonymous_memory("fuzzing", SIZE).expect("there are descriptors");
    let map = || Mapping::new(&file, SIZE, Access::ReadWrite).expect("there is room");
    let shared = || Shared::new(map()).expect("is as long");
    let (ours, theirs) = system::socket_pair().expect("there are descriptors");
    let ring = Ring::new(Arc::new(shared()));
    let mut seat = Seat::new(ring, Arc::new(Link::new(ours)), None, 0, system::Credentials::now());
    seat.state = SeatState::Ready;
    let worker = Worker {
        memory: map(),
        shared: shared(),
        socket: theirs,
        receiver: frame::Receiver::default(),
        buffers: HashMap::new(),
        next: 0,
        runs: false,
        used: 0,
        is_wild,
        is_good: true,
    };
    (seat, worker)
}

// As it should be.

/// The outcomes of a chunk.
struct Outcomes {
    items: u32,
    /// There is room for so many.
    most: u32,
}

impl Progress for Outcomes {
    fn enter(&mut self, _phase: Phase) {}

    fn begin_items(&mut self) {}

    fn begin_item(&mut self) {}

    fn end_item(&mut self, _output: &mut Output<'_>) -> bool {
        self.items += 1;
        self.items < self.most
    }
}

impl Worker {
    /// Begins the next task, if there is one.
    pub(super) fn begin(&mut self) {
        let slot = self.shared.slot(self.next);
        if self.runs || !matches!(slot.state.load(Ordering::Relaxed), QUEUED | REVOKED) {
            return;
        }
        if slot.state.compare_exchange(QUEUED, RUNNING, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            if slot.flags.load(Ordering::Relaxed) & TIMED != 0 {
                slot.begun.store(system::monotonic_nanoseconds(), Ordering::Relaxed);
            }
            self.runs = true;
        } else {
            slot.leave(SKIPPED);
            self.next += 1;
        }
    }

    /// Ends the task that runs, if one does; of a chunk, after so many items.
    pub(super) fn finish(&mut self, most: u32) {
        let taken = self.shared.replies_taken().load(Ordering::Relaxed);
        // It waits for a block to be given back.
        if !self.runs || self.used.wrapping_sub(taken) >= BLOCKS as u32 {
            return;
        }
        self.take_in_buffers();
        let mut outcomes = Outcomes { items: 0, most };
        client::enter_worker(!self.is_wild);
        let reply = self.run(&mut outcomes);
        let slot = self.shared.slot(self.next);
        let place = self.leave(slot, &reply, outcomes.items > 0);
        slot.reply_place.store(place, Ordering::Relaxed);
        slot.reply_length.store(shortened(reply.len()), Ordering::Relaxed);
        slot.items.store(outcomes.items, Ordering::Relaxed);
        slot.elapsed.store(1000, Ordering::Relaxed);
        slot.leave(DONE);
        self.used = self.used.wrapping_add(u32::from(place != IN_SLOT && place != IN_BUFFER));
        self.next += 1;
        self.runs = false;
    }

    fn run(&self, outcomes: &mut Outcomes) -> Vec<u8> {
        let slot = self.shared.slot(self.next);
        let mut reply = Vec::new();
        let input = self.input(slot);
        let name = self.shared.function(slot.function.load(Ordering::Relaxed)).map(FunctionEntry::read);
        let image = Image::of_this_process().expect("it runs");
        let function = name.and_then(|name| name.resolve(image));
        assert!(function.is_some() || !self.is_good, "a function that it was not told of");
        if let Some(function) = function {
            let stop = AtomicU32::new(slot.stop.load(Ordering::Relaxed));
            let output = Output::new(&mut reply);
            let mut job =
                Job { input: &input, output, stop: &stop, timed: false, worker: "fuzzed", progress: outcomes };
            // SAFETY: nobody but the parent writes to the functions: trampoline and function belong together.
            unsafe { function.trampoline.run(function.code, &mut job) };
        }
        reply
    }

    fn input(&self, slot: &Slot) -> Vec<u8> {
        let length = slot.input_length.load(Ordering::Relaxed) as usize;
        match slot.input_place.load(Ordering::Relaxed) {
            IN_SLOT => slot.read(length)[..length.min(INLINE)].to_vec(),
            IN_BUFFER => {
                let id = u64::from_ne_bytes(slot.read(8)[..8].try_into().expect("are eight"));
                let buffer = self.buffers.get(&id);
                assert!(buffer.is_some() || !self.is_good, "a buffer that it was not handed");
                buffer.map_or_else(Vec::new, |buffer| buffer.bytes().to_vec())
            }
            place => {
                let block = self.shared.input_block((place.wrapping_sub(IN_BLOCK)) as usize);
                assert!(block.is_some() || !self.is_good, "a block that is none");
                // SAFETY: as many bytes of a block, which nobody writes to at the same time.
                block.map_or_else(Vec::new, |start| unsafe {
                    std::slice::from_raw_parts(start.as_ptr(), length.min(BLOCK)).to_vec()
                })
            }
        }
    }

    /// Leaves the bytes of a reply. Returns the place.
    fn leave(&self, slot: &Slot, reply: &[u8], in_block: bool) -> u32 {
        if reply.len() > BLOCK {
            let buffer = Buffer::copy_of(reply).expect("there is memory");
            slot.write(&buffer.id().to_ne_bytes());
            let message = Message::Buffer { id: buffer.id(), length: buffer.length(), reply: self.next };
            // A socket that is full: the reply is lost, as with no descriptor left.
            let _ = message.send(&self.socket, &[buffer.file().as_fd()]);
            return IN_BUFFER;
        }
        if reply.len() <= INLINE && !in_block {
            slot.write(reply);
            return IN_SLOT;
        }
        let block = self.used as usize % BLOCKS;
        let start = self.shared.reply_block(block).expect("a block's number");
        // SAFETY: no longer than a block, which is the worker's.
        unsafe { std::ptr::copy_nonoverlapping(reply.as_ptr(), start.as_ptr(), reply.len()) };
        IN_BLOCK + block as u32
    }

    fn take_in_buffers(&mut self) {
        while let Received::Message(message, files) = message::receive(&mut self.receiver, &self.socket, false) {
            if let (Message::Buffer { id, length, .. }, Some(file)) = (message, files.into_iter().next()) {
                let buffer = Buffer::receive(id, file, length).expect("the parent's own memory");
                self.buffers.insert(id, buffer);
            } else if let Message::Forget { id } = message {
                self.buffers.remove(&id);
            }
        }
    }
}

// As it likes.

/// Words that mean something in one place or another.
const TELLING: [u64; 14] = [0, 1, 2, 3, 4, 5, 6, 16, 17, 64, 256 * 1024, 256 * 1024 + 1, u32::MAX as u64, u64::MAX];

impl Worker {
    /// Writes a state into a slot near the oldest in use.
    pub(super) fn spoil_state(&mut self, oldest: u64, script: &mut Unstructured<'_>) {
        self.is_good = false;
        let slot = self.shared.slot(oldest + below(script, 8) as u64);
        slot.state.store(below(script, 7) as u32, Ordering::Relaxed);
    }

    /// Writes anything into a slot near the oldest in use.
    pub(super) fn spoil_slot(&mut self, oldest: u64, script: &mut Unstructured<'_>) {
        self.is_good = false;
        let slot = self.shared.slot(oldest + below(script, 4) as u64);
        let field = below(script, 12);
        let value = match take::<u8>(script) {
            255 => take::<u64>(script),
            // The place that is a message's.
            254 => u64::from(u32::MAX) - 1,
            telling => TELLING[usize::from(telling) % TELLING.len()],
        };
        match field {
            0 => slot.reply_length.store(value as u32, Ordering::Relaxed),
            1 => slot.input_length.store(value as u32, Ordering::Relaxed),
            2 => slot.begun.store(value, Ordering::Relaxed),
            3 => slot.write(&value.to_ne_bytes()),
            4 => slot.stop.store(value as u32, Ordering::Relaxed),
            5 => slot.flags.store(value as u32, Ordering::Relaxed),
            6 => slot.phase.store(value as u32, Ordering::Relaxed),
            7 => slot.elapsed.store(value as u32, Ordering::Relaxed),
            8 => slot.function.store(value as u32, Ordering::Relaxed),
            9 => slot.input_place.store(value as u32, Ordering::Relaxed),
            10 => slot.items.store(value as u32, Ordering::Relaxed),
            _ => slot.reply_place.store(value as u32, Ordering::Relaxed),
        }
    }

    /// Writes words of the script anywhere but over the functions, which nobody but the worker itself reads.
    pub(super) fn spoil_memory(&mut self, script: &mut Unstructured<'_>) {
        self.is_good = false;
        // The memory begins with that word.
        let start = std::ptr::from_ref(self.shared.asleep()).addr();
        let slots = std::ptr::from_ref(self.shared.slot(0)).addr() - start;
        let start = if take::<u8>(script) & 1 == 0 { 0 } else { slots };
        let length = if start == 0 { 512 } else { SIZE - slots };
        for _ in 0..below(script, 64) {
            let offset = (start + take::<u32>(script) as usize % length) & !3;
            // SAFETY: aligned, inside the mapping, and nobody runs beside this thread.
            unsafe { self.memory.start().add(offset).cast::<u32>().write_volatile(take(script)) };
        }
    }

    /// Says anything, with anything.
    pub(super) fn say(&mut self, script: &mut Unstructured<'_>) {
        self.is_good = false;
        let (file, length) = file(script);
        let id = take::<u8>(script).into();
        let message = match below(script, 4) {
            0 => Message::Ready { image: id, initializer: length },
            1 => Message::Doorbell,
            _ => Message::Buffer { id, length, reply: id },
        };
        let files = [file.as_fd()];
        let count = usize::from(matches!(message, Message::Buffer { .. }));
        let _ = message.send(&self.socket, &files[..count]);
    }
}
