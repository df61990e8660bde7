//! Frames on the socket between two processes: four words each, with descriptors.
//!
//! A frame is so short that a stream socket takes it whole or not at all. What does not fit into one lies in memory whose descriptor
//! goes with it.

use crate::system;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::io;

/// Four words of the protocol at hand; little-endian on the way.
pub type Words = [u64; 4];

/// The bytes of a frame.
pub const LENGTH: usize = 32;

/// Sends a frame; never blocks.
///
/// # Errors
///
/// `WouldBlock`: the other side does not read, and nothing was sent. Else `sendmsg` fails.
pub fn send(socket: impl AsFd, words: Words, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut bytes = [0; LENGTH];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    match system::send(socket, &bytes, descriptors)? {
        LENGTH => Ok(()),
        // A stream socket takes so few bytes whole, or not at all.
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Takes a whole frame off the front of what was received.
pub fn take(bytes: &mut Vec<u8>) -> Option<Words> {
    let frame = bytes.first_chunk::<LENGTH>()?;
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(frame.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    }
    bytes.drain(..LENGTH);
    Some(words)
}

/// Puts frames together as they come.
#[derive(Debug, Default)]
pub struct Receiver {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// What [`Receiver::receive`] found.
#[derive(Debug)]
pub enum Received {
    /// A frame, and the descriptors that came with it: fewer than were sent if this process may have no more.
    Frame(Words, Vec<OwnedFd>),
    /// Nothing for now.
    Nothing,
    /// The other side is gone.
    End,
}

impl Receiver {
    /// Receives the next frame. `wait`: blocks until there is one, or the end, or the limit of the socket has passed.
    pub fn receive(&mut self, socket: impl AsFd, wait: bool) -> Received {
        loop {
            if let Some(words) = take(&mut self.bytes) {
                return Received::Frame(words, std::mem::take(&mut self.descriptors));
            }
            // No more than the rest of one frame: descriptors belong to the bytes they came with.
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
}

#[cfg(test)]
mod tests {
    use super::{LENGTH, Received, Receiver, send};
    use crate::system;
    use rustix::fd::AsFd;

    #[test]
    fn frames_come_as_they_were_sent_with_their_descriptors() {
        let (ours, theirs) = system::socket_pair().unwrap();
        let mut receiver = Receiver::default();
        assert!(matches!(receiver.receive(&theirs, false), Received::Nothing));
        send(&ours, [1, u64::MAX, 0, 4], &[ours.as_fd(), theirs.as_fd()]).unwrap();
        send(&ours, [2, 0, 0, 0], &[]).unwrap();
        let Received::Frame(words, files) = receiver.receive(&theirs, true) else { panic!("no frame") };
        assert_eq!((words, files.len()), ([1, u64::MAX, 0, 4], 2));
        assert_eq!(system::file_identity(&files[0]), system::file_identity(&ours));
        // One of them is another descriptor of the other end.
        drop(files);
        let Received::Frame(words, files) = receiver.receive(&theirs, true) else { panic!("no frame") };
        assert_eq!((words, files.len()), ([2, 0, 0, 0], 0));
        drop(ours);
        assert!(matches!(receiver.receive(&theirs, true), Received::End));
    }

    #[test]
    fn a_frame_that_comes_in_pieces_is_put_together() {
        let (ours, theirs) = system::socket_pair().unwrap();
        let mut receiver = Receiver::default();
        let bytes: Vec<u8> = (0..LENGTH as u8).collect();
        for piece in bytes.chunks(5) {
            assert!(matches!(receiver.receive(&theirs, false), Received::Nothing));
            assert_eq!(system::send(&ours, piece, &[]).unwrap(), piece.len());
        }
        let Received::Frame(words, _) = receiver.receive(&theirs, false) else { panic!("no frame") };
        assert_eq!(words[0], u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7]));
    }
}
