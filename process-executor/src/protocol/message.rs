//! The few messages that parent and worker exchange over their socket: how a worker begins and ends, and descriptors. Tasks and results
//! go through shared memory.

use crate::protocol::violation::Violation;
use process_core::REFUSED;
use process_core::frame::{self, Words};
use process_core::untrusted_file::UntrustedFile;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::io;

/// A message. 32 bytes on the way, all little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Parent: begin; your settings have this many bytes.
    Welcome { settings: u64 },
    /// Worker: ready for tasks, or not: its first reply block holds this many bytes of what the initializer said.
    Ready { image: u64, initializer: u64 },
    /// Here is memory, with one descriptor and of that length. A worker's is for its reply in the slot of that number; a parent's is for
    /// any task that names it, and the number is 0.
    Buffer { id: u64, length: u64, reply: u64 },
    /// Parent: the memory of that number is not needed any more.
    Forget { id: u64 },
    /// Parent: no more tasks will come; end.
    Retire,
    /// Worker: there are results.
    Doorbell,
    /// Worker: cannot go on. Its first reply block holds this many bytes of why.
    Failed { text: u64 },
    /// The worker's process: does not begin; with the descriptor of memory of that length that says why.
    Refused { length: u64 },
}

impl Message {
    fn words(self) -> [u64; 4] {
        match self {
            Self::Welcome { settings } => [1, settings, 0, 0],
            Self::Ready { image, initializer } => [2, image, initializer, 0],
            Self::Buffer { id, length, reply } => [3, id, length, reply],
            Self::Forget { id } => [4, id, 0, 0],
            Self::Retire => [5, 0, 0, 0],
            Self::Doorbell => [6, 0, 0, 0],
            Self::Failed { text } => [7, text, 0, 0],
            Self::Refused { length } => [REFUSED, length, 0, 0],
        }
    }

    fn from_words(words: [u64; 4]) -> Option<Self> {
        Some(match words {
            [1, settings, 0, 0] => Self::Welcome { settings },
            [2, image, initializer, 0] => Self::Ready { image, initializer },
            [3, id, length, reply] => Self::Buffer { id, length, reply },
            [4, id, 0, 0] => Self::Forget { id },
            [5, 0, 0, 0] => Self::Retire,
            [6, 0, 0, 0] => Self::Doorbell,
            [7, text, 0, 0] => Self::Failed { text },
            [REFUSED, length, 0, 0] => Self::Refused { length },
            _ => return None,
        })
    }

    fn descriptors(self) -> usize {
        match self {
            Self::Buffer { .. } | Self::Refused { .. } => 1,
            _ => 0,
        }
    }

    /// Returns what a worker, which is not believed, says by a frame and the descriptor that came with it.
    pub(crate) fn from_worker(
        (words, file): (Words, Option<UntrustedFile>),
    ) -> Result<(Self, Option<UntrustedFile>), Violation> {
        let message = Self::from_words(words).filter(|message| message.descriptors() >= file.iter().count());
        Ok((message.ok_or(Violation::NoMessage)?, file))
    }

    /// Sends it; never blocks. `WouldBlock`: the other side does not read, and nothing was sent.
    pub(crate) fn send(self, socket: impl AsFd, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        frame::send(socket, self.words(), descriptors)
    }
}

/// What a worker, which believes its parent, finds in the socket.
pub(crate) enum Received {
    Message(Message, Vec<OwnedFd>),
    /// Nothing for now.
    Nothing,
    /// The parent is gone.
    End,
    /// Something that is no message.
    Garbage,
}

/// Receives the next message of the parent. `wait`: waits for it as long as the socket does.
pub(crate) fn receive(receiver: &mut frame::Receiver, socket: impl AsFd, wait: bool) -> Received {
    match receiver.receive(socket, wait) {
        frame::Received::Frame(words, descriptors) => match Message::from_words(words) {
            // With no room for another descriptor in this process, the kernel drops what came; that costs the task that needs
            // it, not the worker.
            Some(message) if descriptors.len() <= message.descriptors() => Received::Message(message, descriptors),
            _ => Received::Garbage,
        },
        frame::Received::Nothing => Received::Nothing,
        frame::Received::End => Received::End,
    }
}
