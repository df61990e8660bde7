//! A set of futures that learns of each completion in O(1): no rescan, no lock per future, no allocation per member
//! beyond its place in the set.
//!
//! ```text
//!   member's cell ── observer: Set { ready, index } ──┐ done: the completer pushes the cell itself
//!   member's cell ── observer: Ready { index, next } ◄┴─ ReadyList.head ◄── the set takes the whole list at once
//! ```
//! The list is linked through the members' observer slots. The set owns the members' handles, so a cell on the list
//! lives until the set is closed; after that nothing is pushed and nothing is followed.

use crate::current;
use crate::deadline::has_passed;
use crate::driver::{self, Heard};
use crate::fork::Origin;
use crate::futex_waitv;
use crate::header::Header;
use crate::member::Member;
use crate::observer::Observer;
use crate::panic::contain;
use crate::sync::{AtomicPtr, Mutex, Ordering, parking};
use std::collections::VecDeque;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// The head of a list that takes no more.
const CLOSED: *mut Header = ptr::without_provenance_mut(1);
/// The head of an empty list whose set sleeps: the push that replaces it wakes the sleeper.
const SLEEPING: *mut Header = ptr::without_provenance_mut(2);

/// The done members that their set has not seen yet, newest first.
///
/// One word answers both questions of a push, in one atomic step: what stands before me, and is somebody asleep? So a
/// push to a set that is awake touches nothing else.
pub(crate) struct ReadyList {
    head: AtomicPtr<Header>,
    /// An async task polls the set, so whoever completes a member may have to run its waker.
    polled: AtomicBool,
    /// Who is to be woken. Set before SLEEPING is; what is left here from an earlier sleep is woken for nothing at worst.
    sleeper: Mutex<Option<Sleeper>>,
}

/// Who waits for the next completion.
#[derive(Clone)]
enum Sleeper {
    /// A thread, in the parking lot under the list's address.
    Thread,
    /// A thread that sleeps on the list's head, and on bells.
    Listener,
    Task(Waker),
}

impl ReadyList {
    fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()), polled: AtomicBool::new(false), sleeper: Mutex::new(None) }
    }

    /// Whether an async task polls the set.
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
            // ORDERING: Release publishes the link to the set's Acquire swap; Acquire sees who announced the sleep.
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
            Some(Sleeper::Listener) => futex_waitv::wake(&self.head),
            Some(Sleeper::Task(waker)) => contain(|| waker.wake()),
        }
    }

    fn has_members(&self) -> bool {
        let head = self.head.load(Ordering::Acquire);
        !head.is_null() && head != SLEEPING
    }

    /// Names who is to be woken by the next push; false if there are members already.
    fn announce(&self, sleeper: Sleeper) -> bool {
        let before = self.sleeper.lock().replace(sleeper);
        // A waker's drop is somebody else's code, so it runs outside the lock.
        drop(before);
        // ORDERING: Release: the push that replaces the mark sees the sleeper.
        let mark = self.head.compare_exchange(ptr::null_mut(), SLEEPING, Ordering::Release, Ordering::Relaxed);
        mark.is_ok() || mark == Err(SLEEPING)
    }

    /// Sleeps until a member is done or `deadline`; false if the deadline came first.
    fn sleep(&self, deadline: Option<Instant>) -> bool {
        let announce = || self.announce(Sleeper::Listener).then_some(SLEEPING.addr());
        match driver::listen(&self.head, announce, deadline) {
            Heard::Done => return true,
            Heard::TimedOut => return self.has_members(),
            Heard::Nothing => {}
        }
        if !self.announce(Sleeper::Thread) {
            return true;
        }
        let asleep = || self.head.load(Ordering::Relaxed) == SLEEPING;
        parking::park(self.key(), asleep, deadline) || self.has_members()
    }

    /// Takes the whole list, oldest first, into `order`.
    fn take_into(&self, order: &mut VecDeque<usize>) {
        let first = order.len();
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

    fn close(&self) {
        self.head.swap(CLOSED, Ordering::AcqRel);
    }
}

/// Futures, or pairs with one, of which the done ones are asked for in the order of their completion.
pub(crate) struct CompletionSet<M: Member> {
    members: Vec<Option<M>>,
    free: Vec<usize>,
    list: Arc<ReadyList>,
    /// Members known to be done, in order.
    ready: VecDeque<usize>,
    len: usize,
    /// Members below it are not worth another try at helping.
    helped: usize,
    /// Where its members were put in.
    origin: Origin,
}

impl<M: Member> CompletionSet<M> {
    pub(crate) fn new() -> Self {
        Self {
            members: Vec::new(),
            free: Vec::new(),
            list: Arc::new(ReadyList::new()),
            ready: VecDeque::new(),
            len: 0,
            helped: 0,
            origin: Origin::here(),
        }
    }

    pub(crate) fn reserve(&mut self, more: usize) {
        self.members.reserve(more);
    }

    /// Members not handed out yet, done or not.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn insert(&mut self, member: M) {
        let index = self.free.pop().unwrap_or(self.members.len());
        let observer = Observer::Set { ready: self.list.clone(), index };
        // SAFETY: the set owns the handle; what its last user left in the slot is taken out first.
        let done = unsafe {
            let future = member.future();
            future.stop_observing();
            future.observe(observer).is_err()
        };
        if done {
            self.ready.push_back(index);
        }
        if index == self.members.len() {
            self.members.push(Some(member));
        } else {
            self.members[index] = Some(member);
            self.helped = self.helped.min(index);
        }
        self.len += 1;
    }

    /// A done member, if one is known without waiting.
    pub(crate) fn pop(&mut self) -> Option<M> {
        if self.ready.is_empty() && self.list.has_members() {
            self.list.take_into(&mut self.ready);
        }
        let index = self.ready.pop_front()?;
        let member = self.members[index].take().expect("a member becomes ready once");
        self.free.push(index);
        self.len -= 1;
        Some(member)
    }

    /// In a fork of the process that put the members in: finds those that nobody here will end.
    #[cold]
    fn find_left_behind(&mut self) {
        self.origin = Origin::here();
        for (index, member) in self.members.iter().enumerate() {
            let Some(future) = member.as_ref().map(Member::future) else { continue };
            let was_done = future.header().is_done();
            future.end_if_left_behind();
            // SAFETY: the set owns the handle. A slot that is still armed is in no list.
            if !was_done && future.header().is_done() && unsafe { future.header().stop_observing() } {
                self.ready.push_back(index);
            }
        }
    }

    /// Returns the next done member, for whoever was given a limit that ends then: what is done is given, even if the limit
    /// has passed; only then `None`.
    pub(crate) fn next_until(&mut self, deadline: Option<Instant>) -> Option<M> {
        if let Some(member) = self.pop() {
            return Some(member);
        }
        if has_passed(deadline) { None } else { self.next(deadline) }
    }

    /// The next done member; `None` if the deadline comes first or no member is left.
    pub(crate) fn next(&mut self, deadline: Option<Instant>) -> Option<M> {
        loop {
            if let Some(member) = self.pop() {
                return Some(member);
            }
            if self.len == 0 {
                return None;
            }
            if !self.origin.is_here() {
                self.find_left_behind();
                continue;
            }
            current::run_deferred();
            if self.help() || driver::spin_until(|| self.list.has_members()) {
                continue;
            }
            if !self.list.sleep(deadline) {
                return self.pop();
            }
        }
    }

    /// As [`next`](Self::next), for an async task.
    pub(crate) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<M>> {
        loop {
            if let Some(member) = self.pop() {
                return Poll::Ready(Some(member));
            }
            if self.len == 0 {
                return Poll::Ready(None);
            }
            if !self.origin.is_here() {
                self.find_left_behind();
                continue;
            }
            current::run_deferred();
            if self.help() {
                continue;
            }
            self.begin_to_poll();
            if self.list.announce(Sleeper::Task(cx.waker().clone())) {
                return Poll::Pending;
            }
        }
    }

    /// A waker may be told from now on.
    fn begin_to_poll(&mut self) {
        if !self.list.polled.swap(true, Ordering::Relaxed) {
            self.members.iter().flatten().for_each(|member| member.future().clear_quiet());
        }
    }

    /// On a worker: runs one member that waits in this very pool's queue. Each member is tried once.
    fn help(&mut self) -> bool {
        if current::worker(|_| ()).is_none() {
            return false;
        }
        while self.helped < self.members.len() {
            let member = &self.members[self.helped];
            self.helped += 1;
            if member.as_ref().is_some_and(|member| member.future().help()) {
                return true;
            }
        }
        false
    }

    /// Ends the set and gives back what it still holds, in the order of insertion.
    pub(crate) fn into_members(mut self) -> Vec<M> {
        self.release()
    }

    fn release(&mut self) -> Vec<M> {
        self.list.close();
        let members: Vec<M> = self.members.drain(..).flatten().collect();
        for member in &members {
            // SAFETY: the set owns the handle, and the list is closed: what a completer still does to the slot it does
            // as the slot's owner.
            unsafe { member.future().stop_observing() };
        }
        members
    }
}

impl<M: Member> Drop for CompletionSet<M> {
    fn drop(&mut self) {
        drop(self.release());
    }
}
