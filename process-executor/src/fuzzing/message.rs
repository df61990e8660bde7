//! Bytes, descriptors and messages of ipc-channel that come from a worker.

use super::ring::some_pool;
use super::{below, take};
use crate::ipc_channel::message;
use crate::link::{Event, Link};
use crate::pool::reply_buffers::ReplyBuffers;
use crate::protocol::message::Message;
use crate::protocol::worker_settings::WorkerSettings;
use arbitrary::Unstructured;
use ipc_channel::ipc::IpcMessage;
use process_core::frame::LENGTH;
use process_core::memory::Buffer;
use process_core::system;
use rustix::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Reads what the first byte says: a socket, a message of ipc-channel, or a worker's settings.
///
/// # Panics
///
/// If memory is found that is not as it was announced, or if the worker is heard more often than it has to say.
pub fn message(bytes: &[u8]) {
    let mut script = Unstructured::new(bytes);
    match take::<u8>(&mut script) {
        1 => messages(script.take_rest()),
        2 => drop(postcard::from_bytes::<WorkerSettings>(script.take_rest())),
        _ => Socket::new().run(&mut script),
    }
}

fn messages(bytes: &[u8]) {
    message::open_message(IpcMessage::from_data(bytes.to_vec()), &mut |contents| {
        assert!(contents.bytes.len() <= bytes.len());
        contents.close_rest();
    });
}

/// Replies have numbers below this.
const REPLIES: u64 = 3;

/// Longer memory than any machine has.
const IMMENSE: usize = usize::MAX >> 20;

/// Both ends of a worker's socket.
struct Socket {
    link: Arc<Link>,
    worker: Option<OwnedFd>,
    events: Vec<Event>,
    /// Replies that are being read, with their numbers.
    replies: Vec<(u64, Arc<ReplyBuffers>)>,
    /// How many replies there were.
    begun: u64,
    /// Memory of the parent's that the worker was lent.
    lent: Vec<Arc<Buffer>>,
}

impl Socket {
    fn new() -> Self {
        let (ours, theirs) = system::socket_pair().expect("there are descriptors");
        let link = Arc::new(Link::new(ours));
        Self { link, worker: Some(theirs), events: Vec::new(), replies: Vec::new(), begun: 0, lent: Vec::new() }
    }

    fn run(mut self, script: &mut Unstructured<'_>) {
        while !script.is_empty() {
            self.step(script);
            self.check();
        }
        drop(self.worker.take());
        // What it has said, and that it is gone.
        self.hear();
        self.hear();
        self.check();
        assert!(self.events.last().is_some_and(is_last), "it is gone");
    }

    fn step(&mut self, script: &mut Unstructured<'_>) {
        match below(script, 12) {
            0..3 => self.say(script),
            3 => self.write(script),
            4 => self.flood(script),
            5 => self.hear(),
            6 => self.find(script),
            7 => {
                self.begun += 1;
                let number = self.begun % REPLIES;
                self.replies.push((number, ReplyBuffers::new(some_pool(), self.link.clone(), number)));
            }
            8 if !self.replies.is_empty() => {
                let (number, reply) = self.replies.remove(below(script, self.replies.len()));
                drop(reply);
                assert_eq!(self.link.count_arrivals(Some(number)), 0, "what came for a reply is freed with it");
            }
            9 => self.lend(script),
            10 => self.link.forget_dropped(),
            _ if take::<u8>(script) == 0 => self.worker = None,
            _ => {}
        }
    }

    /// Sends a message as the worker's code would, except for what is in it.
    fn say(&mut self, script: &mut Unstructured<'_>) {
        let id = take::<u8>(script).into();
        let (file, length) = file(script);
        let message = match below(script, 8) {
            0 => Message::Ready { image: id, initializer: length },
            1 => Message::Failed { text: length },
            2 => Message::Doorbell,
            3 => [
                Message::Welcome { settings: length },
                Message::Retire,
                Message::Forget { id },
                Message::Refused { length },
            ][below(script, 4)],
            _ => Message::Buffer { id, length, reply: id % REPLIES },
        };
        let files = [file.as_fd(); 2];
        // Most messages have as many descriptors as they should.
        let usual = usize::from(matches!(message, Message::Buffer { .. } | Message::Refused { .. }));
        let count = match take::<u8>(script) {
            255 => 2,
            254 => 1 - usual,
            _ => usual,
        };
        if let Some(worker) = &self.worker {
            // A socket that is full takes no more.
            let _ = message.send(worker, &files[..count]);
        }
    }

    /// Sends any bytes, maybe with descriptors.
    fn write(&mut self, script: &mut Unstructured<'_>) {
        let (file, _) = file(script);
        let count = below(script, 5);
        let length = below(script, 2 * LENGTH).min(script.len());
        let bytes = script.bytes(length).unwrap_or_default();
        if let Some(worker) = self.worker.as_ref().filter(|_| !bytes.is_empty()) {
            let _ = system::send(worker, bytes, &[file.as_fd(); 4][..count]);
        }
    }

    /// Sends the same message again and again.
    fn flood(&mut self, script: &mut Unstructured<'_>) {
        let word = [2, 6, 7][below(script, 3)];
        let mut message = [0; LENGTH];
        message[0] = word;
        if let Some(worker) = &self.worker {
            let _ = system::send(worker, &message.repeat(50), &[]);
        }
    }

    fn hear(&mut self) {
        self.events.extend(self.link.read());
    }

    /// Reads a reply that names memory.
    fn find(&mut self, script: &mut Unstructured<'_>) {
        let id = take::<u8>(script).into();
        let found = match self.replies.last() {
            Some((_, reply)) => reply.buffer(id),
            None => self.link.find(id).0,
        };
        if let Ok(buffer) = found {
            let bytes = buffer.bytes();
            assert_eq!(bytes.len() as u64, buffer.length());
            assert!(bytes.len() < IMMENSE, "nobody has so much memory");
            assert!(bytes.iter().all(|byte| *byte == CONTENTS));
        }
    }

    fn lend(&mut self, script: &mut Unstructured<'_>) {
        if take::<u8>(script) & 1 == 0 {
            let buffer = Arc::new(Buffer::copy_of(&[CONTENTS; 10]).expect("there is memory"));
            let _ = self.link.lend(&buffer);
            self.lent.push(buffer);
        } else {
            self.lent.pop();
        }
    }

    /// It is ready, or has failed, once; and ends once.
    fn check(&self) {
        let said = self.events.iter().filter(|event| !is_last(event)).count();
        assert!(said <= 1, "{:?}", self.events);
        let ended = self.events.iter().position(is_last);
        assert!(ended.is_none_or(|end| end + 1 == self.events.len()), "{:?}", self.events);
    }
}

/// Returns whether nothing may follow.
fn is_last(event: &Event) -> bool {
    matches!(event, Event::Closed | Event::Refused(_))
}

/// What is in all memory that is not empty.
const CONTENTS: u8 = 7;

/// Makes memory, or something else, and the length that it is said to have.
pub(super) fn file(script: &mut Unstructured<'_>) -> (OwnedFd, u64) {
    let length = usize::from(take::<u8>(script)) * 50;
    let kind = below(script, 8);
    let file = match kind {
        0..3 => {
            let buffer = Buffer::copy_of(&vec![CONTENTS; length]).expect("there is memory");
            buffer.file().try_clone().expect("there are descriptors")
        }
        // It can be written to.
        3 => {
            let file = memory(length);
            system::write_all(&file, 0, &vec![CONTENTS; length]).expect("there is memory");
            file
        }
        // It may shrink.
        4 => rustix::fs::memfd_create("fuzzing", rustix::fs::MemfdFlags::CLOEXEC).expect("there are descriptors"),
        // There is nothing behind it.
        5 => memory(IMMENSE),
        6 => {
            let file = memory(IMMENSE);
            system::seal_for_reading(&file).expect("can be sealed");
            file
        }
        _ => system::socket_pair().expect("there are descriptors").0,
    };
    let honest = if matches!(kind, 5 | 6) { IMMENSE } else { length };
    let said = if take::<u8>(script) < 32 { take::<u64>(script) } else { honest as u64 };
    (file, said)
}

fn memory(length: usize) -> OwnedFd {
    system::anonymous_memory("fuzzing", length).expect("there are descriptors")
}
