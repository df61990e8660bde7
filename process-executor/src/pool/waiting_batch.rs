//! A batch on its way through the callback threads.

use crate::dispatch::batch::{Batch, Collected};
use crate::dispatch::entry::Entry;
use std::collections::VecDeque;
use std::task::Waker;

/// A batch that threads take part by part, from the front.
#[derive(Debug)]
pub(super) struct WaitingBatch {
    bytes: Vec<u8>,
    collected: VecDeque<Collected>,
    tombstones: VecDeque<Entry>,
    wakers: Vec<Waker>,
    prepare: Option<Entry>,
}

impl WaitingBatch {
    pub(super) fn new(batch: Batch) -> Self {
        let Batch { bytes, collected, tombstones, wakers, prepare } = batch;
        Self { bytes, collected: collected.into(), tombstones: tombstones.into(), wakers, prepare }
    }

    /// Takes what one thread does next: what wakes others, or tasks up to the first whose end runs code of users. If no task's
    /// does, all that is left.
    pub(super) fn take_part(&mut self) -> Batch {
        let Some(last) = self.collected.iter().position(|collected| collected.entry.task.has_listeners()) else {
            return self.take_part_of_tombstones();
        };
        self.take_wakes().unwrap_or_else(|| {
            let mut part = Batch::default();
            for collected in self.collected.drain(..=last) {
                part.adopt(collected, &self.bytes);
            }
            part
        })
    }

    /// Takes the same, when no task that was collected runs code of users.
    fn take_part_of_tombstones(&mut self) -> Batch {
        let Some(last) = self.tombstones.iter().position(|tombstone| tombstone.task.has_listeners()) else {
            return self.take_rest();
        };
        self.take_wakes().unwrap_or_else(|| {
            let mut part = Batch::default();
            if self.collected.is_empty() {
                part.tombstones.extend(self.tombstones.drain(..=last));
            } else {
                part.bytes = std::mem::take(&mut self.bytes);
                part.collected = std::mem::take(&mut self.collected).into();
            }
            part
        })
    }

    /// Takes what wakes others, if there is any.
    fn take_wakes(&mut self) -> Option<Batch> {
        let has_some = !self.wakers.is_empty() || self.prepare.is_some();
        let (wakers, prepare) = (&mut self.wakers, &mut self.prepare);
        has_some.then(|| Batch { wakers: std::mem::take(wakers), prepare: prepare.take(), ..Batch::default() })
    }

    /// Takes all that is left.
    pub(super) fn take_rest(&mut self) -> Batch {
        Batch {
            bytes: std::mem::take(&mut self.bytes),
            collected: std::mem::take(&mut self.collected).into(),
            tombstones: std::mem::take(&mut self.tombstones).into(),
            wakers: std::mem::take(&mut self.wakers),
            prepare: self.prepare.take(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let no_tasks = self.collected.is_empty() && self.tombstones.is_empty();
        no_tasks && self.wakers.is_empty() && self.prepare.is_none()
    }
}
