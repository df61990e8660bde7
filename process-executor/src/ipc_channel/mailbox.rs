//! What the pool's threads see of the feeder of one worker: where they leave a task for it, and where they find replies.

use super::message::{Replies, can_open_here};
use crate::dispatch::entry::Entry;
use crate::dispatch::relay::{FindBuffer, ReadReply, Relay};
use crate::link::Link;
use parking_lot::{Condvar, Mutex};
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// How soon a feeder tries again to hand memory to a worker whose socket is full.
const TRY_AGAIN: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    called: Condvar,
    replies: Leavable<Replies>,
}

/// Channels of the worker behind a link. They are dropped as long as the link's socket is ours, and left behind once the program has
/// closed that by its number, as a program does that makes itself a daemon: their numbers are then other files' as well.
#[derive(Debug)]
pub(super) struct Leavable<T> {
    channels: Option<T>,
    link: Arc<Link>,
}

impl<T> Leavable<T> {
    pub(super) fn new(channels: T, link: &Arc<Link>) -> Self {
        Self { channels: Some(channels), link: link.clone() }
    }
}

impl<T> Deref for Leavable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.channels.as_ref().expect("there until they are dropped")
    }
}

impl<T> Drop for Leavable<T> {
    fn drop(&mut self) {
        if !self.link.is_ours() {
            let _ = ManuallyDrop::new(self.channels.take());
        }
    }
}

#[derive(Debug, Default)]
struct State {
    load: Option<Entry>,
    closed: bool,
}

impl Mailbox {
    pub(super) fn new(replies: Leavable<Replies>) -> Self {
        Self { state: Mutex::default(), called: Condvar::new(), replies }
    }

    /// Waits for the next task. Returns `None` when the worker is gone.
    pub(super) fn next(&self) -> Option<Entry> {
        let mut state = self.state.lock();
        loop {
            if let Some(entry) = state.load.take() {
                return Some(entry);
            }
            if state.closed {
                return None;
            }
            self.called.wait(&mut state);
        }
    }

    /// Waits a moment. Returns false if the worker is gone.
    pub(super) fn pause(&self) -> bool {
        let mut state = self.state.lock();
        if !state.closed {
            self.called.wait_for(&mut state, TRY_AGAIN);
        }
        !state.closed
    }

    /// Takes the replies out of the worker's channel, so that the worker finds room for more; never waits.
    pub(super) fn pull_replies(&self) {
        self.replies.pull();
    }
}

impl Relay for Mailbox {
    fn load(&self, entry: Entry) {
        self.state.lock().load = Some(entry);
    }

    fn wake(&self) {
        self.called.notify_one();
    }

    fn close(&self) -> Option<Entry> {
        let mut state = self.state.lock();
        state.closed = true;
        self.called.notify_one();
        state.load.take()
    }

    /// Closes the channels in the reply that its value has not taken.
    fn read_reply(&self, number: u64, find: &FindBuffer<'_>, read: &mut ReadReply<'_>) {
        self.replies.open(number, &mut |contents| {
            if contents.number == number {
                match contents.buffer {
                    None => read(Ok(contents.bytes)),
                    Some(id) => {
                        let buffer = find(id);
                        read(buffer.as_ref().map(|buffer| buffer.bytes()).map_err(Clone::clone));
                    }
                }
            }
            contents.close_rest();
        });
    }

    fn can_read_here(&self) -> bool {
        can_open_here()
    }
}
