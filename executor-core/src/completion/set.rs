//! A set of futures that learns of each completion in O(1): no rescan, no lock per future, no allocation per member
//! beyond its place in the set.
//!
//! ```text
//!   member's cell ── observer: Set { ready, index } ──┐ done: the completer pushes the cell itself
//!   member's cell ── observer: Ready { index, next } ◄┴─ ReadyList.head ◄── the set takes the whole list at once
//! ```
//! The list is linked through the members' observer slots. The set owns the members' handles, so a cell on the list
//! lives until the set is closed; after that nothing is pushed and nothing is followed.

use crate::cell::current;
use crate::cell::observer::Observer;
use crate::cell::ready_list::ReadyList;
use crate::completion::member::Member;
use crate::deadline::has_passed;
use crate::fork::Origin;
use crate::waiting::driver;
use crate::waiting::driver::Heard;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

/// Futures, or pairs with one, that are taken out in the order of their completion.
pub(crate) struct CompletionSet<M: Member> {
    members: Vec<Option<M>>,
    free: Vec<usize>,
    list: Arc<ReadyList>,
    /// Members known to be done, in order.
    ready: VecDeque<usize>,
    len: usize,
    /// Members below it are not worth another try at helping.
    helped: usize,
    /// The process in which the members were inserted.
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

    /// Returns a done member, if one is known without waiting.
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

    /// In a fork of the process that inserted the members, finds those that nobody here will end.
    #[cold]
    fn find_left_behind(&mut self) {
        self.origin = Origin::here();
        for (index, member) in self.members.iter().enumerate() {
            let Some(future) = member.as_ref().map(Member::future) else { continue };
            let was_done = future.header().is_done();
            future.end_if_left_behind();
            // SAFETY: the set owns the handle. A slot that is still armed is in no list.
            if !was_done && future.header().is_done() && unsafe { future.header().stop_observing() }.is_some() {
                self.ready.push_back(index);
            }
        }
    }

    /// Returns the next done member, under a limit that ends at `deadline`. A member that is done is returned even if the limit has
    /// passed; only without one it is `None`.
    pub(crate) fn next_until(&mut self, deadline: Option<Instant>) -> Option<M> {
        if let Some(member) = self.pop() {
            return Some(member);
        }
        if has_passed(deadline) { None } else { self.next(deadline) }
    }

    /// Returns the next done member; `None` if the deadline comes first or no member is left.
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
            if !sleep(&self.list, deadline) {
                return self.pop();
            }
        }
    }

    /// Like [`next`](Self::next), for an async task.
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
            if self.list.announce_task(cx.waker().clone()) {
                return Poll::Pending;
            }
        }
    }

    /// Notes that members have an async task to wake from now on.
    fn begin_to_poll(&mut self) {
        if !self.list.begin_to_poll() {
            self.members.iter().flatten().for_each(|member| member.future().clear_quiet());
        }
    }

    /// On a worker, runs one member that waits in the queue of the worker's pool. Tries each member once.
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

    /// Ends the set, and returns the members that are left, in the order of insertion.
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

/// Sleeps until a member is done or `deadline`; returns false if the deadline came first.
fn sleep(list: &ReadyList, deadline: Option<Instant>) -> bool {
    match driver::listen(list.head(), || list.announce_multi_waiter(), deadline) {
        Heard::Done => return true,
        Heard::TimedOut => return list.has_members(),
        Heard::Nothing => {}
    }
    list.park(deadline)
}
