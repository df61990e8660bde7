//! [`Connection`]: the socket between a process and one that it started, on which values travel with what is attached to them.
//!
//! A value is encoded into sealed memory, and that memory's descriptor goes with the frame, before those of its attachments. So a
//! value of any length is sent at once or not at all, and none of its bytes waits in the socket.
//!
//! The numbers of the attachments stand behind the value in that memory, in the order of the descriptors.

use crate::attachments::{self, Attachment, Source, Takes};
use crate::frame::{self, Received, Receiver, Words};
use crate::handle::Descriptor;
use crate::memory::Buffer;
use crate::system;
use crate::untrusted_file::UntrustedFile;
use executor_wire::Output;
use parking_lot::Mutex;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::process::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::sync::Arc;

/// What frames of this crate begin with; protocols on top of it use lower numbers. This one tells a process where to begin.
pub(crate) const BEGIN: u64 = 0x100;
/// Sent by a process that cannot begin. The reason comes along as sealed memory, of so many bytes.
pub const REFUSED: u64 = 0x101;
pub(crate) const VALUE: u64 = 0x102;

/// A process says why it does not begin in no more bytes than these: its parent copies them.
const MOST_REASON: u64 = 64 * 1024;

/// A value takes no more attachments than the system takes descriptors in one message, beside that of its bytes.
pub const MOST_ATTACHMENTS: usize = system::MOST_DESCRIPTORS - 1;

/// The socket to the other process, and what this one was started with.
///
/// One thread receives at a time; the next one waits until it has. Each value is sent whole, by whichever thread.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    receiver: Mutex<Receiver>,
    side: Side,
    attachments: Vec<OwnedFd>,
}

/// At which end of the socket this process is.
#[derive(Clone, Copy, Debug)]
enum Side {
    /// The process that started the other one, all of whose messages it checks.
    Parent,
    /// It was started by that process.
    Child(Option<Pid>),
}

/// What a [`Connection`] consists of, for a process that has a protocol of its own from now on.
#[derive(Debug)]
pub struct Parts {
    /// The socket.
    pub socket: OwnedFd,
    /// What was received, and is not read yet.
    pub receiver: Receiver,
    /// In a process that was started: the process that started it.
    pub parent: Option<Pid>,
    /// What this process was started with.
    pub attachments: Vec<OwnedFd>,
}

impl Connection {
    /// Returns the end of a process that has started another one.
    pub(crate) fn of_parent(socket: OwnedFd) -> Self {
        Self { socket, receiver: Mutex::default(), side: Side::Parent, attachments: Vec::new() }
    }

    /// Returns the end of a process that was started.
    pub(crate) fn of_child(
        socket: OwnedFd,
        receiver: Receiver,
        parent: Option<Pid>,
        attachments: Vec<OwnedFd>,
    ) -> Self {
        Self { socket, receiver: Mutex::new(receiver), side: Side::Child(parent), attachments }
    }

    /// Returns what it consists of.
    #[must_use]
    pub fn into_parts(self) -> Parts {
        let parent = match self.side {
            Side::Parent => None,
            Side::Child(parent) => parent,
        };
        let receiver = self.receiver.into_inner();
        Parts { socket: self.socket, receiver, parent, attachments: self.attachments }
    }

    /// Returns the descriptors that this process was started with, in their order.
    #[must_use]
    pub fn attachments(&self) -> &[OwnedFd] {
        &self.attachments
    }

    /// Sends a value, with what is attached to it. Waits while the other process does not read.
    ///
    /// # Errors
    ///
    /// The value cannot be encoded, or has more attachments than [`MOST_ATTACHMENTS`]; there is no memory for it; or the other
    /// process is gone.
    pub fn send<T: Serialize + ?Sized>(&self, value: &T) -> io::Result<()> {
        let mut bytes = Vec::new();
        let (encoded, attachments) = attachments::collecting(Takes::Everything, || {
            executor_wire::codec::encode(value, &mut Output::new(&mut bytes))
        });
        encoded.map_err(|reason| invalid(format!("the value cannot be sent: {reason}")))?;
        if attachments.len() > MOST_ATTACHMENTS {
            return Err(invalid(format!(
                "the value cannot be sent: it has {} attachments, at most {MOST_ATTACHMENTS} travel with one value",
                attachments.len()
            )));
        }
        let length = bytes.len() as u64;
        for attachment in &attachments {
            // Each attachment is its number, and its length or that it is no memory.
            bytes.extend(attachment.id().to_le_bytes());
            bytes.extend(attachment.sealed_length().unwrap_or(NO_MEMORY).to_le_bytes());
        }
        let memory = Buffer::copy_of(&bytes)?;
        let mut files: Vec<BorrowedFd<'_>> = vec![memory.file().as_fd()];
        files.extend(attachments.iter().map(|attachment| attachment.file()));
        self.send_frame([VALUE, length, attachments.len() as u64, 0], &files)
    }

    /// Sends a frame, and waits while the socket is full.
    pub(crate) fn send_frame(&self, words: Words, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        loop {
            match frame::send(&self.socket, words, files) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => system::wait_writable(&self.socket)?,
                sent => return sent,
            }
        }
    }

    /// Receives the next value; waits for it.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof`: the other process is gone, or has closed its end. `InvalidData`: what came is no such value. Else the process
    /// that was started could not begin, and says why.
    pub fn receive<T: DeserializeOwned + 'static>(&self) -> io::Result<T> {
        let (words, files) = self.receive_frame()?;
        let mut files = files.into_iter();
        match words {
            [VALUE, length, count, 0] => {
                let contents = Contents::receive(length, count, &mut files, self.side)?;
                contents.decode()
            }
            [REFUSED, length @ ..=MOST_REASON, 0, 0] if matches!(self.side, Side::Parent) => {
                let memory = receive_memory(files.next(), 0, length)?;
                Err(io::Error::other(format!(
                    "the process could not begin: {}",
                    String::from_utf8_lossy(memory.bytes())
                )))
            }
            _ => Err(invalid("what came is no value".to_owned())),
        }
    }

    fn receive_frame(&self) -> io::Result<(Words, Vec<UntrustedFile>)> {
        let mut receiver = self.receiver.lock();
        loop {
            return match receiver.receive(&self.socket, true) {
                Received::Frame(words, files) => Ok((words, files.into_iter().map(UntrustedFile::new).collect())),
                // A fork of the parent's may hold the other end of the socket.
                Received::Nothing if self.is_other_there() => continue,
                Received::Nothing | Received::End => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
    }

    fn is_other_there(&self) -> bool {
        match self.side {
            Side::Parent => true,
            Side::Child(parent) => system::parent() == parent,
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Written in place of a length when a descriptor is not memory.
const NO_MEMORY: u64 = u64::MAX;

/// A value and its attachments, not decoded yet.
struct Contents {
    memory: Buffer,
    length: usize,
    attachments: Arc<dyn Source>,
}

impl Contents {
    fn receive(length: u64, count: u64, files: &mut std::vec::IntoIter<UntrustedFile>, side: Side) -> io::Result<Self> {
        const NUMBERS: u64 = 16;
        match count.checked_add(1) {
            Some(all) if all > files.len() as u64 => return Err(no_room()),
            Some(all) if all == files.len() as u64 => {}
            _ => return Err(invalid("what came has more descriptors than it says".to_owned())),
        }
        let all = count.checked_mul(NUMBERS).and_then(|numbers| numbers.checked_add(length));
        let all = all.ok_or_else(|| invalid("what came is longer than any memory".to_owned()))?;
        let memory = receive_memory(files.next(), 0, all)?;
        // The memory is there, so its length fits.
        let length = length as usize;
        let numbers = memory.bytes()[length..].chunks_exact(8);
        let numbers: Vec<u64> = numbers.map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap_or_default())).collect();
        let mut attachments: Vec<(u64, Arrived)> = Vec::new();
        for pair in numbers.chunks_exact(2) {
            let file = files.next().ok_or_else(no_room)?;
            let attachment: Arrived = match pair[1] {
                NO_MEMORY => Ok(match (side, file) {
                    (Side::Parent, file) => Arc::new(Descriptor::untrusted(pair[0], file)),
                    (Side::Child(_), file) => {
                        Arc::new(Descriptor::trusted(pair[0], file.into_trusted().ok_or_else(no_room)?))
                    }
                }),
                length => receive_memory(Some(file), pair[0], length)
                    .map(|memory| Arc::new(memory) as Arc<dyn Attachment>)
                    .map_err(|error| error.to_string()),
            };
            attachments.push((pair[0], attachment));
        }
        Ok(Self { memory, length, attachments: Arc::new(Found(attachments)) })
    }

    fn decode<T: DeserializeOwned + 'static>(&self) -> io::Result<T> {
        let bytes = &self.memory.bytes()[..self.length];
        attachments::unpacking(&self.attachments, || executor_wire::codec::decode(bytes))
            .map_err(|reason| invalid(format!("what came is not a value of this type: {reason}")))
    }
}

type Arrived = Result<Arc<dyn Attachment>, String>;

/// The attachments of a value that came.
struct Found(Vec<(u64, Arrived)>);

impl Source for Found {
    fn find(&self, id: u64) -> Result<Arc<dyn Attachment>, String> {
        let found = self.0.iter().find(|(known, _)| *known == id);
        found.map_or_else(|| Err("it did not come".to_owned()), |(_, arrived)| arrived.clone())
    }
}

/// Takes memory that came with a frame; refused unless it can never change and all of it is there.
fn receive_memory(file: Option<UntrustedFile>, id: u64, length: u64) -> io::Result<Buffer> {
    let file = file.ok_or_else(no_room)?;
    system::check_sealed(&file, length).map_err(|unfit| io::Error::new(io::ErrorKind::InvalidData, unfit))?;
    // It is memory: its close does not block.
    Buffer::map(id, file.into_trusted().ok_or_else(no_room)?, length)
}

fn no_room() -> io::Error {
    io::Error::other("a descriptor did not come; raise the limit on open files (ulimit -n)")
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
