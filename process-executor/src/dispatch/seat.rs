//! A worker as the dispatcher knows it: its ring, and whether it may be given tasks.

use crate::dispatch::relay::Relay;
use crate::dispatch::ring::Ring;
use crate::link::Link;
use process_core::system::Credentials;
use std::sync::Arc;
use std::time::Instant;

/// A worker, as tasks know it.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) ring: Ring,
    pub(crate) link: Arc<Link>,
    /// Carries its inputs and replies, unless its ring does.
    pub(crate) relay: Option<Arc<dyn Relay>>,
    /// It was found dead, or does not take what it is sent; its end follows.
    pub(crate) lost: bool,
    /// Its task takes so long that what waited behind it was taken back. Until the task is over, the worker gets no other.
    pub(crate) stuck: bool,
    /// Its socket had no room for memory that a task needs, and when.
    pub(crate) full: Option<Full>,
    pub(crate) pid: u32,
    /// The rights with which it runs.
    pub(crate) credentials: Credentials,
    pub(crate) state: SeatState,
    /// Tasks that it was given, without those that were taken back.
    pub(crate) dealt: u64,
    pub(crate) done: u64,
    /// When it last had nothing to do.
    pub(crate) idle_since: Option<Instant>,
}

/// A socket with no room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full {
    /// Since when it has taken nothing.
    pub(crate) since: Instant,
    /// When it is to be tried again.
    pub(crate) until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeatState {
    /// It has not said yet that it is ready.
    Starting,
    Ready,
    /// Gets no more tasks.
    Leaving,
}

impl Seat {
    pub(crate) fn new(
        ring: Ring,
        link: Arc<Link>,
        relay: Option<Arc<dyn Relay>>,
        pid: u32,
        credentials: Credentials,
    ) -> Self {
        let state = SeatState::Starting;
        Self {
            ring,
            link,
            relay,
            lost: false,
            stuck: false,
            full: None,
            pid,
            credentials,
            state,
            dealt: 0,
            done: 0,
            idle_since: None,
        }
    }

    /// Returns whether it may be given another task.
    pub(crate) fn takes_tasks(&self, most: u64) -> bool {
        self.state == SeatState::Ready && !self.lost && self.dealt < most
    }

    /// Returns whether it would begin another task at once.
    pub(crate) fn is_free(&self, most: u64) -> bool {
        self.takes_tasks(most) && self.ring.depth() == 0
    }
}
