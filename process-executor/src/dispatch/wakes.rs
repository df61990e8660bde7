//! Whom to wake once the pool's lock is released.

use super::entry::Entry;
use super::relay::Relay;
use crate::protocol::layout::Shared;
use std::sync::Arc;
use std::task::Waker;

/// What a change under the lock has made possible for others.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    /// Workers that sleep while there is something before them.
    pub(crate) workers: Vec<Arc<Shared>>,
    /// Relays that were given a task.
    pub(crate) relays: Vec<Arc<dyn Relay>>,
    /// Async submitters that waited for capacity.
    pub(crate) submitters: Vec<Waker>,
    /// A task less counts against the capacity.
    pub(crate) capacity_freed: bool,
    /// No capacity will ever be free again.
    pub(crate) closed: bool,
    pub(crate) supervisor: bool,
    /// A large task whose input is to be moved to shared memory.
    pub(crate) prepare: Option<Entry>,
}
