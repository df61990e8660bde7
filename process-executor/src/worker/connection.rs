//! The worker's end of the socket: memory that comes in, the order to retire, and the parent's death.

use super::ending::end_group;
use crate::protocol::attachments::Source;
use crate::protocol::layout::{LastWord, Shared};
use crate::protocol::message::{self, Message, Received};
use executor_core::task::guarded;
use parking_lot::{Condvar, Mutex};
use process_core::attachments::Attachment;
use process_core::frame;
use process_core::memory::Buffer;
use process_core::system;
use process_core::waking::DoorbellWord;
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::Pid;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the connection's thread shares with the worker's.
pub(crate) struct Connection {
    socket: OwnedFd,
    shared: Arc<Shared>,
    identity: Option<(u64, u64)>,
    parent: Option<Pid>,
    retiring: AtomicBool,
    /// Memory of the parent's, or why it could not be taken in.
    buffers: Mutex<HashMap<u64, Result<Arc<Buffer>, String>>>,
    arrived: Condvar,
}

impl Connection {
    /// Listens from now on, on a thread of its own.
    pub(super) fn start(
        socket: OwnedFd,
        parent: Option<Pid>,
        receiver: frame::Receiver,
        shared: Arc<Shared>,
    ) -> io::Result<Arc<Self>> {
        let connection = Arc::new(Self {
            identity: system::file_identity(&socket),
            parent,
            socket,
            shared,
            retiring: AtomicBool::new(false),
            buffers: Mutex::new(HashMap::new()),
            arrived: Condvar::new(),
        });
        let listener = connection.clone();
        let listen = move || {
            if guarded("connection", || listener.listen(receiver)).is_err() {
                // Without this thread the parent's end would not be noticed.
                end_group(&listener.shared, LastWord::Panicked);
            }
        };
        std::thread::Builder::new().name("connection".to_owned()).stack_size(256 * 1024).spawn(listen)?;
        Ok(connection)
    }

    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    pub(super) fn is_retiring(&self) -> bool {
        // ORDERING: Acquire, with the Release in `Connection::listen`: all tasks were handed over before.
        self.retiring.load(Ordering::Acquire)
    }

    fn listen(&self, mut receiver: frame::Receiver) {
        loop {
            match message::receive(&mut receiver, &self.socket, true) {
                Received::Message(Message::Buffer { id, length, .. }, files) => self.take_in(id, length, files),
                Received::Message(Message::Forget { id }, _) => {
                    let forgotten = self.buffers.lock().remove(&id);
                    drop(forgotten);
                }
                Received::Message(Message::Retire, _) => {
                    // ORDERING: Release, with the Acquire in `is_retiring`.
                    self.retiring.store(true, Ordering::Release);
                    self.shared.asleep().call();
                }
                // The parent is gone, but a process that it forked has its end of the socket.
                Received::Nothing if system::parent() != self.parent => self.end(),
                Received::Message(..) | Received::Nothing => {}
                // The parent is gone, or speaks another language: what runs here runs for nobody.
                Received::End | Received::Garbage => self.end(),
            }
        }
    }

    fn take_in(&self, id: u64, length: u64, files: Vec<OwnedFd>) {
        let no_room = || io::Error::other("no room for its descriptor; raise the limit on open files");
        let file = files.into_iter().next().ok_or_else(no_room);
        let buffer = file.and_then(|file| Buffer::receive(id, file, length));
        // A task that needs memory that could not be taken in is told so, instead of waiting.
        let buffer = buffer.map(Arc::new).map_err(|error| error.to_string());
        self.buffers.lock().insert(id, buffer);
        self.arrived.notify_all();
    }

    /// Returns the buffer of that number, which was sent before the task that needs it, and may still be on its way.
    pub(crate) fn buffer(&self, id: u64) -> Result<Arc<Buffer>, String> {
        let mut buffers = self.buffers.lock();
        loop {
            if let Some(buffer) = buffers.get(&id) {
                return buffer.clone();
            }
            self.arrived.wait(&mut buffers);
        }
    }

    /// Wakes a thread of the parent that sleeps for results, or, if there is none, the supervisor.
    pub(super) fn wake_listener(&self, bell: &DoorbellWord) {
        self.check();
        if !bell.wake_listener() {
            self.send(Message::Doorbell, None);
        }
    }

    /// Returns whether the socket is still what it was: a task may have closed all descriptors, and its number may be another file's now.
    fn check(&self) {
        if self.identity.is_none() || system::file_identity(&self.socket) != self.identity {
            self.end();
        }
    }

    /// Ends this process: without a connection it is of no use.
    fn end(&self) -> ! {
        end_group(&self.shared, LastWord::Disconnected)
    }

    /// Sends a message.
    pub(super) fn send(&self, message: Message, file: Option<&OwnedFd>) {
        self.check();
        let files = file.map(AsFd::as_fd);
        loop {
            match message.send(&self.socket, files.as_slice()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && message != Message::Doorbell => {
                    // The parent does not read at the moment; it will, or the connection ends.
                    std::thread::yield_now();
                }
                // A socket that is full has rings in it.
                _ => return,
            }
        }
    }
}

impl Source for Connection {
    fn find(&self, id: u64) -> Result<Arc<dyn Attachment>, String> {
        self.buffer(id).map(|buffer| buffer as _)
    }
}
