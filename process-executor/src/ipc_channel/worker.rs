//! The worker's ends of the channels of ipc-channel: inputs come in as messages, replies go out as such.

use crate::ipc_channel::message::{self, Contents, NotReceived, NotSent, Packed, Parcel, Sender};
use crate::protocol::layout::{LastWord, Shared};
use crate::worker::end_group;
use executor_core::CodecPhase;
use executor_core::remote::{Output, write_codec_error};
use ipc_channel::ipc::IpcReceiver;
use rustix::fd::OwnedFd;
use std::io;

pub(crate) struct Messages {
    inputs: IpcReceiver<Parcel>,
    replies: Sender,
}

impl Messages {
    pub(crate) fn new(inputs: &OwnedFd, replies: &OwnedFd) -> io::Result<Self> {
        let replies = Sender::new(message::sender_at(replies)?)?;
        Ok(Self { inputs: message::receiver_at(inputs)?, replies })
    }

    /// Waits for an input and runs `open` with it.
    pub(crate) fn receive(&self, open: &mut dyn FnMut(&Contents<'_>)) -> Result<(), NotReceived> {
        message::receive(&self.inputs, open)
    }

    /// Sends the reply that `pack` gives, if it gives one: its bytes, or the number of the memory that they are in. Within
    /// `pack` the result is to be encoded. True: what was sent instead is an error, since the reply could not be.
    pub(crate) fn reply(
        &self,
        number: u64,
        shared: &Shared,
        pack: &mut dyn FnMut() -> Option<(Vec<u8>, Option<u64>)>,
    ) -> bool {
        let sent = self.replies.send(&mut || {
            let (bytes, buffer) = pack()?;
            Some(Packed { number, bytes, buffer, again: false, channels: Some(self.replies.count_channels()) })
        });
        let Err(NotSent::Refused(text)) = sent else { return false };
        let mut bytes = Vec::new();
        write_codec_error(CodecPhase::EncodeResult, &text, &mut Output::new(&mut bytes));
        let mut error = Some(bytes);
        let sent = self.replies.send(&mut || {
            let bytes = error.take()?;
            Some(Packed { number, bytes, buffer: None, again: false, channels: Some(self.replies.count_channels()) })
        });
        if sent.is_err() {
            // Replies would be taken for those of other tasks from now on.
            end_group(shared, LastWord::Disconnected);
        }
        true
    }

    /// Forgets the channels and the memory that were noted so far: what is encoded from now on is the reply.
    pub(crate) fn begin_encoding(&self) {
        self.replies.throw_away();
    }

    /// How many channels were noted since.
    pub(crate) fn count_channels(&self) -> usize {
        self.replies.count_channels()
    }
}
