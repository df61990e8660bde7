//! The receiving side of a process that believes nobody: the other one can send any bytes, with any descriptors.

use crate::frame::{self, LENGTH, Words};
use crate::system::{self, Peeked, leave};
use crate::untrusted_file::UntrustedFile;
use rustix::fd::{AsFd, OwnedFd};
use std::io;

/// Puts frames together as they come, each with one descriptor at most, which is of sealed memory. Never waits, and never closes what
/// may block.
#[derive(Debug, Default)]
pub struct Intake {
    bytes: Vec<u8>,
    /// What came with the last of the bytes.
    file: Option<UntrustedFile>,
    /// Copies of what was refused and waits in the socket.
    refused: Vec<UntrustedFile>,
    /// Given up for a descriptor that else finds no room in this process.
    reserve: Option<OwnedFd>,
}

/// What there was to take in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// So many bytes, with which there may be frames.
    Some(usize),
    /// The same, and nothing was behind them.
    All,
    /// Nothing for now.
    Nothing,
    /// The other side is gone.
    End,
    /// Descriptors that are not taken in. All that is in the socket stays there.
    Refused(Refused),
}

/// Why descriptors are not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There are more than belong to a frame.
    TooMany,
    /// This process may have no more descriptors.
    NoRoom,
    /// One is not of memory that is sealed against all change.
    Unsealed,
}

/// So many frames are taken in at once.
const AT_ONCE: usize = 32;

impl Intake {
    /// Takes in what has come: all of it, or up to the first bytes that have descriptors.
    pub fn take_in(&mut self, socket: impl AsFd) -> Taken {
        let mut space = [0; AT_ONCE * LENGTH];
        let peeked = match self.peek(&socket, &mut space) {
            Ok(peeked) => peeked,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Taken::Nothing,
            Err(_) => return Taken::End,
        };
        if peeked.bytes == 0 {
            return Taken::End;
        }
        if let Some(why) = refusal(&peeked, self.file.iter().count()) {
            self.refused = peeked.files.into_iter().map(UntrustedFile::new).collect();
            return Taken::Refused(why);
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
    #[must_use]
    pub fn close(&mut self) -> Vec<UntrustedFile> {
        self.reserve = None;
        std::mem::take(&mut self.refused)
    }

    /// Leaves the numbers of all its descriptors alone, which the program has closed.
    pub fn leave(&mut self) {
        self.file.iter_mut().chain(&mut self.refused).for_each(UntrustedFile::leave);
        self.reserve.take().into_iter().for_each(leave);
    }

    /// Returns the next whole frame that was taken in, and the descriptor that came with it.
    pub fn next_frame(&mut self) -> Option<(Words, Option<UntrustedFile>)> {
        let words = frame::take(&mut self.bytes)?;
        // Descriptors end what is taken in at once.
        let file = if self.bytes.is_empty() { self.file.take() } else { None };
        Some((words, file))
    }
}

/// Returns why descriptors that come after `known` others are not taken in, if they are not.
fn refusal(peeked: &Peeked, known: usize) -> Option<Refused> {
    if peeked.files.is_empty() && peeked.has_more {
        Some(Refused::NoRoom)
    } else if peeked.has_more || known + peeked.files.len() > 1 {
        Some(Refused::TooMany)
    } else if !peeked.files.iter().all(system::is_sealed) {
        Some(Refused::Unsealed)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{AT_ONCE, Intake, Refused, Taken};
    use crate::frame::{LENGTH, send};
    use crate::memory::Buffer;
    use crate::system;
    use rustix::fd::AsFd;

    #[test]
    fn frames_come_with_their_descriptors() {
        let (ours, theirs) = system::socket_pair().unwrap();
        let mut intake = Intake::default();
        assert_eq!(intake.take_in(&ours), Taken::Nothing);
        let memory = Buffer::copy_of(b"contents").unwrap();
        send(&theirs, [1, 0, 0, 0], &[]).unwrap();
        send(&theirs, [2, 0, 0, 0], &[memory.file().as_fd()]).unwrap();
        send(&theirs, [3, 0, 0, 0], &[]).unwrap();
        let mut frames = Vec::new();
        while let Taken::Some(_) | Taken::All = intake.take_in(&ours) {
            while let Some((words, file)) = intake.next_frame() {
                frames.push((words[0], file.is_some_and(|file| system::check_sealed(file, 8).is_ok())));
            }
        }
        assert_eq!(frames, [(1, false), (2, true), (3, false)]);
        drop(theirs);
        assert_eq!(intake.take_in(&ours), Taken::End);
    }

    #[test]
    fn a_flood_is_taken_in_bit_by_bit() {
        let (ours, theirs) = system::socket_pair().unwrap();
        for number in 0..=AT_ONCE as u64 {
            send(&theirs, [number, 0, 0, 0], &[]).unwrap();
        }
        let mut intake = Intake::default();
        assert_eq!((intake.take_in(&ours), intake.take_in(&ours)), (Taken::Some(AT_ONCE * LENGTH), Taken::All));
    }

    #[test]
    fn descriptors_that_are_refused_stay_in_the_socket() {
        let memory = Buffer::copy_of(b"contents").unwrap();
        let (socket, _other) = system::socket_pair().unwrap();
        for (files, why) in [
            (vec![socket.as_fd()], Refused::Unsealed),
            (vec![memory.file().as_fd(); 2], Refused::TooMany),
            (vec![socket.as_fd(); 9], Refused::TooMany),
        ] {
            let (ours, theirs) = system::socket_pair().unwrap();
            send(&theirs, [1, 0, 0, 0], &files).unwrap();
            let mut intake = Intake::default();
            assert_eq!(intake.take_in(&ours), Taken::Refused(why));
            assert!(intake.next_frame().is_none() && system::bytes_waiting(&ours) == LENGTH as u64);
            assert!(!intake.close().is_empty());
        }
    }
}
