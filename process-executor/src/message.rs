//! The few words that parent and worker exchange over their socket: how a worker begins and ends, and descriptors. Tasks and
//! results go through shared memory.

use crate::system;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::io;

/// What is said. 32 bytes on the way, all little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Parent: begin. With descriptors: the shared memory, the settings, of so many bytes, and with ipc-channel
    /// the sockets for inputs and for replies.
    Welcome { settings: u64 },
    /// Worker: ready for tasks, or not: its first reply block holds so many bytes of what the initializer said.
    Ready { image: u64, initializer: u64 },
    /// Parent: here is memory, with one descriptor; so many bytes.
    Buffer { id: u64, length: u64 },
    /// Parent: the memory of that number is not needed any more.
    Forget { id: u64 },
    /// Parent: no more tasks will come; end.
    Retire,
    /// Worker: there are results.
    Bell,
    /// Worker: cannot go on. Its first reply block holds so many bytes of why.
    Failed { text: u64 },
}

pub(crate) const LENGTH: usize = 32;

impl Message {
    fn words(self) -> [u64; 4] {
        match self {
            Self::Welcome { settings } => [1, settings, 0, 0],
            Self::Ready { image, initializer } => [2, image, initializer, 0],
            Self::Buffer { id, length } => [3, id, length, 0],
            Self::Forget { id } => [4, id, 0, 0],
            Self::Retire => [5, 0, 0, 0],
            Self::Bell => [6, 0, 0, 0],
            Self::Failed { text } => [7, text, 0, 0],
        }
    }

    fn from_words(words: [u64; 4]) -> Option<Self> {
        Some(match words {
            [1, settings, 0, 0] => Self::Welcome { settings },
            [2, image, initializer, 0] => Self::Ready { image, initializer },
            [3, id, length, 0] => Self::Buffer { id, length },
            [4, id, 0, 0] => Self::Forget { id },
            [5, 0, 0, 0] => Self::Retire,
            [6, 0, 0, 0] => Self::Bell,
            [7, text, 0, 0] => Self::Failed { text },
            _ => return None,
        })
    }

    fn descriptors(self) -> usize {
        match self {
            Self::Welcome { .. } => 4,
            Self::Buffer { .. } => 1,
            _ => 0,
        }
    }

    /// Sends it; never blocks. `WouldBlock`: the other side does not read, and nothing was sent.
    pub(crate) fn send(self, socket: impl AsFd, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut bytes = [0; LENGTH];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.words()) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        match system::send(socket, &bytes, descriptors)? {
            LENGTH => Ok(()),
            // A stream socket takes so few bytes whole, or not at all.
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

/// The receiving side: puts messages together.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// What a receive found.
pub(crate) enum Received {
    Message(Message, Vec<OwnedFd>),
    /// Nothing more for now.
    Nothing,
    /// The other side is gone.
    End,
    /// Something that is no message.
    Garbage,
}

impl Receiver {
    /// How many messages could be received without waiting.
    pub(crate) fn count_waiting(&self, socket: impl AsFd) -> u64 {
        (self.bytes.len() as u64 + system::bytes_waiting(socket)) / LENGTH as u64
    }

    /// The next message. `wait`: blocks until there is one, or the end.
    pub(crate) fn receive(&mut self, socket: impl AsFd, wait: bool) -> Received {
        loop {
            if let Some(bytes) = self.bytes.first_chunk::<LENGTH>() {
                let mut words = [0; 4];
                for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
                    *word = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
                }
                self.bytes.drain(..LENGTH);
                return self.complete(words);
            }
            // No more than the rest of one message: descriptors belong to the bytes they came with.
            let mut part = [0; LENGTH];
            let missing = LENGTH - self.bytes.len();
            match system::receive(&socket, &mut part[..missing], &mut self.descriptors, wait) {
                Ok(0) => return Received::End,
                Ok(received) => self.bytes.extend_from_slice(&part[..received]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received::Nothing,
                Err(_) => return Received::End,
            }
        }
    }

    fn complete(&mut self, words: [u64; 4]) -> Received {
        let descriptors = std::mem::take(&mut self.descriptors);
        match Message::from_words(words) {
            // With no room for another descriptor in this process, the kernel drops what came; that costs whoever needs it,
            // not the worker.
            Some(message) if descriptors.len() <= message.descriptors() => Received::Message(message, descriptors),
            _ => Received::Garbage,
        }
    }
}
