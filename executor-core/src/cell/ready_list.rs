//! [`ReadyList`]: the done members of a set that the set has not seen yet, linked through their cells.

use crate::cell::header::Header;
use crate::sync::{AtomicPtr, Mutex, Ordering, futex_waitv, parking};
use executor_wire::panic::contain;
use std::collections::VecDeque;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicBool;
use std::task::Waker;
use std::time::Instant;

/// The head of a list that takes no more.
const CLOSED: *mut Header = ptr::without_provenance_mut(1);
/// The head of an empty list whose set sleeps: the push that replaces it wakes the sleeper.
const SLEEPING: *mut Header = ptr::without_provenance_mut(2);

/// The done members that their set has not seen yet, newest first.
///
/// One word answers both questions of a push, in one atomic step: which member comes before, and does the owner sleep? So a
/// push to a set that is awake touches nothing else.
pub(crate) struct ReadyList {
    head: AtomicPtr<Header>,
    /// An async task polls the set, so a thread that completes a member may have to run its waker.
    polled: AtomicBool,
    /// The sleeper to be woken. Set before SLEEPING is. At worst, one that is left from an earlier sleep is woken in vain.
    sleeper: Mutex<Option<Sleeper>>,
}

/// How the owner of a set waits for the next completion.
#[derive(Clone)]
enum Sleeper {
    /// A thread, in the parking lot under the list's address.
    Thread,
    /// A thread that sleeps on the list's head, and on doorbells.
    MultiWaiter,
    Task(Waker),
}

impl ReadyList {
    pub(crate) fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()), polled: AtomicBool::new(false), sleeper: Mutex::new(None) }
    }

    /// Returns whether an async task polls the set.
    pub(crate) fn is_polled(&self) -> bool {
        self.polled.load(Ordering::Relaxed)
    }

    fn key(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// Pushes a done member; `link` stores its next pointer. Wakes the set if it sleeps.
    pub(crate) fn push(&self, cell: NonNull<Header>, link: impl Fn(*const Header)) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head == CLOSED {
                return;
            }
            link(if head == SLEEPING { ptr::null() } else { head });
            // ORDERING: Release, with the Acquire of `take_into`: publishes the link. Acquire, with the Release of `announce`:
            // the sleeper is seen.
            match self.head.compare_exchange_weak(head, cell.as_ptr(), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        if head == SLEEPING {
            self.wake();
        }
    }

    fn wake(&self) {
        let sleeper = self.sleeper.lock().clone();
        match sleeper {
            None => {}
            Some(Sleeper::Thread) => parking::unpark_all(self.key()),
            Some(Sleeper::MultiWaiter) => futex_waitv::wake(&self.head),
            Some(Sleeper::Task(waker)) => contain(|| waker.wake()),
        }
    }

    pub(crate) fn has_members(&self) -> bool {
        // ORDERING: Acquire, with the Release of `push`.
        let head = self.head.load(Ordering::Acquire);
        !head.is_null() && head != SLEEPING
    }

    /// Names the sleeper that the next push is to wake. Returns false if there are members already.
    fn announce(&self, sleeper: Sleeper) -> bool {
        let before = self.sleeper.lock().replace(sleeper);
        // A waker's drop is user code, so it runs outside the lock.
        drop(before);
        // ORDERING: Release, with the Acquire of `push`: the push that replaces the mark sees the sleeper.
        let mark = self.head.compare_exchange(ptr::null_mut(), SLEEPING, Ordering::Release, Ordering::Relaxed);
        mark.is_ok() || mark == Err(SLEEPING)
    }

    /// Returns the word on which a thread sleeps that also listens to doorbells.
    pub(crate) fn head(&self) -> &AtomicPtr<Header> {
        &self.head
    }

    /// Announces a thread that will sleep on the head, and on doorbells. Returns the word as it is then; `None` if there are
    /// members already.
    pub(crate) fn announce_multi_waiter(&self) -> Option<usize> {
        self.announce(Sleeper::MultiWaiter).then_some(SLEEPING.addr())
    }

    /// Sleeps in the parking lot until there are members or `deadline`; returns false if the deadline came first.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> bool {
        if !self.announce(Sleeper::Thread) {
            return true;
        }
        let asleep = || self.head.load(Ordering::Relaxed) == SLEEPING;
        parking::park(self.key(), asleep, deadline) || self.has_members()
    }

    /// Announces an async task, to be woken by the next push; returns false if there are members already.
    pub(crate) fn announce_task(&self, waker: Waker) -> bool {
        self.announce(Sleeper::Task(waker))
    }

    /// Notes that an async task polls the set from now on; returns whether one did before.
    pub(crate) fn begin_to_poll(&self) -> bool {
        self.polled.swap(true, Ordering::Relaxed)
    }

    /// Takes the whole list, oldest first, into `order`.
    pub(crate) fn take_into(&self, order: &mut VecDeque<usize>) {
        let first = order.len();
        // ORDERING: Acquire, with the Release of `push`: the links are written.
        let head = self.head.swap(ptr::null_mut(), Ordering::Acquire);
        let mut cell = if head == SLEEPING { ptr::null() } else { head.cast_const() };
        // SAFETY: members on the list are kept alive by the set, whose owner calls this.
        while let Some(header) = unsafe { cell.as_ref() } {
            // SAFETY: the push gave the slot to the set.
            let (index, next) = unsafe { header.observer_slot(|slot| std::mem::take(slot).ready_link()) };
            order.push_back(index);
            cell = next;
        }
        order.make_contiguous()[first..].reverse();
    }

    pub(crate) fn close(&self) {
        // ORDERING: Acquire and Release, with those of `push`: a completer that comes later leaves the slot to its handle.
        self.head.swap(CLOSED, Ordering::AcqRel);
    }
}
