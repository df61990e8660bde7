//! The parent's side of the memory shared with one worker: tasks go in, replies come out.
//!
//! All of it is under the pool's lock, so nothing here waits or runs user code; bytes are copied out for later.

use crate::dispatch::batch::{Batch, Body, Collected, OutOfBand};
use crate::dispatch::entry::{Entry, Payload};
use crate::dispatch::relay::Relay;
use crate::dispatch::whereabouts::Whereabouts;
use crate::function::FunctionTable;
use crate::link::Link;
use crate::protocol::layout::{
    ATTACHED, BLOCK, BLOCKS, DONE, FREE, IN_BLOCK, IN_BUFFER, IN_SLOT, INLINE, QUEUED, RELAYED, REVOKED, RUNNING,
    SKIPPED, SLOTS, Shared, Slot, TIMED, shortened,
};
use crate::system;
use executor_core::remote::Phase;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

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
    /// See there.
    may_sleep: bool,
    /// The worker was told that rests of chunks are wanted.
    wants_rests: bool,
}

#[derive(Debug)]
struct InFlight {
    entry: Entry,
    block: Option<u8>,
    cost: u32,
    /// It counts as begun: it is, or was, the oldest.
    began: bool,
    /// Its slot's flag was raised.
    asked_to_stop: bool,
}

impl InFlight {
    /// Whether it was revoked: its worker passes it by.
    fn is_tombstone(&self) -> bool {
        self.entry.is_at(Whereabouts::Revoked)
    }

    /// Whether it has not begun, and may.
    fn waits(&self) -> bool {
        !self.began && !self.is_tombstone()
    }
}

/// What leaves the books.
enum Taken {
    Task(InFlight),
    /// It was revoked.
    Tombstone(Entry),
}

/// The task that a worker runs.
pub(crate) struct Running<'a> {
    pub(crate) entry: &'a Entry,
    /// When it, or its item, began; 0 if it has not, or is not timed.
    begun: u64,
    /// Items that are over.
    pub(crate) items: u32,
}

impl Running<'_> {
    /// How long it, or its item, has been running, if it has begun.
    pub(crate) fn ran(&self) -> Option<Duration> {
        let began = Some(self.begun).filter(|begun| *begun > 0)?;
        Some(Duration::from_nanos(system::monotonic_nanoseconds().saturating_sub(began)))
    }

    /// How long it may run; `default` unless it has a limit of its own.
    pub(crate) fn limit(&self, default: Option<Duration>) -> Option<Duration> {
        self.entry.task.run_limit().or(default)
    }
}

/// A task whose worker died.
#[derive(Debug)]
pub(crate) struct Interrupted {
    pub(crate) collected: Collected,
    /// What the worker was doing.
    pub(crate) phase: Option<Phase>,
    /// It counts as begun.
    pub(crate) began: bool,
}

/// What was in a ring when its worker died.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    /// The task that was running; more than one only if the memory was overwritten.
    pub(crate) running: Vec<Interrupted>,
    /// Tasks that had not begun, oldest first, and whether they count as begun.
    pub(crate) unbegun: Vec<(Entry, bool)>,
    /// Tombstones of tasks that were revoked.
    pub(crate) tombstones: Vec<Entry>,
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

    /// Tasks in flight, revoked ones included, and the one that a relay has.
    pub(crate) fn depth(&self) -> usize {
        (self.next - self.oldest) as usize + self.expected
    }

    /// Whether there are tasks in flight that were not revoked.
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

    pub(crate) fn load(&self) -> u64 {
        self.load
    }

    pub(crate) fn bytes_sent(&self) -> u64 {
        self.bytes_sent
    }

    /// Whether there is a slot, and a block if the task needs one.
    pub(crate) fn has_room_for(&self, entry: &Entry) -> bool {
        self.depth() < SLOTS && (!needs_block(&entry.payload) || !self.free_blocks.is_empty())
    }

    /// Hands a task to the worker. The caller has asked `has_room_for`, and asks `take_sleeper` before it lets the lock go.
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
        self.publish(entry, functions, worker, Input { place: RELAYED, length, block: None });
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

    /// Tells the worker of the functions it has not heard of. The slot that names one of them publishes them.
    fn tell_functions(&mut self, functions: &FunctionTable, needed: u32) {
        if needed < self.functions_told {
            return;
        }
        for known in functions.since(self.functions_told) {
            if let Some(entry) = self.shared.function(self.functions_told) {
                known.name.write(entry);
            }
            self.functions_told += 1;
        }
    }

    /// Whether so many tasks at least, from 1 up, are over.
    pub(crate) fn has_results(&self, least: u64) -> bool {
        let last = self.oldest + least - 1;
        last < self.next && is_over(self.shared.slot(last).state.load(Ordering::Relaxed))
    }

    /// Takes what is over, oldest first, into a batch: replies are copied, tombstones of revoked tasks go with them. Gives how
    /// many have begun and ended before anybody asked `begin_oldest`.
    pub(crate) fn collect(
        &mut self,
        functions: &mut FunctionTable,
        link: &Arc<Link>,
        relay: Option<&Arc<dyn Relay>>,
        batch: &mut Batch,
    ) -> u64 {
        let mut unannounced = 0;
        let shared = self.shared.clone();
        while self.oldest != self.next {
            let slot = shared.slot(self.oldest);
            // ORDERING: Acquire, with the Release in `Slot::leave`: the reply is whole.
            let state = slot.state.load(Ordering::Acquire);
            if !is_over(state) {
                break;
            }
            // Which of the two it is, is not the worker's to say.
            match self.take(self.oldest) {
                Some(Taken::Task(task)) => {
                    unannounced += u64::from(!task.began);
                    let function = task.entry.function;
                    let reply = self.read_reply((self.oldest, slot), task.entry, link, relay, &mut batch.bytes);
                    functions.learn(function, reply.elapsed);
                    batch.collected.push(reply);
                }
                Some(Taken::Tombstone(entry)) => batch.tombstones.push(entry),
                // It was taken back, and is elsewhere by now.
                None => {}
            }
            slot.state.store(FREE, Ordering::Relaxed);
            self.oldest += 1;
        }
        unannounced
    }

    /// Takes a task out of the books, frees its block, and leaves its slot as one that is free has to be.
    fn take(&mut self, number: u64) -> Option<Taken> {
        let in_flight = self.in_flight[index(number)].take()?;
        self.load = self.load.saturating_sub(u64::from(in_flight.cost));
        self.free_blocks.extend(in_flight.block);
        self.clear(number, &in_flight);
        if in_flight.is_tombstone() {
            return Some(Taken::Tombstone(in_flight.entry));
        }
        in_flight.entry.move_to(Whereabouts::InHand);
        Some(Taken::Task(in_flight))
    }

    /// Clears what most tasks do not touch, and which lies apart for that reason.
    fn clear(&self, number: u64, in_flight: &InFlight) {
        let slot = self.shared.slot(number);
        if in_flight.entry.timed {
            slot.begun.store(0, Ordering::Relaxed);
        }
        if in_flight.asked_to_stop {
            slot.stop.store(0, Ordering::Relaxed);
        }
    }

    /// Copies a reply out. Nothing the worker wrote is believed: what makes no sense becomes an empty reply, which ends the
    /// task with an error.
    fn read_reply(
        &mut self,
        (number, slot): (u64, &Slot),
        entry: Entry,
        link: &Arc<Link>,
        relay: Option<&Arc<dyn Relay>>,
        bytes: &mut Vec<u8>,
    ) -> Collected {
        let start = bytes.len();
        let length = slot.reply_length.load(Ordering::Relaxed) as usize;
        let attached = slot.flags.load(Ordering::Relaxed) & ATTACHED != 0;
        let body = match (slot.reply_place.load(Ordering::Relaxed), relay) {
            (IN_SLOT, _) => {
                slot.append_to(bytes, length);
                Body::InBatch
            }
            (IN_BUFFER, _) => Body::Buffer(u64::from_ne_bytes(slot.read(8)[..8].try_into().unwrap_or_default())),
            (RELAYED, Some(relay)) => {
                slot.append_to(bytes, 1);
                self.relayed += 1;
                Body::Relayed { relay: relay.clone(), number: self.relayed - 1 }
            }
            (place, _) => {
                self.copy_block(place, length, bytes);
                self.give_reply_block_back();
                Body::InBatch
            }
        };
        let is_elsewhere = !matches!(body, Body::InBatch);
        let out_of_band = (attached || is_elsewhere).then(|| {
            let length = if is_elsewhere { length as u64 } else { 0 };
            Box::new(OutOfBand { link: link.clone(), number, attached, body, length })
        });
        Collected {
            entry,
            bytes: start..bytes.len(),
            // ORDERING: Acquire, with the Release in `Running::end_item`, if the worker died at work: those outcomes are whole.
            items: slot.items.load(Ordering::Acquire),
            elapsed: slot.elapsed.load(Ordering::Relaxed),
            cause: None,
            out_of_band,
        }
    }

    fn copy_block(&self, place: u32, length: usize, bytes: &mut Vec<u8>) {
        let block = place.checked_sub(IN_BLOCK).and_then(|index| self.shared.reply_block(index as usize));
        let (Some(block), true) = (block, length <= BLOCK) else { return };
        bytes.reserve(length);
        // SAFETY: `length` bytes of a block of the mapping, which the worker has given up by DONE, or by its death. A worker
        // that writes all the same can only spoil its own reply: the copy is what is looked at.
        unsafe {
            let end = bytes.as_mut_ptr().add(bytes.len());
            std::ptr::copy_nonoverlapping(block.as_ptr(), end, length);
            bytes.set_len(bytes.len() + length);
        }
    }

    fn give_reply_block_back(&mut self) {
        self.replies_taken = self.replies_taken.wrapping_add(1);
        // ORDERING: Release, with the Acquire in `Replies::block`: the copy is over before the worker writes there again.
        self.shared.replies_taken().store(self.replies_taken, Ordering::Release);
        self.may_sleep = true;
    }

    /// Tells the worker whether the rest of a chunk that takes long is to come back.
    pub(crate) fn want_rests(&mut self, wanted: bool) {
        if std::mem::replace(&mut self.wants_rests, wanted) != wanted {
            self.shared.rests_wanted().store(u32::from(wanted), Ordering::Relaxed);
        }
    }

    /// Whether something has changed for which the worker may sleep: a task or a reply block.
    pub(crate) fn may_sleep(&self) -> bool {
        self.may_sleep
    }

    /// Whether the worker sleeps, or is about to, with something before it, and is to be woken. The caller has a fence between
    /// those changes and this.
    pub(crate) fn take_sleeper(&mut self) -> bool {
        std::mem::take(&mut self.may_sleep) && self.oldest != self.next && self.shared.asleep().take()
    }

    /// Revokes a slot that the worker has not begun. The slot stays taken until the worker has passed it by.
    fn revoke(&self, number: u64) -> bool {
        let slot = self.shared.slot(number);
        // ORDERING: AcqRel, with the swap in `TaskLoop::run`: one of the two has the slot, and sees it as the other left it.
        slot.state.compare_exchange(QUEUED, REVOKED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Revokes a task that does not count as begun. The oldest counts as begun from the moment it is the oldest, so that all
    /// who ask get the same answer. Its tombstone stays until the worker has passed it by.
    pub(crate) fn revoke_unbegun(&self, number: u64) -> bool {
        let waits = |task: &InFlight| !task.began && !task.entry.begun;
        self.in_flight[index(number)].as_ref().is_some_and(waits) && self.revoke(number)
    }

    /// The oldest task begins, or is about to. False: it was counted before, or there is none.
    pub(crate) fn begin_oldest(&mut self) -> bool {
        let oldest = (self.oldest..self.next).find_map(|number| {
            let task = self.in_flight[index(number)].as_ref()?;
            (!task.is_tombstone()).then_some(number)
        });
        let Some(task) = oldest.and_then(|number| self.in_flight[index(number)].as_mut()) else { return false };
        !std::mem::replace(&mut task.began, true)
    }

    /// Whether there are tasks that have not begun, and could be taken back.
    pub(crate) fn has_some_behind(&self) -> bool {
        let mut youngest_first = (self.oldest..self.next).rev();
        self.depth() > 1
            && youngest_first.any(|number| self.in_flight[index(number)].as_ref().is_some_and(InFlight::waits))
    }

    /// What the youngest task in flight is expected to cost.
    pub(crate) fn youngest_cost(&self, functions: &FunctionTable) -> u32 {
        let youngest = (self.oldest..self.next).rev().find_map(|number| self.in_flight[index(number)].as_ref());
        youngest.map_or(0, |task| functions.get(task.entry.function).estimate)
    }

    /// Takes back the youngest tasks that have not begun, youngest first, to be dealt anew. Their slots are passed by.
    pub(crate) fn take_back(&mut self, most: usize) -> Vec<Entry> {
        let mut back = Vec::new();
        for number in (self.oldest..self.next).rev() {
            if back.len() == most {
                break;
            }
            // A tombstone, or a place from which a task was taken back before.
            if !self.in_flight[index(number)].as_ref().is_some_and(InFlight::waits) {
                continue;
            }
            match self.take_back_at(number) {
                Some(entry) => back.push(entry),
                None => break,
            }
        }
        back
    }

    /// Takes back the task that counts as begun, if the worker has not begun it after all.
    pub(crate) fn take_back_next(&mut self) -> Option<Entry> {
        let counts = |task: &InFlight| task.began && !task.is_tombstone();
        let mut numbers = self.oldest..self.next;
        let next = numbers.find(|number| self.in_flight[index(*number)].as_ref().is_some_and(counts))?;
        self.take_back_at(next)
    }

    /// Takes a task out of a slot, unless it has begun.
    fn take_back_at(&mut self, number: u64) -> Option<Entry> {
        if !self.revoke(number) {
            return None;
        }
        let task = self.in_flight[index(number)].take()?;
        self.load = self.load.saturating_sub(u64::from(task.cost));
        self.free_blocks.extend(task.block);
        self.clear(number, &task);
        Some(task.entry)
    }

    /// Whether a task has begun.
    pub(crate) fn has_begun(&self, number: u64) -> bool {
        let began = self.in_flight[index(number)].as_ref().is_some_and(|task| task.began);
        // ORDERING: Acquire, with the swap in `TaskLoop::run`: a canceller sees what its task did before that is visible.
        began || matches!(self.shared.slot(number).state.load(Ordering::Acquire), RUNNING | DONE)
    }

    /// Raises the flag of a task; with `end_worker`, notes that its worker is to be ended.
    pub(crate) fn ask_to_stop(&mut self, number: u64, end_worker: bool) {
        let Some(task) = self.in_flight[index(number)].as_mut() else { return };
        task.entry.stopping |= end_worker;
        task.asked_to_stop = true;
        // ORDERING: Release, with the Acquire in `is_stop_requested` in the worker: the task sees what was done before.
        self.shared.slot(number).stop.store(1, Ordering::Release);
    }

    /// The task that runs, or is about to.
    pub(crate) fn running(&self) -> Option<Running<'_>> {
        for number in self.oldest..self.next {
            let slot = self.shared.slot(number);
            let task = self.in_flight[index(number)].as_ref();
            // ORDERING: Acquire, with the Release in `Running::end_item`, `TaskLoop::run` and `Running::note_time`. The count is read
            // first, so the time is that of this item or of a later one.
            let items = slot.items.load(Ordering::Acquire);
            let begun = match slot.state.load(Ordering::Acquire) {
                RUNNING => slot.begun.load(Ordering::Acquire),
                QUEUED => task.filter(|task| task.began).map(|_| 0)?,
                _ => continue,
            };
            return Some(Running { entry: &task?.entry, begun, items });
        }
        None
    }

    /// Whether the memory was overwritten: a slot in use is in a state in which it cannot be.
    pub(crate) fn is_corrupted(&self) -> bool {
        (self.oldest..self.next).any(|number| {
            let state = self.shared.slot(number).state.load(Ordering::Relaxed);
            state == FREE || state > SKIPPED
        })
    }

    /// How soon one of the tasks in flight could be due to be ended, if it begins now: one that was stopped, at once; one with
    /// a limit, when that has passed.
    pub(crate) fn first_due(&self, default: Option<Duration>) -> Option<Duration> {
        let due = |task: &InFlight| match &task.entry {
            entry if entry.stopping => Some(Duration::ZERO),
            entry if entry.timed => entry.task.run_limit().or(default),
            _ => None,
        };
        (self.oldest..self.next).filter_map(|number| self.in_flight[index(number)].as_ref().and_then(due)).min()
    }

    /// How many tasks wait for their turn, for drivers that check the books.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn count_waiting(&self) -> usize {
        self.in_flight.iter().flatten().filter(|task| task.waits()).count()
    }

    /// What the worker left in its first reply block, before there were tasks.
    pub(crate) fn first_reply(&self, length: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.copy_block(IN_BLOCK, usize::try_from(length).unwrap_or(usize::MAX), &mut bytes);
        bytes
    }

    /// The number of the slot that the worker is at, to see whether it moves.
    pub(crate) fn position(&self) -> u64 {
        self.oldest
    }

    /// The worker is dead, and what was over has been collected: takes all that is left.
    pub(crate) fn drain_dead(
        &mut self,
        link: &Arc<Link>,
        relay: Option<&Arc<dyn Relay>>,
        bytes: &mut Vec<u8>,
    ) -> Unfinished {
        let mut unfinished = Unfinished::default();
        while self.oldest != self.next {
            let number = self.oldest;
            self.oldest += 1;
            let shared = self.shared.clone();
            let slot = shared.slot(number);
            match self.take(number) {
                Some(Taken::Task(task)) if self.revoke(number) => unfinished.unbegun.push((task.entry, task.began)),
                // Or its state is one that cannot be: the memory was overwritten, and nobody knows what has run.
                Some(Taken::Task(InFlight { entry, began, .. })) => {
                    // ORDERING: Acquire, with the Release in `Running::begin_drop`: the reply is whole.
                    let phase = Phase::from_number(slot.phase.load(Ordering::Acquire));
                    let collected = self.read_reply((number, slot), entry, link, relay, bytes);
                    unfinished.running.push(Interrupted { collected, phase, began });
                }
                Some(Taken::Tombstone(entry)) => unfinished.tombstones.push(entry),
                None => {}
            }
        }
        unfinished
    }
}

fn index(number: u64) -> usize {
    (number % SLOTS as u64) as usize
}

fn is_over(state: u32) -> bool {
    state == DONE || state == SKIPPED
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
