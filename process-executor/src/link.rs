//! The parent's end of a worker's socket: what the worker says, and the memory it hands over.

pub(crate) mod arrivals;

use crate::link::arrivals::Arrivals;
use crate::protocol::message::Message;
use crate::protocol::violation::Violation;
use parking_lot::Mutex;
use process_core::intake::{Intake, Taken};
use process_core::memory::Buffer;
use process_core::system::{self, Unfit};
use process_core::untrusted_file::{UntrustedFile, close_with_contents};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{Shutdown, shutdown};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Weak};

/// One worker's socket. A thread that needs what is in it reads it, one at a time.
#[derive(Debug)]
pub(crate) struct Link {
    socket: UntrustedFile,
    identity: Option<(u64, u64)>,
    inbox: Mutex<Inbox>,
    lent: Mutex<Lent>,
}

/// Memory of this process that was lent to the worker.
#[derive(Debug, Default)]
struct Lent {
    buffers: HashMap<u64, Weak<Buffer>>,
    /// With this many it is time to check which of them are in use here.
    look_at: usize,
}

/// With fewer than this they are checked each time.
const FEW: usize = 64;

#[derive(Debug, Default)]
struct Inbox {
    intake: Intake,
    arrivals: Arrivals,
    events: Vec<Event>,
    /// The worker has said that it is ready, or that it has failed, which it may say once.
    has_begun: bool,
    /// The worker is not listened to any more.
    has_ended: bool,
    /// The worker rang in what was read last.
    heard: bool,
}

/// What concerns the worker as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Ready {
        image: u64,
        initializer: u64,
    },
    Failed {
        text: u64,
    },
    /// Its process does not begin, for this reason.
    NotBegun(String),
    /// The worker has closed its connection, most likely by its death. Nothing follows.
    Closed,
    /// What came is not what a worker sends. Nothing follows.
    Refused(Violation),
}

impl Link {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        let identity = system::file_identity(&socket);
        Self { socket: UntrustedFile::new(socket), identity, inbox: Mutex::default(), lent: Mutex::default() }
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Returns whether another thread has read what concerns the worker as a whole, beyond rings.
    pub(crate) fn has_news(&self) -> bool {
        // The thread that has the lock calls the supervisor if there is any.
        self.inbox.try_lock().is_some_and(|inbox| !inbox.events.is_empty())
    }

    /// Returns whether the socket is still what it was: the program may have closed it by its number, which is another file's then.
    pub(crate) fn is_ours(&self) -> bool {
        self.identity.is_none() || system::file_identity(&self.socket) == self.identity
    }

    /// Leaves the socket alone, because the program has closed it by its number.
    pub(crate) fn leave(&self) {
        let mut inbox = self.inbox.lock();
        inbox.has_ended = true;
        inbox.intake.leave();
        inbox.arrivals.leave();
    }

    /// Ends the connection.
    pub(crate) fn shut(&self) {
        if self.is_ours() {
            let _ = shutdown(&self.socket, Shutdown::Both);
        }
    }

    /// Reads what has come; never waits.
    pub(crate) fn read(&self) -> Vec<Event> {
        let mut inbox = self.inbox.lock();
        if self.is_ours() {
            inbox.read(&self.socket);
        }
        std::mem::take(&mut inbox.events)
    }

    /// Lends memory to the worker; never waits. Returns false if the worker has it already.
    pub(crate) fn lend(&self, buffer: &Arc<Buffer>) -> io::Result<bool> {
        let mut lent = self.lent.lock();
        if lent.buffers.get(&buffer.id()).is_some_and(|known| known.strong_count() > 0) {
            return Ok(false);
        }
        // Each costs the worker a descriptor, and its memory stays as long as the worker has it.
        if lent.buffers.len() >= lent.look_at {
            self.forget_among(&mut lent);
        }
        if !self.is_ours() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let message = Message::Buffer { id: buffer.id(), length: buffer.length(), reply: 0 };
        message.send(&self.socket, &[buffer.file().as_fd()])?;
        lent.buffers.insert(buffer.id(), Arc::downgrade(buffer));
        Ok(true)
    }

    /// Tells the worker which memory is not in use here any more.
    pub(crate) fn forget_dropped(&self) {
        self.forget_among(&mut self.lent.lock());
    }

    fn forget_among(&self, lent: &mut Lent) {
        lent.buffers.retain(|&id, buffer| {
            // What cannot be said now is said the next time.
            buffer.strong_count() > 0 || !self.is_ours() || Message::Forget { id }.send(&self.socket, &[]).is_err()
        });
        let left = lent.buffers.len();
        lent.look_at = if left < FEW { 0 } else { 2 * left };
    }

    /// Frees what came for a reply that is done with; `has_looked`: some of it was looked up. Returns whether the supervisor is to be
    /// told that something was read.
    pub(crate) fn release(&self, reply: u64, has_looked: bool) -> bool {
        let mut inbox = self.inbox.lock();
        // All that came for it was sent before it. If nobody has looked for any, it may still be in the socket.
        let heard = !has_looked && self.is_ours() && inbox.read(&self.socket);
        let gone = inbox.arrivals.release(reply);
        drop(inbox);
        drop(gone);
        heard
    }

    /// Finds memory of the worker's, or memory that it was lent. Also returns whether the supervisor is to be told that something
    /// was read.
    pub(crate) fn find(&self, id: u64) -> (Result<Arc<Buffer>, String>, bool) {
        // It was sent before the reply that names it: it is in the socket, also if it is one that the worker was lent.
        let mut inbox = self.inbox.lock();
        let heard = self.is_ours() && inbox.read(&self.socket);
        let arrived = inbox.arrivals.find(id);
        drop(inbox);
        let lent = self.lent.lock().buffers.get(&id).and_then(Weak::upgrade);
        (lent.map_or_else(|| arrived?.read(id), Ok), heard)
    }
}

#[cfg(any(test, fuzzing))]
impl Link {
    /// Returns how much memory is kept here for the reply of that number, or for all.
    pub(crate) fn count_arrivals(&self, reply: Option<u64>) -> usize {
        self.inbox.lock().arrivals.count(reply)
    }
}

impl Drop for Link {
    /// What the worker has sent and was not taken in goes with the last descriptor of its socket.
    fn drop(&mut self) {
        if !self.is_ours() {
            self.leave();
            return self.socket.leave();
        }
        let refused = self.inbox.get_mut().intake.close();
        // From here on no more comes.
        let is_shut = shutdown(&self.socket, Shutdown::Read).is_ok();
        if is_shut && refused.is_empty() && system::bytes_waiting(&self.socket) == 0 {
            self.socket.close_here();
        } else {
            close_with_contents(self.socket.take(), refused);
        }
    }
}

impl Inbox {
    /// Reads only what is queued now, so that a worker that never stops sending cannot block us. Returns whether there was something
    /// that the supervisor has to see to.
    fn read(&mut self, socket: &UntrustedFile) -> bool {
        self.heard = false;
        let mut left = None;
        while !self.has_ended && left != Some(0) {
            match self.intake.take_in(socket) {
                Taken::Some(bytes) => {
                    let before = left.unwrap_or_else(|| system::bytes_waiting(socket).saturating_add(bytes as u64));
                    left = Some(before.saturating_sub(bytes as u64));
                }
                // The end of the connection, if that is behind it, is the next thing to be read.
                Taken::All => left = Some(0),
                Taken::Nothing => break,
                Taken::End => self.end(Event::Closed),
                Taken::Refused(why) => self.refuse(why.into()),
            }
            while let Some(frame) = self.intake.next_frame()
                && !self.has_ended
            {
                match Message::from_worker(frame) {
                    Ok((message, file)) => self.hear(message, file),
                    Err(violation) => self.refuse(violation),
                }
            }
        }
        self.heard || !self.events.is_empty()
    }

    fn hear(&mut self, message: Message, file: Option<UntrustedFile>) {
        match message {
            Message::Buffer { id, length, reply } => {
                match file.map(|file| self.arrivals.add(reply, id, file, length)) {
                    Some(Ok(())) => {}
                    Some(Err(unfit)) => self.refuse(Violation::Unfit(unfit)),
                    None => self.refuse(Violation::NoDescriptor),
                }
            }
            Message::Ready { image, initializer } => self.begin(Event::Ready { image, initializer }),
            Message::Failed { text } => self.begin(Event::Failed { text }),
            Message::Refused { length } => match file.map(|file| read_reason(file, length)) {
                Some(Ok(reason)) => self.begin(Event::NotBegun(reason)),
                Some(Err(unfit)) => self.refuse(Violation::Unfit(unfit)),
                None => self.refuse(Violation::NoDescriptor),
            },
            Message::Doorbell => self.heard = true,
            Message::Welcome { .. } | Message::Forget { .. } | Message::Retire => self.refuse(Violation::NotForParents),
        }
    }

    fn begin(&mut self, event: Event) {
        if std::mem::replace(&mut self.has_begun, true) {
            self.refuse(Violation::BegunTwice);
        } else {
            self.events.push(event);
        }
    }

    /// Takes no more from a worker that did what it must not.
    fn refuse(&mut self, violation: Violation) {
        self.arrivals.note_violation(violation);
        self.end(Event::Refused(violation));
    }

    fn end(&mut self, last: Event) {
        self.has_ended = true;
        self.events.push(last);
    }
}

/// Reads why a process does not begin; the front of it, if it is long.
fn read_reason(file: UntrustedFile, length: u64) -> Result<String, Unfit> {
    const MOST: usize = 4096;
    system::check_sealed(&file, length)?;
    let file = file.into_trusted().ok_or(Unfit::Missing)?;
    let reason = Buffer::map(0, file, length).map_err(|_| Unfit::Missing)?;
    let bytes = reason.bytes();
    Ok(String::from_utf8_lossy(&bytes[..bytes.len().min(MOST)]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{Event, Link};
    use crate::protocol::message::Message;
    use crate::protocol::violation::Violation;
    use process_core::memory::Buffer;
    use process_core::system::{self, Unfit};
    use rustix::fd::AsFd;

    fn heard(messages: &[Message]) -> Vec<Event> {
        let (ours, theirs) = system::socket_pair().unwrap();
        let link = Link::new(ours);
        for message in messages {
            message.send(&theirs, &[]).unwrap();
        }
        link.read()
    }

    #[test]
    fn a_worker_is_ready_once() {
        let (message, event) = (Message::Ready { image: 1, initializer: 2 }, Event::Ready { image: 1, initializer: 2 });
        assert_eq!(heard(&[message, Message::Doorbell, Message::Doorbell]), std::slice::from_ref(&event));
        let end = Event::Refused(Violation::BegunTwice);
        assert_eq!(heard(&[message, message, message]), [event.clone(), end.clone()]);
        assert_eq!(heard(&[message, Message::Failed { text: 3 }]), [event, end.clone()]);
        assert_eq!(heard(&[Message::Failed { text: 3 }, message]), [Event::Failed { text: 3 }, end]);
    }

    #[test]
    fn why_a_process_does_not_begin_is_heard() {
        let (ours, theirs) = system::socket_pair().unwrap();
        let link = Link::new(ours);
        let reason = Buffer::copy_of(b"no reason").unwrap();
        Message::Refused { length: reason.length() }.send(&theirs, &[reason.file().as_fd()]).unwrap();
        assert_eq!(link.read(), [Event::NotBegun("no reason".to_owned())]);
        Message::Refused { length: 1 }.send(&theirs, &[reason.file().as_fd()]).unwrap();
        assert_eq!(link.read(), [Event::Refused(Violation::Unfit(Unfit::OtherLength))]);
        assert_eq!(heard(&[Message::Refused { length: 1 }]), [Event::Refused(Violation::NoDescriptor)]);
    }

    #[test]
    fn what_only_a_parent_says_is_the_end() {
        for message in [Message::Retire, Message::Welcome { settings: 1 }, Message::Forget { id: 1 }] {
            let end = Event::Refused(Violation::NotForParents);
            assert_eq!(heard(&[message, Message::Ready { image: 1, initializer: 2 }]), [end]);
        }
    }

    #[test]
    fn the_end_of_the_connection_is_heard_once() {
        let (ours, theirs) = system::socket_pair().unwrap();
        let link = Link::new(ours);
        Message::Doorbell.send(&theirs, &[]).unwrap();
        assert_eq!(link.read(), []);
        assert_eq!(link.read(), []);
        drop(theirs);
        assert_eq!(link.read(), [Event::Closed]);
        assert_eq!(link.read(), []);
    }
}
