//! Replies on their way to the parent: in the slot, in a block, or in memory of their own.

use super::connection::Connection;
use crate::protocol::attachments;
use crate::protocol::layout::{ATTACHED, BLOCK, BLOCKS, IN_BLOCK, IN_BUFFER, IN_SLOT, INLINE, Shared, Slot, shortened};
use crate::protocol::message::Message;
use executor_core::CodecPhase;
use executor_core::fork::Origin;
use executor_core::remote::{Output, write_codec_error};
use process_core::memory::Buffer;
use process_core::waking::{LISTENED, QUIET};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Leaves text for the parent in the first reply block, before there are tasks. Returns its length.
pub(super) fn write_first_block(shared: &Shared, bytes: &[u8]) -> u64 {
    let length = bytes.len().min(BLOCK);
    if let Some(block) = shared.reply_block(0) {
        // SAFETY: no reply was sent yet, so all reply blocks are this worker's.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), block.as_ptr(), length) };
    }
    length as u64
}

/// Where replies go: blocks are used in turn, each again once the parent has given it back.
pub(crate) struct Replies<'a> {
    shared: &'a Shared,
    connection: &'a Connection,
    /// The process that replies.
    pub(crate) worker: Origin,
    /// Blocks used so far, ever.
    used: Cell<u32>,
    /// The number of the slot that the reply under way is for.
    number: Cell<u64>,
    /// The buffers sent for it.
    sent: RefCell<Vec<u64>>,
    /// The result whose reply is sent next, to be dropped after that.
    pub(crate) kept: RefCell<Option<Box<dyn Any>>>,
    /// Where replies are written that may be small, or large: kept for the next.
    pub(crate) scratch: RefCell<Vec<u8>>,
}

/// How often a worker with no free block checks whether one is free.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Writes the error for a result that nothing can hold.
pub(crate) fn write_no_memory(error: &io::Error, bytes: &mut Vec<u8>) {
    let text = format!("no memory for so large a result: {error}");
    write_codec_error(CodecPhase::EncodeResult, &text, &mut Output::new(bytes));
}

impl<'a> Replies<'a> {
    pub(super) fn new(shared: &'a Shared, connection: &'a Connection) -> Self {
        let (used, number, sent, kept, scratch) = Default::default();
        Self { shared, connection, worker: Origin::here(), used, number, sent, kept, scratch }
    }

    /// Begins the reply of the task in the slot of that number.
    #[inline]
    pub(super) fn begin(&self, number: u64) {
        self.number.set(number);
        self.sent.borrow_mut().clear();
    }

    /// Returns whether the rest of a chunk that takes long is to go back to the parent.
    pub(super) fn are_rests_wanted(&self) -> bool {
        self.shared.rests_wanted().load(Ordering::Relaxed) != 0
    }

    /// Returns the next block, once it is free.
    pub(super) fn block(&self) -> usize {
        let taken = self.shared.replies_taken();
        // ORDERING: Acquire, with the Release in `Ring::give_reply_block_back`: the parent has copied the block.
        let is_free = || self.used.get().wrapping_sub(taken.load(Ordering::Acquire)) < BLOCKS as u32;
        if !is_free() {
            self.shared.asleep().sleep_until(Some(LOOK_AGAIN), || {
                // The parent may sleep with results before it.
                notify_parent(self.shared, self.connection);
                is_free().then_some(())
            });
        }
        self.used.get() as usize % BLOCKS
    }

    /// Returns where a block begins.
    pub(super) fn start_of(&self, block: usize) -> Option<NonNull<u8>> {
        self.shared.reply_block(block)
    }

    /// Hands the block to the parent.
    pub(super) fn leave_block(&self) {
        self.used.set(self.used.get().wrapping_add(1));
    }

    /// Leaves the reply of a call that is no longer than a block.
    pub(super) fn leave(&self, slot: &Slot, reply: &[u8]) {
        if reply.len() <= INLINE {
            slot.write(reply);
            slot.reply_place.store(IN_SLOT, Ordering::Relaxed);
        } else {
            let block = self.block();
            if let Some(start) = self.start_of(block) {
                let length = reply.len().min(BLOCK);
                // SAFETY: the block is this worker's, and as long.
                unsafe { std::ptr::copy_nonoverlapping(reply.as_ptr(), start.as_ptr(), length) };
            }
            slot.reply_place.store(IN_BLOCK + block as u32, Ordering::Relaxed);
            self.leave_block();
        }
        slot.reply_length.store(shortened(reply.len()), Ordering::Relaxed);
    }

    /// Leaves a reply in memory of its own.
    pub(super) fn leave_buffer(&self, slot: &Slot, buffer: &Buffer) {
        self.send_buffer(buffer);
        slot.write(&buffer.id().to_ne_bytes());
        slot.reply_place.store(IN_BUFFER, Ordering::Relaxed);
        slot.reply_length.store(shortened(buffer.bytes().len()), Ordering::Relaxed);
    }

    /// Leaves word that there is no memory for the reply.
    pub(super) fn leave_refusal(&self, slot: &Slot, error: &io::Error) {
        let mut bytes = Vec::new();
        write_no_memory(error, &mut bytes);
        self.leave(slot, &bytes);
    }

    pub(crate) fn send_buffer(&self, buffer: &Buffer) {
        let message = Message::Buffer { id: buffer.id(), length: buffer.length(), reply: self.number.get() };
        self.connection.send(message, Some(buffer.file()));
    }

    /// Sends the buffers that the result contains, each once for a reply.
    #[inline]
    pub(crate) fn send_buffers(&self, slot: &Slot) {
        if attachments::has_noted() {
            self.send_noted(slot);
        }
    }

    #[cold]
    fn send_noted(&self, slot: &Slot) {
        for buffer in attachments::take_noted() {
            let is_new = !self.sent.borrow().contains(&buffer.id());
            if is_new {
                self.sent.borrow_mut().push(buffer.id());
                self.send_buffer(&buffer);
                slot.flags.fetch_or(ATTACHED, Ordering::Relaxed);
            }
        }
    }
}

/// Wakes the parent if it sleeps.
pub(super) fn notify_parent(shared: &Shared, connection: &Connection) {
    let bell = shared.bell();
    match bell.take() {
        QUIET => {}
        LISTENED => connection.wake_listener(bell),
        _ => connection.send(Message::Doorbell, None),
    }
}
