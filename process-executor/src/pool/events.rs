//! What the supervisor sleeps on, and how it is called.
//!
//! A program that makes itself a daemon may close all descriptors by their numbers, and have files of its own under these numbers
//! soon. So the pool neither writes to a descriptor nor waits for one before the kernel has compared the files: an entry of
//! epoll is found only by the very file and number that it was made for.

use process_core::system::{self, leave};
use rustix::event::epoll;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::io;

/// An instance of epoll, and two descriptors in it.
#[derive(Debug)]
pub(crate) struct Events {
    files: Option<Files>,
}

#[derive(Debug)]
struct Files {
    epoll: OwnedFd,
    /// Readable for ever; its entry is armed once for each call.
    call: OwnedFd,
    /// Never readable.
    witness: OwnedFd,
}

/// The data of the event of a call.
pub(crate) const CALL: u64 = u64::MAX;

impl Events {
    pub(crate) fn new() -> io::Result<Self> {
        let (epoll, call, witness) = (system::epoll()?, system::event_counter(1)?, system::event_counter(0)?);
        let files = Files { epoll, call, witness };
        epoll::add(&files.epoll, &files.call, epoll::EventData::new_u64(CALL), epoll::EventFlags::ONESHOT)?;
        epoll::add(&files.epoll, &files.witness, epoll::EventData::new_u64(CALL), epoll::EventFlags::empty())?;
        Ok(Self { files: Some(files) })
    }

    fn files(&self) -> &Files {
        self.files.as_ref().expect("there until they are dropped")
    }

    /// Returns the instance of epoll, to wait for and to add to.
    pub(crate) fn epoll(&self) -> BorrowedFd<'_> {
        self.files().epoll.as_fd()
    }

    /// Wakes the thread that waits; once, however often it is called before that.
    pub(crate) fn call(&self) {
        let Files { epoll, call, .. } = self.files();
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        // Where that fails, the supervisor finds out by itself.
        let _ = epoll::modify(epoll, call, epoll::EventData::new_u64(CALL), flags);
    }

    /// Returns whether the descriptors are still what they were.
    pub(crate) fn are_ours(&self) -> bool {
        self.are_in(self.epoll())
    }

    /// Returns the same, by another descriptor of that instance.
    pub(crate) fn are_in(&self, epoll: impl AsFd) -> bool {
        epoll::modify(epoll, &self.files().witness, epoll::EventData::new_u64(CALL), epoll::EventFlags::empty()).is_ok()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if !self.are_ours()
            && let Some(Files { epoll, call, witness }) = self.files.take()
        {
            [epoll, call, witness].into_iter().for_each(leave);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CALL, Events};
    use rustix::event::{Timespec, epoll};

    fn heard(events: &Events) -> Vec<u64> {
        let mut space = [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 4];
        let count = epoll::wait(events.epoll(), &mut space[..], Some(&Timespec::default())).unwrap();
        space[..count].iter().map(|event| event.data.u64()).collect()
    }

    #[test]
    fn calls_are_heard_once() {
        let events = Events::new().unwrap();
        assert_eq!(heard(&events), []);
        for _ in 0..3 {
            events.call();
            events.call();
            assert!(events.are_ours());
            assert_eq!(heard(&events), [CALL]);
            assert_eq!(heard(&events), []);
        }
    }

    #[test]
    fn files_of_others_are_left_alone() {
        let (mut events, others) = (Events::new().unwrap(), Events::new().unwrap());
        // Of all its descriptors, one is another's now.
        let mine = others.files().call.try_clone().unwrap();
        let own = std::mem::replace(&mut events.files.as_mut().unwrap().witness, mine);
        assert!(!events.are_ours());
        events.files.as_mut().unwrap().witness = own;
        assert!(events.are_ours());
    }
}
