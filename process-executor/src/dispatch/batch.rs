//! Tasks that came back from workers, on their way to being finished.

use crate::dispatch::entry::Entry;
use crate::dispatch::relay::Relay;
use crate::link::Link;
use executor_core::remote::Cause;
use std::ops::Range;
use std::sync::Arc;
use std::task::Waker;

/// Bytes of scratch that a batch keeps.
const KEPT: usize = 1024 * 1024;

/// Tasks that came back, to be finished outside the lock.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) collected: Vec<Collected>,
    /// What is left of revoked tasks, to be dropped outside the lock.
    pub(crate) tombstones: Vec<Entry>,
    /// Async submitters, who can have capacity now. Wakers are user code.
    pub(crate) wakers: Vec<Waker>,
    /// A large task whose input is to be moved to shared memory.
    pub(crate) prepare: Option<Entry>,
}

/// A task that came back, with its reply among the bytes of a batch. Small: it is moved several times.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) entry: Entry,
    pub(crate) bytes: Range<usize>,
    /// How many outcomes of a chunk it contains.
    pub(crate) items: u32,
    /// How long the task ran, in nanoseconds; at most what fits.
    pub(crate) elapsed: u32,
    /// Why the task is over, if not by a reply.
    pub(crate) cause: Option<Box<Cause>>,
    pub(crate) out_of_band: Option<Box<OutOfBand>>,
}

/// The part of a reply that did not come through the slot or its block.
#[derive(Debug)]
pub(crate) struct OutOfBand {
    pub(crate) link: Arc<Link>,
    /// The number of the slot whose reply this is.
    pub(crate) number: u64,
    /// Buffers came along.
    pub(crate) attached: bool,
    pub(crate) body: Body,
    /// How long the reply is, if it is not among the bytes of the batch.
    pub(crate) length: u64,
}

/// Where a reply lies.
#[derive(Debug)]
pub(crate) enum Body {
    /// Among the bytes of the batch.
    InBatch,
    /// In memory of its own, by the number that the worker gave it.
    Buffer(u64),
    /// In what the relay has carried: the reply of that number.
    Relayed { relay: Arc<dyn Relay>, number: u64 },
}

impl Collected {
    /// Makes a task that ends without a reply.
    pub(crate) fn without_reply(entry: Entry, cause: Cause) -> Self {
        Self { entry, bytes: 0..0, items: 0, elapsed: 0, cause: Some(Box::new(cause)), out_of_band: None }
    }

    /// Returns whether the task, or the item of it that ran, has failed without a reply.
    pub(crate) fn has_failed(&self) -> bool {
        !matches!(self.cause.as_deref(), None | Some(Cause::Retry | Cause::Stopped(_)))
    }

    /// Returns whether this thread can read what came back.
    #[inline]
    pub(crate) fn can_finish_here(&self) -> bool {
        match self.out_of_band.as_deref() {
            Some(OutOfBand { body: Body::Relayed { relay, .. }, .. }) => relay.can_read_here(),
            _ => true,
        }
    }

    /// Returns how many bytes came out of band.
    pub(crate) fn bytes_out_of_band(&self) -> u64 {
        self.out_of_band.as_ref().map_or(0, |out_of_band| out_of_band.length)
    }
}

impl Batch {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), collected: Vec::new(), tombstones: Vec::new(), wakers: Vec::new(), prepare: None }
    }

    /// Empties the batch, and keeps its memory for the next use unless it is much.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.collected.clear();
        self.tombstones.clear();
    }

    /// Takes over a task of another batch, whose bytes these are.
    pub(crate) fn adopt(&mut self, mut collected: Collected, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes.get(collected.bytes.clone()).unwrap_or_default());
        collected.bytes = start..self.bytes.len();
        self.collected.push(collected);
    }

    /// Takes out the tasks whose end runs code that users attached, and wakers.
    pub(crate) fn split_off_callbacks(&mut self) -> Self {
        let mut callbacks = Self { wakers: std::mem::take(&mut self.wakers), ..Self::new() };
        for collected in self.collected.extract_if(.., |collected| collected.entry.task.has_listeners()) {
            callbacks.adopt(collected, &self.bytes);
        }
        callbacks.tombstones = self.tombstones.extract_if(.., |tombstone| tombstone.task.has_listeners()).collect();
        callbacks
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.collected.is_empty() && self.tombstones.is_empty() && self.wakers.is_empty() && self.prepare.is_none()
    }
}
