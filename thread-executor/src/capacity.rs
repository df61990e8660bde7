//! The bound of a bounded queue: permits, and the submitters that wait for one.

use crate::sync::{Condvar, Mutex};
use executor_core::Admission;
use executor_core::task::before_blocking;
use std::task::{Context, Poll, Waker};

/// Permits for queued tasks. A permit is taken before a task is queued and given back when it begins, is cancelled, or
/// expires. So a cancelled task frees its permit at once, though the queue still holds its tombstone.
pub(crate) struct Capacity {
    most: usize,
    state: Mutex<State>,
    freed: Condvar,
}

struct State {
    used: usize,
    closed: bool,
    wakers: Vec<Waker>,
    /// With this many wakers all are woken: tasks that still wait come again, and those that gave up are forgotten.
    most_wakers: usize,
}

/// The first `most_wakers`.
const WAKERS: usize = 64;

/// Why there is no permit.
pub(crate) enum NoCapacity {
    Full,
    Closed,
}

impl Capacity {
    pub(crate) fn new(most: usize) -> Self {
        let state = State { used: 0, closed: false, wakers: Vec::new(), most_wakers: WAKERS };
        Self { most, state: Mutex::new(state), freed: Condvar::new() }
    }

    /// Takes a permit. An `own_worker` gets one over the limit unless it only tries: it may be the one that frees permits.
    pub(crate) fn acquire(&self, admission: Admission, own_worker: bool) -> Result<(), NoCapacity> {
        if admission == Admission::Block {
            before_blocking();
        }
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return Err(NoCapacity::Closed);
            }
            if state.used < self.most || own_worker && admission != Admission::Try {
                state.used += 1;
                return Ok(());
            }
            if admission != Admission::Block {
                return Err(NoCapacity::Full);
            }
            self.freed.wait(&mut state);
        }
    }

    /// Frees a permit. Returns all async waiters: if only one were woken and had lost interest, the permit would stay
    /// unused.
    #[must_use = "the wakers have to be woken"]
    pub(crate) fn release(&self) -> Vec<Waker> {
        let mut state = self.state.lock();
        state.used -= 1;
        if state.used >= self.most {
            return Vec::new();
        }
        let wakers = std::mem::take(&mut state.wakers);
        state.most_wakers = WAKERS;
        drop(state);
        self.freed.notify_one();
        wakers
    }

    /// Returns `Ready` if there is a permit, or never will be one again.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut state = self.state.lock();
        if state.closed || state.used < self.most {
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
            executor_core::task::wake_all(wakers);
        }
        Poll::Pending
    }

    /// Ends the giving of permits, and wakes all that wait for one.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.freed.notify_all();
        executor_core::task::wake_all(wakers);
    }
}
