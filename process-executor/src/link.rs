//! The parent's end of a worker's socket: what the worker says, and the memory it hands over.

use crate::buffer::Buffer;
use crate::carrier::Source;
use crate::message::{Message, Received, Receiver};
use crate::parcel::Parcels;
use crate::pool::Pool;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Weak};

/// One worker's socket. Whoever needs what is in it reads it, one thread at a time.
#[derive(Debug)]
pub(crate) struct Link {
    socket: OwnedFd,
    inbox: Mutex<Inbox>,
    lent: Mutex<Lent>,
    /// Replies that come as messages of ipc-channel.
    parcels: Option<Parcels>,
}

/// Memory of this process that the worker was handed.
#[derive(Debug, Default)]
struct Lent {
    buffers: HashMap<u64, Weak<Buffer>>,
    /// With so many it is time to look which of them nobody here has any more.
    look_at: usize,
}

/// Among so few it is looked each time.
const FEW: usize = 64;

#[derive(Debug, Default)]
struct Inbox {
    receiver: Receiver,
    /// Memory the worker made, until the reply that names it has been read, and in how many replies it is.
    buffers: HashMap<u64, (Arc<Buffer>, usize)>,
    /// Each costs this process a descriptor: no more than so many at a time.
    most_buffers: usize,
    events: Vec<Event>,
    /// It has said that it is ready, or that it has failed: that is said once.
    has_begun: bool,
    /// It is not listened to any more.
    has_ended: bool,
    /// There was a bell in what was read last.
    heard: bool,
}

/// What concerns the worker as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Ready {
        image: u64,
        initializer: u64,
    },
    Failed {
        text: u64,
    },
    /// The connection has ended, or what came makes no sense.
    Ended,
}

impl Link {
    pub(crate) fn new(socket: OwnedFd, parcels: Option<Parcels>) -> Self {
        Self {
            socket,
            inbox: Mutex::new(Inbox { most_buffers: most_buffers(), ..Inbox::default() }),
            lent: Mutex::default(),
            parcels,
        }
    }

    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Whether the worker has closed its end, most likely by its death.
    pub(crate) fn has_ended(&self) -> bool {
        let mut socket = [PollFd::new(&self.socket, PollFlags::empty())];
        poll(&mut socket, Some(&Timespec::default())).is_ok_and(|events| events > 0)
    }

    /// Takes the replies out of the worker's channel, so that it has room for more; never waits.
    pub(crate) fn pull_parcels(&self) {
        if let Some(parcels) = &self.parcels {
            parcels.pull();
        }
    }

    /// Whether somebody else has read what concerns the worker as a whole, and not just bells.
    pub(crate) fn has_news(&self) -> bool {
        // Who has the lock calls the supervisor if there are any.
        self.inbox.try_lock().is_some_and(|inbox| !inbox.events.is_empty())
    }

    /// Reads what has come; never waits.
    pub(crate) fn read(&self) -> Vec<Event> {
        let mut inbox = self.inbox.lock();
        inbox.read(&self.socket);
        std::mem::take(&mut inbox.events)
    }

    /// Hands memory to the worker, unless it has it: false; never waits.
    pub(crate) fn lend(&self, buffer: &Arc<Buffer>) -> io::Result<bool> {
        use rustix::fd::AsFd;
        let mut lent = self.lent.lock();
        if lent.buffers.get(&buffer.id()).is_some_and(|known| known.strong_count() > 0) {
            return Ok(false);
        }
        // Each costs the worker a descriptor, and its memory stays as long as the worker has it.
        if lent.buffers.len() >= lent.look_at {
            self.forget_among(&mut lent);
        }
        let message = Message::Buffer { id: buffer.id(), length: buffer.length() };
        message.send(&self.socket, &[buffer.file().as_fd()])?;
        lent.buffers.insert(buffer.id(), Arc::downgrade(buffer));
        Ok(true)
    }

    /// Tells the worker which memory nobody here has any more.
    pub(crate) fn forget_dropped(&self) {
        self.forget_among(&mut self.lent.lock());
    }

    fn forget_among(&self, lent: &mut Lent) {
        lent.buffers.retain(|&id, buffer| {
            // What cannot be said now is said the next time.
            buffer.strong_count() > 0 || Message::Forget { id }.send(&self.socket, &[]).is_err()
        });
        let left = lent.buffers.len();
        lent.look_at = if left < FEW { 0 } else { 2 * left };
    }

    /// The reply that these buffers were looked up for has been read.
    fn release(&self, used: &[u64]) {
        let mut inbox = self.inbox.lock();
        let mut gone = Vec::new();
        for id in used {
            let Some((_, replies)) = inbox.buffers.get_mut(id) else { continue };
            *replies -= 1;
            if *replies == 0 {
                gone.extend(inbox.buffers.remove(id));
            }
        }
        drop(inbox);
        drop(gone);
    }

    /// A buffer of the worker's, or one it was lent; and whether something was heard that the supervisor then does not hear.
    pub(crate) fn find(&self, id: u64) -> (Option<Arc<Buffer>>, bool) {
        // It was sent before the reply that names it: it is in the socket, also if it is one that the worker was lent.
        let mut inbox = self.inbox.lock();
        let heard = inbox.read(&self.socket);
        let received = inbox.buffers.get(&id).map(|(buffer, _)| buffer.clone());
        drop(inbox);
        (self.lent.lock().buffers.get(&id).and_then(Weak::upgrade).or(received), heard)
    }
}

/// One worker does not get more than half of the descriptors that this process may have.
fn most_buffers() -> usize {
    let allowed = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    allowed.and_then(|allowed| usize::try_from(allowed / 2).ok()).unwrap_or(usize::MAX)
}

impl Inbox {
    /// Takes in what is there now, and no more: one that never stops talking keeps nobody. True: there was something that
    /// the supervisor has to see to.
    fn read(&mut self, socket: &OwnedFd) -> bool {
        self.heard = false;
        let messages = self.receiver.count_waiting(socket);
        // The end of the connection is no message.
        for _ in 0..messages.max(1) {
            if self.has_ended {
                break;
            }
            match self.receiver.receive(socket, false) {
                Received::Message(message, files) => self.take_in(message, files),
                Received::Nothing => break,
                Received::End | Received::Garbage => self.end(),
            }
        }
        self.heard || !self.events.is_empty()
    }

    fn take_in(&mut self, message: Message, files: Vec<OwnedFd>) {
        match message {
            Message::Buffer { id, length } => {
                // What was not sealed, or found no room here, is missed by the one reply that names it.
                let file = files.into_iter().next().filter(|_| self.buffers.len() < self.most_buffers);
                let buffer = file.and_then(|file| Buffer::receive(id, file, length).ok());
                if let Some(buffer) = buffer {
                    let (known, replies) = self.buffers.entry(id).or_insert_with(|| (Arc::new(buffer), 0));
                    let _ = known;
                    *replies += 1;
                }
            }
            Message::Ready { image, initializer } => self.begin(Event::Ready { image, initializer }),
            Message::Failed { text } => self.begin(Event::Failed { text }),
            Message::Bell => self.heard = true,
            // Not for a parent.
            Message::Welcome { .. } | Message::Forget { .. } | Message::Retire => self.end(),
        }
    }

    fn begin(&mut self, event: Event) {
        if std::mem::replace(&mut self.has_begun, true) {
            self.end();
        } else {
            self.events.push(event);
        }
    }

    fn end(&mut self) {
        self.has_ended = true;
        self.events.push(Event::Ended);
    }
}

/// The buffers of one reply, which are given back when it has been read.
pub(crate) struct ReplyBuffers {
    pool: Arc<Pool>,
    link: Arc<Link>,
    used: Mutex<Vec<u64>>,
}

impl ReplyBuffers {
    pub(crate) fn new(pool: Arc<Pool>, link: Arc<Link>) -> Arc<Self> {
        Arc::new(Self { pool, link, used: Mutex::new(Vec::new()) })
    }
}

impl ReplyBuffers {
    /// Runs `read` with the reply that came as the message of that number, if it came. Channels that are in it and were not
    /// taken are closed.
    pub(crate) fn open_parcel(&self, number: u64, read: &mut dyn FnMut(&[u8])) {
        let Some(parcels) = &self.link.parcels else { return };
        parcels.open(number, &mut |contents| {
            if contents.number == number {
                match contents.buffer {
                    None => read(contents.bytes),
                    Some(id) => read(self.find(id).as_ref().map_or(&[], |buffer| buffer.bytes())),
                }
            }
            contents.close_rest();
        });
    }
}

impl Source for ReplyBuffers {
    fn find(&self, id: u64) -> Option<Arc<Buffer>> {
        let (buffer, heard) = self.link.find(id);
        if heard {
            self.pool.call_supervisor();
        }
        let buffer = buffer?;
        let mut used = self.used.lock();
        if !used.contains(&id) {
            used.push(id);
        }
        Some(buffer)
    }
}

impl Drop for ReplyBuffers {
    fn drop(&mut self) {
        self.link.release(self.used.get_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Link};
    use crate::message::Message;
    use crate::system;

    fn heard(messages: &[Message]) -> Vec<Event> {
        let (ours, theirs) = system::socket_pair().unwrap();
        let link = Link::new(ours, None);
        for message in messages {
            message.send(&theirs, &[]).unwrap();
        }
        link.read()
    }

    #[test]
    fn a_worker_is_ready_once() {
        let (message, event) = (Message::Ready { image: 1, initializer: 2 }, Event::Ready { image: 1, initializer: 2 });
        assert_eq!(heard(&[message, Message::Bell, Message::Bell]), [event]);
        assert_eq!(heard(&[message, message, message]), [event, Event::Ended]);
        assert_eq!(heard(&[message, Message::Failed { text: 3 }]), [event, Event::Ended]);
        assert_eq!(heard(&[Message::Failed { text: 3 }, message]), [Event::Failed { text: 3 }, Event::Ended]);
    }

    #[test]
    fn what_only_a_parent_says_is_the_end() {
        for message in [Message::Retire, Message::Welcome { settings: 1 }, Message::Forget { id: 1 }] {
            assert_eq!(heard(&[message, Message::Ready { image: 1, initializer: 2 }]), [Event::Ended]);
        }
    }

    #[test]
    fn the_end_of_the_connection_is_heard_once() {
        let (ours, theirs) = system::socket_pair().unwrap();
        let link = Link::new(ours, None);
        Message::Bell.send(&theirs, &[]).unwrap();
        assert_eq!(link.read(), []);
        assert_eq!(link.read(), []);
        drop(theirs);
        assert_eq!(link.read(), [Event::Ended]);
        assert_eq!(link.read(), []);
    }
}
