//! The bound of a bounded queue: permits, and those who wait for one.

use crate::sync::{Condvar, Mutex};
use executor_core::Admission;
use executor_core::task::before_blocking;
use std::task::{Context, Poll, Waker};

/// Permits for queued tasks. A permit is taken before a task is queued and given back when it begins, is cancelled, or
/// expires; so a cancelled task makes room at once, though the queue still holds its tombstone.
pub(crate) struct Room {
    capacity: usize,
    state: Mutex<State>,
    freed: Condvar,
}

struct State {
    used: usize,
    closed: bool,
    wakers: Vec<Waker>,
    /// With this many wakers all are woken: those who still wait come again, those who gave up are forgotten.
    most_wakers: usize,
}

/// The first `most_wakers`.
const WAKERS: usize = 64;

/// Why there is no permit.
pub(crate) enum NoRoom {
    Full,
    Closed,
}

impl Room {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State { used: 0, closed: false, wakers: Vec::new(), most_wakers: WAKERS };
        Self { capacity, state: Mutex::new(state), freed: Condvar::new() }
    }

    /// Takes a permit. `own_worker` is let in over the limit: it may be the one that has to make the room.
    pub(crate) fn acquire(&self, admission: Admission, own_worker: bool) -> Result<(), NoRoom> {
        if admission == Admission::Block {
            before_blocking();
        }
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return Err(NoRoom::Closed);
            }
            if state.used < self.capacity || own_worker && admission != Admission::Try {
                state.used += 1;
                return Ok(());
            }
            if admission != Admission::Block {
                return Err(NoRoom::Full);
            }
            self.freed.wait(&mut state);
        }
    }

    /// Gives a permit back. All async waiters are to be woken: one alone might have lost interest, and the room with it.
    #[must_use = "the wakers have to be woken"]
    pub(crate) fn release(&self) -> Vec<Waker> {
        let mut state = self.state.lock();
        state.used -= 1;
        if state.used >= self.capacity {
            return Vec::new();
        }
        let wakers = std::mem::take(&mut state.wakers);
        state.most_wakers = WAKERS;
        drop(state);
        self.freed.notify_one();
        wakers
    }

    /// Ready when a try is worth it: there is a permit, or there never will be.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut state = self.state.lock();
        if state.closed || state.used < self.capacity {
            return Poll::Ready(());
        }
        if state.wakers.iter().any(|known| known.will_wake(&waker)) {
            return Poll::Pending;
        }
        state.wakers.push(waker);
        if state.wakers.len() == state.most_wakers {
            state.most_wakers *= 2;
            let wakers = std::mem::take(&mut state.wakers);
            drop(state);
            crate::wake_all(wakers);
        }
        Poll::Pending
    }

    /// No permits any more: whoever waits is told.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.freed.notify_all();
        crate::wake_all(wakers);
    }
}
