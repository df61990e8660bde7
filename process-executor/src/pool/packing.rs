//! An input while it is being encoded: the first few bytes need no allocation, and what is more than a block holds goes to shared
//! memory bit by bit, if a worker could have it soon.

use super::Pool;
use crate::dispatch::entry::Payload;
use crate::protocol::layout::BLOCK;
use executor_core::remote::{Memory, Window};
use process_core::memory::Spill;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

/// As many bytes are kept without an allocation while they are encoded.
const FEW: usize = 64;
/// The first allocation, for more.
const FIRST: usize = 512;

/// Where an input is encoded.
pub(super) struct Packing<'p> {
    pool: &'p Pool,
    few: [u8; FEW],
    /// How many of `few` are written; `None`: all bytes are in `bytes`, except those that spilled.
    few_used: Option<usize>,
    bytes: Vec<u8>,
    spill: Spill,
}

impl<'p> Packing<'p> {
    pub(super) fn new(pool: &'p Pool) -> Self {
        Self { pool, few: [0; FEW], few_used: Some(0), bytes: Vec::new(), spill: Spill::default() }
    }

    /// Returns what was encoded, once the output is closed. The error: there is no shared memory for it.
    pub(super) fn finish(self) -> io::Result<Payload> {
        if let Some(used) = self.few_used {
            return Ok(Payload::of_few(&self.few, used));
        }
        let mut bytes = self.bytes;
        Ok(match self.spill.finish(&bytes)? {
            Some(buffer) => Payload::Buffer(Arc::new(buffer)),
            None => {
                bytes.shrink_to_fit();
                Payload::Bytes(bytes)
            }
        })
    }

    /// Goes on in an allocation, for `most` bytes in all.
    fn leave_few(&mut self, most: usize) -> Option<()> {
        let Some(used) = self.few_used else { return Some(()) };
        self.bytes.try_reserve(most.max(FIRST)).ok()?;
        self.bytes.extend_from_slice(&self.few[..used]);
        self.few_used = None;
        Some(())
    }

    fn spills(&self, length: usize) -> bool {
        length > BLOCK && self.pool.is_ready_for_large_input()
    }
}

// SAFETY: windows are `few`, which cannot move while the output has this borrowed, or the vector's memory, which stays where
// it is until the vector is asked for more.
unsafe impl Memory for Packing<'_> {
    fn open(&mut self) -> Window {
        Window { start: NonNull::from(&mut self.few).cast(), used: 0, capacity: FEW }
    }

    fn grow(&mut self, used: usize, least: usize, may_go: bool) -> Option<Window> {
        self.close(used);
        self.leave_few(used + least)?;
        if may_go && self.spills(used + least) {
            self.spill.take(&mut self.bytes, &[]);
        }
        self.bytes.try_reserve(least).ok()?;
        Some(self.bytes.open())
    }

    fn take(&mut self, used: usize, bytes: &[u8]) -> Option<Window> {
        if !self.spills(used + bytes.len()) {
            return None;
        }
        self.close(used);
        self.leave_few(FIRST)?;
        self.spill.take(&mut self.bytes, bytes).then(|| self.bytes.open())
    }

    fn restart(&mut self) -> Window {
        self.spill = Spill::default();
        self.bytes.clear();
        self.few_used = Some(0);
        self.open()
    }

    fn close(&mut self, used: usize) {
        match &mut self.few_used {
            Some(few_used) => *few_used = used,
            None => self.bytes.close(used),
        }
    }
}
