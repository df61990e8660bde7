//! The few words that parent and worker exchange over their socket: how a worker begins and ends, and descriptors. Tasks and
//! results go through shared memory.

use crate::protocol::violation::Violation;
use process_core::REFUSED;
use process_core::frame::{self, LENGTH};
use process_core::system::{self, Peeked, Unfit, leave};
use process_core::untrusted_file::UntrustedFile;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::io;

/// What is said. 32 bytes on the way, all little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Parent: begin; your settings have so many bytes.
    Welcome { settings: u64 },
    /// Worker: ready for tasks, or not: its first reply block holds so many bytes of what the initializer said.
    Ready { image: u64, initializer: u64 },
    /// Here is memory, with one descriptor; so many bytes. A worker's is for its reply in the slot of that number; a parent's
    /// is for whatever names it, and the number is 0.
    Buffer { id: u64, length: u64, reply: u64 },
    /// Parent: the memory of that number is not needed any more.
    Forget { id: u64 },
    /// Parent: no more tasks will come; end.
    Retire,
    /// Worker: there are results.
    Doorbell,
    /// Worker: cannot go on. Its first reply block holds so many bytes of why.
    Failed { text: u64 },
    /// The worker's process: does not begin; with memory of so many bytes that say why, and its descriptor.
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

/// The parent's receiving side, which believes nobody: a worker can send any bytes, with any descriptors.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    bytes: Vec<u8>,
    /// What came with the last of the bytes.
    file: Option<UntrustedFile>,
    /// Copies of what was refused and waits in the socket.
    refused: Vec<UntrustedFile>,
    /// Given up for a descriptor that else finds no room in this process.
    reserve: Option<OwnedFd>,
}

/// What there was to take in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// So many bytes, with which there may be messages.
    Some(usize),
    /// The same, and nothing was behind them.
    All,
    /// Nothing for now.
    Nothing,
    /// The other side is gone.
    End,
    /// Descriptors that are too many, found no room, or are not sealed memory: all that is in the socket stays there.
    Refused(Violation),
}

/// So many messages are taken in at once.
const AT_ONCE: usize = 32;

impl Intake {
    /// Takes in what has come: all of it, or up to the first bytes that have descriptors. Never waits.
    pub(crate) fn take_in(&mut self, socket: impl AsFd) -> Taken {
        let mut space = [0; AT_ONCE * LENGTH];
        let peeked = match self.peek(&socket, &mut space) {
            Ok(peeked) => peeked,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Taken::Nothing,
            Err(_) => return Taken::End,
        };
        if peeked.bytes == 0 {
            return Taken::End;
        }
        let known = self.file.iter().count();
        if let Some(violation) = violation(&peeked, known) {
            self.refused = peeked.files.into_iter().map(UntrustedFile::new).collect();
            return Taken::Refused(violation);
        }
        let has_files = !peeked.files.is_empty();
        self.file = self.file.take().or(peeked.files.into_iter().next().map(UntrustedFile::new));
        if system::discard(&socket, peeked.bytes).is_err() {
            return Taken::End;
        }
        self.bytes.extend_from_slice(&space[..peeked.bytes]);
        if has_files || peeked.bytes == space.len() { Taken::Some(peeked.bytes) } else { Taken::All }
    }

    fn peek(&mut self, socket: impl AsFd, bytes: &mut [u8]) -> io::Result<Peeked> {
        let peeked = system::peek(&socket, bytes)?;
        if peeked.has_more && peeked.files.is_empty() && self.reserve.take().is_some() {
            return system::peek(socket, bytes);
        }
        if self.reserve.is_none() {
            // Another of the same socket: no close of it is the last.
            self.reserve = system::duplicate(socket).ok();
        }
        Ok(peeked)
    }

    /// Takes nothing in any more. Returns copies of what was refused.
    pub(crate) fn close(&mut self) -> Vec<UntrustedFile> {
        self.reserve = None;
        std::mem::take(&mut self.refused)
    }

    /// Leaves the numbers of all that it has alone.
    pub(crate) fn leave(&mut self) {
        self.file.iter_mut().chain(&mut self.refused).for_each(UntrustedFile::leave);
        self.reserve.take().into_iter().for_each(leave);
    }

    /// Returns the next whole message, and the descriptor that came with it.
    pub(crate) fn next(&mut self) -> Option<Result<(Message, Option<UntrustedFile>), Violation>> {
        let words = frame::take(&mut self.bytes)?;
        // Descriptors end what is taken in at once.
        let file = if self.bytes.is_empty() { self.file.take() } else { None };
        let message = Message::from_words(words);
        Some(
            message
                .filter(|message| message.descriptors() >= file.iter().count())
                .map(|message| (message, file))
                .ok_or(Violation::NoMessage),
        )
    }
}

/// Returns what is wrong with descriptors that come after so many others, if anything is.
fn violation(peeked: &Peeked, known: usize) -> Option<Violation> {
    if peeked.files.is_empty() && peeked.has_more {
        Some(Violation::NoRoom)
    } else if peeked.has_more || known + peeked.files.len() > 1 {
        Some(Violation::TooManyDescriptors)
    } else if !peeked.files.iter().all(system::is_sealed) {
        Some(Violation::Unfit(Unfit::Unsealed))
    } else {
        None
    }
}
