//! Tasks that came back from workers, on their way to being finished.

use crate::entry::Entry;
use crate::link::Link;
use crate::parcel;
use executor_core::Stats;
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
    /// Recalled tasks, to be dropped outside the lock.
    pub(crate) husks: Vec<Entry>,
    /// Who waits for room that is free now: wakers are anybody's code.
    pub(crate) wakers: Vec<Waker>,
    /// A large task that is to be put into a buffer.
    pub(crate) prepare: Option<Entry>,
}

/// A task that came back, with its reply among the bytes of a batch. Small: it is moved several times.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) entry: Entry,
    pub(crate) bytes: Range<usize>,
    /// Outcomes in it, of a chunk.
    pub(crate) items: u32,
    /// How long it ran, in nanoseconds; at most what fits.
    pub(crate) elapsed: u32,
    /// Why it is over, if not by a reply.
    pub(crate) cause: Option<Box<Cause>>,
    pub(crate) beside: Option<Box<Beside>>,
}

/// What of a reply came on another way.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) link: Arc<Link>,
    /// Buffers came along.
    pub(crate) attached: bool,
    /// The reply lies in memory of its own: the number the worker gave it.
    pub(crate) buffer: Option<u64>,
    /// The reply came as a message: which.
    pub(crate) message: Option<u64>,
    /// How long it is in that memory or message.
    pub(crate) length: u64,
}

impl Collected {
    /// A task that ends without a reply.
    pub(crate) fn without_reply(entry: Entry, cause: Cause) -> Self {
        Self { entry, bytes: 0..0, items: 0, elapsed: 0, cause: Some(Box::new(cause)), beside: None }
    }

    /// Tells as what it counts: why it is over, or what its first byte says it is.
    pub(crate) fn counted(&self, bytes: &[u8]) -> Counted {
        match self.cause.as_deref() {
            Some(Cause::Retry) => Counted::Not,
            Some(Cause::Stopped(_)) => Counted::Cancelled,
            None if self.is_success(bytes) => Counted::Completed,
            _ => Counted::Failed,
        }
    }

    /// Returns whether this thread can read what came back.
    #[inline]
    pub(crate) fn can_finish_here(&self) -> bool {
        let by_message = self.beside.as_ref().is_some_and(|beside| beside.message.is_some());
        !by_message || parcel::can_open_here()
    }

    /// Whether what came back is, as far as its first byte tells, what the task returned.
    fn is_success(&self, bytes: &[u8]) -> bool {
        let first = bytes.get(self.bytes.start).filter(|_| !self.bytes.is_empty());
        self.items > 0
            || self.beside.as_ref().is_some_and(|beside| beside.buffer.is_some())
            || first == Some(&executor_core::remote::VALUE)
    }

    /// Bytes that came back on another way.
    pub(crate) fn bytes_beside(&self) -> u64 {
        self.beside.as_ref().map_or(0, |beside| beside.length)
    }
}

/// As what a task counts when it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Completed,
    Failed,
    Cancelled,
    /// It is not over: it runs again.
    Not,
}

impl Counted {
    pub(crate) fn add_to(self, stats: &mut Stats) {
        if let Some(count) = self.count(stats) {
            *count += 1;
        }
    }

    /// It is not over after all: a part of its chunk is left.
    pub(crate) fn take_back_from(self, stats: &mut Stats) {
        if let Some(count) = self.count(stats) {
            *count -= 1;
        }
    }

    fn count(self, stats: &mut Stats) -> Option<&mut u64> {
        match self {
            Self::Completed => Some(&mut stats.completed),
            Self::Failed => Some(&mut stats.failed),
            Self::Cancelled => Some(&mut stats.cancelled),
            Self::Not => None,
        }
    }
}

impl Batch {
    /// Empties it, keeping its memory for the next use if it is not much.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.collected.clear();
        self.husks.clear();
    }

    /// Takes over a task of another batch, which has these bytes.
    pub(crate) fn adopt(&mut self, mut collected: Collected, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes.get(collected.bytes.clone()).unwrap_or_default());
        collected.bytes = start..self.bytes.len();
        self.collected.push(collected);
    }

    /// Takes out what a thread does next if there is more to do than that: what wakes others, or one task if the end of any
    /// runs code of users. `None`: the batch is done as a whole.
    pub(crate) fn take_part(&mut self) -> Option<Self> {
        let mut part = Self::default();
        if self.collected.len() + self.husks.len() < 2 || !self.has_listeners() {
            return None;
        }
        if !self.wakers.is_empty() || self.prepare.is_some() {
            part.wakers = std::mem::take(&mut self.wakers);
            part.prepare = self.prepare.take();
        } else if self.collected.is_empty() {
            part.husks.push(self.husks.remove(0));
        } else {
            let first = self.collected.remove(0);
            part.adopt(first, &self.bytes);
        }
        Some(part)
    }

    fn has_listeners(&self) -> bool {
        let mut entries = self.collected.iter().map(|collected| &collected.entry).chain(&self.husks);
        entries.any(|entry| entry.task.has_listeners())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.collected.is_empty() && self.husks.is_empty() && self.wakers.is_empty() && self.prepare.is_none()
    }
}
