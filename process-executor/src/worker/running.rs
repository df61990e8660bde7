//! One task in the worker: where its reply is written, and how the parent sees it grow.
//!
//! The reply of a call is written to scratch and published when it is whole; what is more than a block holds goes on to memory
//! of its own bit by bit. The outcomes of a chunk are written where they stay, in a block, each visible to the parent before
//! the next item begins.

use super::passage::Passage;
use super::reply::Replies;
use crate::protocol::layout::{BLOCK, IN_BLOCK, Slot, TIMED, shortened};
use executor_core::CodecPhase;
use executor_core::fork::Origin;
use executor_core::remote::{Memory, Output, Pace, Phase, Progress, Window, refuse_item};
use process_core::memory::{Buffer, Spill};
use process_core::system;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Ends a process that a task forked and that came out of the task like its parent, the worker: only that one may touch what it
/// shares with the pool. Its output is the worker's, too, which has yet to write it.
pub(crate) fn leave_if_forked(worker: &Origin) {
    if !worker.is_here() {
        // SAFETY: what is registered for the end of a process is the worker's.
        unsafe { libc::_exit(0) }
    }
}

/// The progress of the initializer, which is told to nobody.
pub(super) struct Silent(pub(super) Origin);

impl Progress for Silent {
    fn enter(&mut self, _: Phase) {}

    fn returned(&mut self) {
        leave_if_forked(&self.0);
    }

    fn begin_items(&mut self) {}

    fn begin_item(&mut self) {}

    fn end_item(&mut self, _: &mut Output<'_>) -> bool {
        true
    }
}

/// Where the next byte of the reply goes.
#[derive(Clone, Copy)]
enum ReplyPlace {
    Scratch,
    /// A block, as soon as there is a window in one.
    NextBlock,
    Block(usize),
    /// Scratch, with all that was in the block, which had no room for one outcome more.
    Overflow,
}

/// A task that runs.
pub(super) struct Running<'a, P> {
    replies: &'a Replies<'a>,
    slot: &'a Slot,
    passage: &'a P,
    place: Cell<ReplyPlace>,
    /// What is more than a block holds, but for the end in scratch.
    spill: RefCell<Spill>,
    /// Outcomes of a chunk that the parent can see, and their bytes.
    items: Cell<u32>,
    visible: Cell<usize>,
    /// The reply was left before the result was dropped.
    is_left: Cell<bool>,
    /// Of a chunk: when its rest is to go back.
    pace: Cell<Option<Pace>>,
}

impl<'a, P: Passage> Running<'a, P> {
    pub(super) fn new(replies: &'a Replies<'a>, slot: &'a Slot, passage: &'a P) -> Self {
        let (spill, items, visible, is_left, pace) = Default::default();
        let place = Cell::new(ReplyPlace::Scratch);
        Self { replies, slot, passage, place, spill, items, visible, is_left, pace }
    }

    /// Returns whether it matters when an item begins.
    pub(super) fn is_timed(&self) -> bool {
        self.slot.flags.load(Ordering::Relaxed) & TIMED != 0
    }

    /// Returns whether it is a chunk, whose outcomes were published one by one.
    pub(super) fn has_items(&self) -> bool {
        !matches!(self.place.get(), ReplyPlace::Scratch)
    }

    /// Publishes the rest of the reply, after the task is over and its output closed.
    pub(super) fn finish(self) {
        if self.is_left.get() {
            return;
        }
        let scratch = self.replies.scratch.borrow();
        match self.place.get() {
            ReplyPlace::Scratch => self.finish_call(&scratch),
            ReplyPlace::NextBlock => {}
            ReplyPlace::Block(_) => self.replies.leave_block(),
            ReplyPlace::Overflow => {
                self.replies.send_buffers(self.slot);
                match Buffer::copy_of(&scratch) {
                    Ok(buffer) => {
                        self.replies.leave_buffer(self.slot, &buffer);
                        self.slot.items.store(self.items.get() + 1, Ordering::Relaxed);
                    }
                    // What was visible still is, in the block.
                    Err(_) => self.replies.leave_block(),
                }
            }
        }
    }

    fn finish_call(&self, scratch: &[u8]) {
        self.replies.send_buffers(self.slot);
        let buffer = match self.spill.take().finish(scratch) {
            Ok(None) if scratch.len() <= BLOCK => return self.replies.leave(self.slot, scratch),
            Ok(None) => Buffer::copy_of(scratch),
            Ok(Some(buffer)) => Ok(buffer),
            Err(error) => Err(error),
        };
        match buffer {
            Ok(buffer) => self.replies.leave_buffer(self.slot, &buffer),
            Err(error) => self.replies.leave_refusal(self.slot, &error),
        }
    }

    /// Returns whether the rest of the chunk goes back to the parent, because other workers have nothing to do and it takes long.
    fn gives_rest_back(&self) -> bool {
        if !self.replies.are_rests_wanted() {
            return false;
        }
        let Some(mut pace) = self.pace.get() else { return false };
        let is_due = pace.is_due(|| true);
        self.pace.set(Some(pace));
        is_due
    }

    fn note_time(&self) {
        if self.is_timed() {
            // ORDERING: Release, with the Acquire in `Ring::running`: the item before it is counted.
            self.slot.begun.store(system::monotonic_nanoseconds(), Ordering::Release);
        }
    }

    /// Returns whether a reply of that length goes on to memory of its own.
    fn spills(&self, length: usize) -> bool {
        matches!(self.place.get(), ReplyPlace::Scratch) && !P::SENDS_REPLY && length > BLOCK
    }
}

// SAFETY: windows are scratch, which stays where it is until it is asked for more, or a block that is this worker's alone
// until it is left. Both outlive the task's output, and nobody else writes there meanwhile.
unsafe impl<P: Passage> Memory for &Running<'_, P> {
    fn open(&mut self) -> Window {
        let mut scratch = self.replies.scratch.borrow_mut();
        scratch.clear();
        scratch.open()
    }

    fn grow(&mut self, used: usize, least: usize, may_go: bool) -> Option<Window> {
        let mut scratch = self.replies.scratch.borrow_mut();
        if let ReplyPlace::Block(block) = self.place.get() {
            let start = self.replies.start_of(block)?;
            scratch.clear();
            scratch.try_reserve(used + least).ok()?;
            // SAFETY: `used` bytes of this worker's block, which it has written.
            scratch.extend_from_slice(unsafe { std::slice::from_raw_parts(start.as_ptr(), used) });
            self.place.set(ReplyPlace::Overflow);
            return scratch_window(&mut scratch, least);
        }
        scratch.close(used);
        if may_go && self.spills(used + least) {
            self.spill.borrow_mut().take(&mut scratch, &[]);
        }
        scratch_window(&mut scratch, least)
    }

    fn take(&mut self, used: usize, bytes: &[u8]) -> Option<Window> {
        if !self.spills(used + bytes.len()) {
            return None;
        }
        let mut scratch = self.replies.scratch.borrow_mut();
        scratch.close(used);
        self.spill.borrow_mut().take(&mut scratch, bytes).then(|| scratch.open())
    }

    fn restart(&mut self) -> Window {
        if matches!(self.place.get(), ReplyPlace::NextBlock) {
            let block = self.replies.block();
            if let Some(start) = self.replies.start_of(block) {
                self.slot.reply_place.store(IN_BLOCK + block as u32, Ordering::Relaxed);
                self.place.set(ReplyPlace::Block(block));
                return Window { start, used: 0, capacity: BLOCK };
            }
        }
        self.spill.take();
        self.open()
    }

    fn close(&mut self, used: usize) {
        if matches!(self.place.get(), ReplyPlace::Scratch | ReplyPlace::Overflow) {
            self.replies.scratch.borrow_mut().close(used);
        }
    }
}

impl<P: Passage> Progress for &Running<'_, P> {
    fn enter(&mut self, phase: Phase) {
        self.slot.phase.store(phase as u32, Ordering::Relaxed);
        if phase != Phase::Encoding {
            self.note_time();
        }
        self.passage.enter(phase);
    }

    fn returned(&mut self) {
        leave_if_forked(&self.replies.worker);
    }

    fn begin_items(&mut self) {
        self.place.set(ReplyPlace::NextBlock);
        self.pace.set(Some(Pace::new(Instant::now())));
    }

    fn begin_item(&mut self) {
        self.note_time();
    }

    fn end_item(&mut self, output: &mut Output<'_>) -> bool {
        // A value's own code may fork, too, as it is encoded or dropped.
        leave_if_forked(&self.replies.worker);
        if let Some(text) = self.passage.refuse_item() {
            refuse_item(self.visible.get(), CodecPhase::EncodeResult, text, output);
        }
        if !matches!(self.place.get(), ReplyPlace::Block(_)) {
            return false;
        }
        self.replies.send_buffers(self.slot);
        self.visible.set(output.len());
        self.items.set(self.items.get() + 1);
        self.slot.reply_length.store(shortened(output.len()), Ordering::Relaxed);
        // ORDERING: Release, with the Acquire in `Ring::read_reply`: whatever becomes of this process, that many outcomes are whole.
        self.slot.items.store(self.items.get(), Ordering::Release);
        !self.gives_rest_back()
    }

    fn sends_later(&self) -> bool {
        P::SENDS_REPLY
    }

    fn drop_later(&mut self, result: Box<dyn Any>) {
        self.replies.kept.replace(Some(result));
    }

    fn begin_drop(&mut self, output: &mut Output<'_>) {
        match self.place.get() {
            // It was left as an item.
            ReplyPlace::NextBlock | ReplyPlace::Block(_) => {}
            ReplyPlace::Scratch => {
                output.settle();
                self.finish_call(&self.replies.scratch.borrow());
                self.is_left.set(true);
            }
            // It is moved to memory of its own when the task is over.
            ReplyPlace::Overflow => return,
        }
        // ORDERING: Release, with the Acquire in `Ring::drain_dead`, when this process is dead: the reply is whole.
        self.slot.phase.store(Phase::Dropping as u32, Ordering::Release);
    }

    fn end_drop(&mut self) {
        leave_if_forked(&self.replies.worker);
        self.slot.phase.store(Phase::Running as u32, Ordering::Relaxed);
    }
}

fn scratch_window(scratch: &mut Vec<u8>, least: usize) -> Option<Window> {
    scratch.try_reserve(least).ok()?;
    Some(scratch.open())
}
