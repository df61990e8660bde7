//! Replies come out of a ring: from a worker that lives, and from one that has died.

use super::{InFlight, Ring, index};
use crate::dispatch::batch::{Batch, Body, Collected, OutOfBand};
use crate::dispatch::entry::Entry;
use crate::dispatch::functions::FunctionTable;
use crate::dispatch::relay::Relay;
use crate::dispatch::whereabouts::Whereabouts;
use crate::link::Link;
use crate::protocol::layout::{ATTACHED, BLOCK, DONE, FREE, IN_BLOCK, IN_BUFFER, IN_SLOT, RELAYED, SKIPPED, Slot};
use executor_core::remote::Phase;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What leaves the ring.
enum Removed {
    Task(InFlight),
    /// The task was revoked.
    Tombstone(Entry),
}

/// A task whose worker died.
#[derive(Debug)]
pub(crate) struct Interrupted {
    pub(crate) collected: Collected,
    /// What the worker was doing.
    pub(crate) phase: Option<Phase>,
    /// The task counts as begun.
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
    /// Returns whether at least that many tasks, from 1 up, are over.
    pub(crate) fn has_results(&self, least: u64) -> bool {
        let last = self.oldest + least - 1;
        last < self.next && is_over(self.shared.slot(last).state.load(Ordering::Relaxed))
    }

    /// Takes what is over, oldest first, into a batch, with the tombstones of revoked tasks. Returns how many tasks have begun and
    /// ended before `begin_oldest` counted them as begun.
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
            // Whether it was revoked is not the worker's to say.
            match self.take(self.oldest) {
                Some(Removed::Task(task)) => {
                    unannounced += u64::from(!task.began);
                    let function = task.entry.function;
                    let reply = self.read_reply((self.oldest, slot), task.entry, link, relay, &mut batch.bytes);
                    functions.learn(function, reply.elapsed);
                    batch.collected.push(reply);
                }
                Some(Removed::Tombstone(entry)) => batch.tombstones.push(entry),
                // It was taken back, and is elsewhere by now.
                None => {}
            }
            slot.state.store(FREE, Ordering::Relaxed);
            self.oldest += 1;
        }
        unannounced
    }

    /// Takes a task out of the ring, frees its block, and leaves its slot as a free slot has to be.
    fn take(&mut self, number: u64) -> Option<Removed> {
        let in_flight = self.in_flight[index(number)].take()?;
        self.load = self.load.saturating_sub(u64::from(in_flight.cost));
        self.free_blocks.extend(in_flight.block);
        self.clear(number, &in_flight);
        if in_flight.is_tombstone() {
            return Some(Removed::Tombstone(in_flight.entry));
        }
        in_flight.entry.move_to(Whereabouts::InHand);
        Some(Removed::Task(in_flight))
    }

    /// Clears what most tasks do not touch, and which lies apart for that reason.
    pub(super) fn clear(&self, number: u64, in_flight: &InFlight) {
        let slot = self.shared.slot(number);
        if in_flight.entry.timed {
            slot.begun.store(0, Ordering::Relaxed);
        }
        if in_flight.asked_to_stop {
            slot.stop.store(0, Ordering::Relaxed);
        }
    }

    /// Copies a reply out. Nothing that the worker wrote is believed: what makes no sense becomes an empty reply, which ends the task
    /// with an error.
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
        // that writes there all the same can spoil only its own reply: what is read is the copy.
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

    /// Copies what the worker left in its first reply block, before there were tasks.
    pub(crate) fn first_reply(&self, length: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.copy_block(IN_BLOCK, usize::try_from(length).unwrap_or(usize::MAX), &mut bytes);
        bytes
    }

    /// Takes all that is left of a dead worker, after what was over has been collected.
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
                Some(Removed::Task(task)) if self.revoke(number) => unfinished.unbegun.push((task.entry, task.began)),
                // RUNNING, or a state that cannot be: the memory was overwritten, and nobody knows what has run.
                Some(Removed::Task(InFlight { entry, began, .. })) => {
                    // ORDERING: Acquire, with the Release in `Running::begin_drop`: the reply is whole.
                    let phase = Phase::from_number(slot.phase.load(Ordering::Acquire));
                    let collected = self.read_reply((number, slot), entry, link, relay, bytes);
                    unfinished.running.push(Interrupted { collected, phase, began });
                }
                Some(Removed::Tombstone(entry)) => unfinished.tombstones.push(entry),
                None => {}
            }
        }
        unfinished
    }
}

fn is_over(state: u32) -> bool {
    state == DONE || state == SKIPPED
}
