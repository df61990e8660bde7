//! [`Observer`]: the one slot through which a future tells its unique handle, or the set that owns the handle, that it is done.

use crate::cell::header::Header;
use crate::cell::ready_list::ReadyList;
use executor_wire::panic::contain;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::Waker;

/// The party that is told, and how.
#[derive(Default)]
pub(crate) enum Observer {
    #[default]
    None,
    /// An async task that polls the future.
    Waker(Waker),
    /// A set that owns the future, as its member number `index`.
    Set { ready: Arc<ReadyList>, index: usize },
    /// Done, and a link of the set's list of done members.
    Ready { index: usize, next: *const Header },
}

// SAFETY: `next` is a pointer among cells that their set keeps alive; it is followed by the set's owner alone.
unsafe impl Send for Observer {}

impl Observer {
    /// Tells the party in the slot.
    ///
    /// # Safety
    /// The slot of `cell` is the caller's by its transition to DONE, and the caller holds a reference.
    pub(crate) unsafe fn notify(cell: NonNull<Header>) {
        // SAFETY: by contract.
        let header = unsafe { cell.as_ref() };
        // SAFETY: by contract.
        match unsafe { header.observer_slot(std::mem::take) } {
            Self::None | Self::Ready { .. } => {}
            Self::Waker(waker) => contain(|| waker.wake()),
            Self::Set { ready, index } => {
                let link = |next| {
                    // SAFETY: the slot is the caller's until the push publishes it.
                    unsafe { header.observer_slot(|slot| *slot = Self::Ready { index, next }) };
                };
                contain(|| ready.push(cell, link));
            }
        }
    }

    /// Returns whether telling it runs no code of users.
    pub(crate) fn is_quiet(&self) -> bool {
        matches!(self, Self::Set { ready, .. } if !ready.is_polled())
    }

    /// Returns the member number and the next link of a done member.
    pub(crate) fn ready_link(&self) -> (usize, *const Header) {
        match *self {
            Self::Ready { index, next } => (index, next),
            _ => (usize::MAX, ptr::null()),
        }
    }
}
