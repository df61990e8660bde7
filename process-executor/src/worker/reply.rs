//! Replies: of a call as a whole, of a chunk item by item, each visible to the parent before the next begins.

use super::connection::Connection;
use super::messages::Messages;
use crate::buffer::Buffer;
use crate::carrier;
use crate::layout::{ATTACHED, BLOCK, BLOCKS, IN_BLOCK, IN_BUFFER, IN_MESSAGE, IN_SLOT, INLINE, Shared, Slot, TIMED};
use crate::message::Message;
use crate::parcel::{Contents, MOST_BYTES};
use crate::system;
use executor_core::CodecPhase;
use executor_core::remote::{Phase, Progress, VALUE, item_with_error, write_codec_error};
use std::sync::atomic::Ordering;

/// Tells nobody: for the initializer.
pub(super) struct Silent;

impl Progress for Silent {
    fn enter(&mut self, _: Phase) {}

    fn begin_item(&mut self) {}

    fn end_item(&mut self, _: &[u8]) -> bool {
        true
    }
}

/// Leaves text for the parent in the first reply block, before there are tasks; gives its length.
pub(super) fn write_first_block(shared: &Shared, bytes: &[u8]) -> u64 {
    let length = bytes.len().min(BLOCK);
    if let Some(block) = shared.reply_block(0) {
        // SAFETY: no reply was sent yet, so all reply blocks are this worker's.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), block.as_ptr(), length) };
    }
    length as u64
}

/// Where replies go: blocks are used in turn, each again once the parent has given it back.
pub(super) struct Replies<'a> {
    shared: &'a Shared,
    connection: &'a Connection,
    /// Blocks used so far, ever.
    used: u32,
    /// The buffers sent for the reply under way.
    sent: Vec<u64>,
}

impl<'a> Replies<'a> {
    pub(super) fn new(shared: &'a Shared, connection: &'a Connection) -> Self {
        Self { shared, connection, used: 0, sent: Vec::new() }
    }

    /// The next block's number, once it is free.
    fn block(&self) -> usize {
        let taken = &self.shared.head().replies_taken.0;
        let is_free = || self.used.wrapping_sub(taken.load(Ordering::SeqCst)) < BLOCKS as u32;
        while !is_free() {
            // The parent may sleep with results before it.
            ring(self.shared, self.connection);
            let asleep = &self.shared.head().asleep.0;
            asleep.store(1, Ordering::SeqCst);
            if !is_free() {
                system::sleep_while(asleep, 1, Some(std::time::Duration::from_millis(10)));
            }
            asleep.store(0, Ordering::SeqCst);
        }
        self.used as usize % BLOCKS
    }

    /// Copies bytes into a block, at a place where they fit.
    fn copy(&self, block: usize, offset: usize, bytes: &[u8]) {
        if let Some(start) = self.shared.reply_block(block) {
            debug_assert!(offset + bytes.len() <= BLOCK, "asked for before");
            // SAFETY: the block is this worker's, and all callers have checked that the bytes fit.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.as_ptr().add(offset), bytes.len()) };
        }
    }

    /// Leaves the reply of a call.
    pub(super) fn finish(&mut self, slot: &Slot, reply: &mut Vec<u8>) {
        self.send_buffers(slot);
        if reply.len() > BLOCK && !self.send_as_buffer(slot, reply) {
            reply.clear();
            write_codec_error(CodecPhase::EncodeResult, "no memory for so large a result", reply);
        }
        if reply.len() <= INLINE {
            slot.write(reply);
            slot.reply_place.store(IN_SLOT, Ordering::Relaxed);
        } else if reply.len() <= BLOCK {
            let block = self.block();
            self.copy(block, 0, reply);
            slot.reply_place.store(IN_BLOCK + block as u32, Ordering::Relaxed);
            self.used = self.used.wrapping_add(1);
        }
        slot.reply_length.store(reply.len() as u64, Ordering::Relaxed);
    }

    /// Says in the slot that the reply of a call comes as a message, and gives what that is to contain: bytes, or the number of
    /// the memory that they are in.
    pub(super) fn announce_message(
        &mut self,
        slot: &Slot,
        reply: &[u8],
        messages: &Messages,
    ) -> (Vec<u8>, Option<u64>) {
        if reply.first() != Some(&VALUE) {
            // What was noted of a value whose encoding failed.
            messages.begin_encoding();
        }
        self.send_buffers(slot);
        let buffer = (reply.len() > MOST_BYTES)
            .then(|| Buffer::build(reply.len(), |bytes| bytes.copy_from_slice(reply)))
            .transpose();
        slot.reply_place.store(IN_MESSAGE, Ordering::Relaxed);
        slot.reply_length.store(reply.len() as u64, Ordering::Relaxed);
        slot.write(&reply[..reply.len().min(1)]);
        match buffer {
            Ok(None) => (reply.to_vec(), None),
            Ok(Some(buffer)) => {
                self.send_buffer(&buffer);
                (Vec::new(), Some(buffer.id()))
            }
            Err(_) => {
                messages.begin_encoding();
                let mut error = Vec::new();
                write_codec_error(CodecPhase::EncodeResult, "no memory for so large a result", &mut error);
                slot.write(&error[..1]);
                (error, None)
            }
        }
    }

    /// The reply that was announced could not be sent; an error was.
    pub(super) fn announce_failure(&self, slot: &Slot) {
        let mut error = Vec::new();
        write_codec_error(CodecPhase::EncodeResult, "", &mut error);
        slot.write(&error[..1]);
    }

    /// Sends a reply in memory of its own.
    fn send_as_buffer(&self, slot: &Slot, reply: &[u8]) -> bool {
        let Ok(buffer) = Buffer::copy_of(reply) else { return false };
        self.send_buffer(&buffer);
        slot.write(&buffer.id().to_ne_bytes());
        slot.reply_place.store(IN_BUFFER, Ordering::Relaxed);
        true
    }

    fn send_buffer(&self, buffer: &Buffer) {
        self.connection.send(Message::Buffer { id: buffer.id(), length: buffer.length() }, Some(buffer.file()));
    }

    /// Sends the buffers that the result contains, each once for a reply.
    fn send_buffers(&mut self, slot: &Slot) {
        for buffer in carrier::take_noted() {
            if !self.sent.contains(&buffer.id()) {
                self.sent.push(buffer.id());
                self.send_buffer(&buffer);
                slot.flags.fetch_or(ATTACHED, Ordering::Relaxed);
            }
        }
    }
}

/// So many outcomes of a chunk are counted before what that has noted is forgotten; ipc-channel bears 64.
const MOST_COUNTED: usize = 32;

/// The outcome of an item that cannot come back, framed as items are.
fn refused_item() -> Vec<u8> {
    let text = "channels of ipc-channel do not travel in the results of map; submit tasks of their own";
    item_with_error(CodecPhase::EncodeResult, text)
}

/// Wakes the parent if it sleeps.
pub(super) fn ring(shared: &Shared, connection: &Connection) {
    let bell = &shared.head().bell.0;
    if bell.load(Ordering::SeqCst) != 0 && bell.swap(0, Ordering::SeqCst) != 0 {
        connection.send(Message::Bell, None);
    }
}

/// The progress of one task.
pub(super) struct Running<'a, 'b> {
    replies: &'b mut Replies<'a>,
    slot: &'b Slot,
    timed: bool,
    /// The message that the input came in.
    message: Option<(&'b Messages, &'b Contents<'b>)>,
    /// Outcomes since noted channels were last forgotten.
    counted: usize,
    /// The block that a chunk's outcomes go to, and how many bytes are in it.
    block: Option<(usize, usize)>,
    /// All outcomes, once one did not fit into the block.
    overflow: Option<Vec<u8>>,
}

impl<'a, 'b> Running<'a, 'b> {
    pub(super) fn new(
        replies: &'b mut Replies<'a>,
        slot: &'b Slot,
        message: Option<(&'b Messages, &'b Contents<'b>)>,
    ) -> Self {
        let timed = slot.flags.load(Ordering::Relaxed) & TIMED != 0;
        replies.sent.clear();
        Self { replies, slot, timed, message, counted: 0, block: None, overflow: None }
    }

    /// Whether it is a chunk, whose outcomes were left one by one.
    pub(super) fn has_items(&self) -> bool {
        self.block.is_some()
    }

    /// Whether the outcome of an item contains channels, which would not come along.
    fn has_channels(&mut self) -> bool {
        let Some((messages, _)) = self.message else { return false };
        // Counting notes a channel itself.
        let found = messages.count_channels() != self.counted;
        self.counted += 1;
        if found || self.counted == MOST_COUNTED {
            messages.begin_encoding();
            self.counted = 0;
        }
        found
    }

    fn note_time(&self) {
        if self.timed {
            self.slot.begun.store(system::monotonic_nanoseconds(), Ordering::Release);
        }
    }

    /// The task is over: leaves what is not left yet.
    pub(super) fn finish(self, reply: &mut Vec<u8>) {
        match (self.overflow, self.block) {
            (Some(outcomes), _) => {
                self.replies.send_buffers(self.slot);
                if self.replies.send_as_buffer(self.slot, &outcomes) {
                    self.slot.reply_length.store(outcomes.len() as u64, Ordering::Relaxed);
                    self.slot.items.fetch_add(1, Ordering::Relaxed);
                } else if self.block.is_some() {
                    self.replies.used = self.replies.used.wrapping_add(1);
                }
            }
            (None, Some(_)) => self.replies.used = self.replies.used.wrapping_add(1),
            (None, None) => self.replies.finish(self.slot, reply),
        }
    }

    /// All outcomes so far and one more, for a buffer.
    fn overflow_with(&self, block: usize, used: usize, outcome: &[u8]) -> Vec<u8> {
        let mut outcomes = Vec::with_capacity(used + outcome.len());
        if let Some(start) = self.replies.shared.reply_block(block) {
            // SAFETY: `used` bytes of this worker's block, which it has written.
            outcomes.extend_from_slice(unsafe { std::slice::from_raw_parts(start.as_ptr(), used) });
        }
        outcomes.extend_from_slice(outcome);
        outcomes
    }
}

impl Progress for Running<'_, '_> {
    fn enter(&mut self, phase: Phase) {
        self.slot.phase.store(phase as u32, Ordering::Relaxed);
        if phase != Phase::Encoding {
            self.note_time();
        }
        if let Some((messages, contents)) = self.message {
            match phase {
                Phase::Decoding => {}
                // Before the function runs, which may receive messages of its own.
                Phase::Running => {
                    contents.close_rest();
                    messages.begin_encoding();
                }
                Phase::Encoding => messages.begin_encoding(),
            }
        }
    }

    fn begin_item(&mut self) {
        self.note_time();
    }

    fn end_item(&mut self, outcome: &[u8]) -> bool {
        let refusal;
        let outcome = if self.has_channels() {
            refusal = refused_item();
            &refusal
        } else {
            outcome
        };
        let (block, used) = match self.block {
            Some(place) => place,
            None => {
                let block = self.replies.block();
                self.slot.reply_place.store(IN_BLOCK + block as u32, Ordering::Relaxed);
                (block, 0)
            }
        };
        self.block = Some((block, used));
        if used + outcome.len() > BLOCK {
            self.overflow = Some(self.overflow_with(block, used, outcome));
            return false;
        }
        self.replies.send_buffers(self.slot);
        self.replies.copy(block, used, outcome);
        self.block = Some((block, used + outcome.len()));
        self.slot.reply_length.store((used + outcome.len()) as u64, Ordering::Relaxed);
        // ORDERING: Release: who sees the number sees so many outcomes, whatever becomes of this process.
        self.slot.items.store(self.slot.items.load(Ordering::Relaxed) + 1, Ordering::Release);
        true
    }
}
