//! The transport of ipc-channel, in the worker: inputs come in as messages, and the replies of calls go out as such.

use super::message::{
    Contents, MOST_BYTES, Message, NotReceived, NotSent, Outgoing, Sender, receive, receiver_at, sender_at,
};
use crate::protocol::layout::{LastWord, QUEUED, RELAYED, Slot, shortened};
use crate::worker::ending::end_group;
use crate::worker::passage::Passage;
use crate::worker::reply::{Replies, write_no_memory};
use crate::worker::running::leave_if_forked;
use crate::worker::tasks::{TaskLoop, Transport, missing};
use executor_core::CodecPhase;
use executor_core::remote::{Output, Phase, is_value, serializing_once, write_codec_error};
use executor_core::task::contain;
use ipc_channel::ipc::IpcReceiver;
use process_core::memory::Buffer;
use rustix::fd::OwnedFd;
use std::cell::Cell;
use std::io;
use std::sync::atomic::Ordering;

/// So many outcomes of a chunk are counted before the channels that this notes are forgotten; ipc-channel bears 64.
const MOST_COUNTED: usize = 32;

/// The worker's ends of its two channels.
pub(crate) struct IpcChannel {
    inputs: IpcReceiver<Message>,
    replies: Sender,
    /// How many replies were sent as messages.
    sent: Cell<u64>,
}

impl Transport for IpcChannel {
    fn open(ends: Vec<OwnedFd>) -> io::Result<Self> {
        let [inputs, replies]: [OwnedFd; 2] =
            ends.try_into().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let replies = Sender::new(sender_at(&replies)?)?;
        Ok(Self { inputs: receiver_at(&inputs)?, replies, sent: Cell::new(0) })
    }

    /// Decodes the input while it is received, and encodes the reply while that is sent, since only then can channels be in
    /// them.
    fn run_task(&self, tasks: &mut TaskLoop<'_, Self>, slot: &Slot) {
        let failed = self.reply(tasks, &mut |tasks| {
            let mut opened = false;
            let mut sends = true;
            let received = receive(&self.inputs, &mut |contents| {
                opened = true;
                sends = self.run_contents(tasks, slot, contents);
            });
            match received {
                Err(NotReceived::Gone) => {
                    // A task has closed this process's descriptors: this task has not begun, and runs elsewhere.
                    // ORDERING: SeqCst, with the swap of `Ring::revoke`, by which the parent takes it back when this process is dead.
                    slot.state.store(QUEUED, Ordering::SeqCst);
                    end_group(tasks.shared, LastWord::Disconnected)
                }
                _ if !opened => refuse_argument(
                    &tasks.replies,
                    "the message with it could not be taken in: it was not as ipc-channel writes them, or there are no \
                     descriptors left",
                ),
                _ => {}
            }
            sends.then(|| {
                self.sent.set(self.sent.get() + 1);
                self.announce(slot, &tasks.replies)
            })
        });
        if failed {
            announce_failure(slot);
        }
        drop_kept(&tasks.replies, slot);
    }
}

/// What a message with a reply contains: its bytes, or the number of the memory that they are in.
type Packed = (Vec<u8>, Option<u64>);

impl IpcChannel {
    /// Sends the reply that `pack` returns, if it returns one. The result is to be encoded within `pack`. Returns whether an
    /// error was sent instead, because the reply could not be.
    fn reply(
        &self,
        tasks: &mut TaskLoop<'_, Self>,
        pack: &mut dyn FnMut(&mut TaskLoop<'_, Self>) -> Option<Packed>,
    ) -> bool {
        let number = self.sent.get();
        let outgoing = |bytes, buffer| {
            let channels = Some(self.replies.count_channels());
            Outgoing { number, bytes, buffer, again: false, channels }
        };
        let sent = self.replies.send(&mut || pack(tasks).map(|(bytes, buffer)| outgoing(bytes, buffer)));
        let Err(NotSent::Refused(text)) = sent else { return false };
        let mut bytes = Vec::new();
        write_codec_error(CodecPhase::EncodeResult, &text, &mut Output::new(&mut bytes));
        let mut error = Some(bytes);
        let sent = self.replies.send(&mut || error.take().map(|bytes| outgoing(bytes, None)));
        if sent.is_err() {
            // Replies would be taken for those of other tasks from now on.
            end_group(tasks.shared, LastWord::Disconnected);
        }
        true
    }

    /// Says in the slot that the reply of a call, which is in scratch, comes as a message. Returns what that contains.
    fn announce(&self, slot: &Slot, replies: &Replies<'_>) -> Packed {
        let reply = replies.scratch.borrow();
        if !is_value(&reply) {
            // Of a value whose encoding failed, its channels were noted.
            self.forget_channels();
        }
        replies.send_buffers(slot);
        let buffer = (reply.len() > MOST_BYTES)
            .then(|| Buffer::build(reply.len(), |bytes| bytes.copy_from_slice(&reply)))
            .transpose();
        slot.reply_place.store(RELAYED, Ordering::Relaxed);
        slot.reply_length.store(shortened(reply.len()), Ordering::Relaxed);
        slot.write(&reply[..reply.len().min(1)]);
        match buffer {
            Ok(None) => (reply.to_vec(), None),
            Ok(Some(buffer)) => {
                replies.send_buffer(&buffer);
                (Vec::new(), Some(buffer.id()))
            }
            Err(error) => {
                self.forget_channels();
                let mut bytes = Vec::new();
                write_no_memory(&error, &mut bytes);
                slot.write(&bytes[..1]);
                (bytes, None)
            }
        }
    }

    /// Forgets the channels that were noted so far: what is encoded from now on is the reply.
    fn forget_channels(&self) {
        self.replies.throw_away();
    }

    /// Runs the task with the contents of a message. Returns whether its reply is to be sent as a message; else its outcomes are in
    /// the reply block.
    fn run_contents(&self, tasks: &mut TaskLoop<'_, Self>, slot: &Slot, contents: &Contents<'_>) -> bool {
        slot.phase.store(Phase::Decoding as u32, Ordering::Relaxed);
        let buffer = contents.buffer.map(|id| tasks.connection.buffer(id).map_err(|reason| missing(&reason)));
        let input = match &buffer {
            Some(Ok(buffer)) => Ok(buffer.bytes()),
            Some(Err(text)) => Err(text.as_str()),
            None => Ok(contents.bytes),
        };
        let passage = InMessage { replies: &self.replies, contents, counted: Cell::new(0) };
        let sends = serializing_once(|| tasks.run_input(slot, input, &passage));
        if slot.phase.load(Ordering::Relaxed) == Phase::Decoding as u32 {
            contents.close_rest();
            if contents.again {
                let text = "what it has of ipc-channel went with the worker that died; such a task cannot run again";
                refuse_argument(&tasks.replies, text);
            }
        }
        sends
    }
}

/// Replaces the reply in scratch: the argument of the task cannot be used.
fn refuse_argument(replies: &Replies<'_>, text: &str) {
    let mut scratch = replies.scratch.borrow_mut();
    scratch.clear();
    write_codec_error(CodecPhase::DecodeArgument, text, &mut Output::new(&mut *scratch));
}

/// Says in the slot that the reply that was announced is an error now.
fn announce_failure(slot: &Slot) {
    let mut error = Vec::new();
    write_codec_error(CodecPhase::EncodeResult, "", &mut Output::new(&mut error));
    slot.write(&error[..1]);
}

/// Drops the result whose reply was sent as a message, if it has a destructor: whatever that does, the reply counts.
fn drop_kept(replies: &Replies<'_>, slot: &Slot) {
    let Some(result) = replies.kept.take() else { return };
    // ORDERING: Release, with the Acquire in `Ring::drain_dead`, when this process is dead: the reply is whole.
    slot.phase.store(Phase::Dropping as u32, Ordering::Release);
    // The destructor is user code; its panic changes nothing any more.
    let _ = contain(|| drop(result));
    leave_if_forked(&replies.worker);
    slot.phase.store(Phase::Running as u32, Ordering::Relaxed);
}

/// A task whose input came in a message.
struct InMessage<'a> {
    replies: &'a Sender,
    contents: &'a Contents<'a>,
    /// Outcomes since noted channels were last forgotten.
    counted: Cell<usize>,
}

impl Passage for InMessage<'_> {
    const SENDS_REPLY: bool = true;

    fn enter(&self, phase: Phase) {
        match phase {
            Phase::Decoding | Phase::Dropping => {}
            // Before the function runs, which may receive messages of its own.
            Phase::Running => {
                self.contents.close_rest();
                self.replies.throw_away();
            }
            Phase::Encoding => self.replies.throw_away(),
        }
    }

    /// Channels in the outcome of an item would not come along.
    fn refuse_item(&self) -> Option<&'static str> {
        // Counting notes a channel itself.
        let found = self.replies.count_channels() != self.counted.get();
        self.counted.set(self.counted.get() + 1);
        if found || self.counted.get() == MOST_COUNTED {
            self.replies.throw_away();
            self.counted.set(0);
        }
        found.then_some("channels of ipc-channel do not travel in a chunk of map; give it chunk_size(1)")
    }
}
