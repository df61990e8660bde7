//! What a transport does with one task while it runs.

use executor_core::remote::Phase;

/// A task on a transport, from its input to its reply.
pub(crate) trait Passage {
    /// The transport itself sends the reply of a call when the task is over. Until then all of it stays in scratch.
    const SENDS_REPLY: bool;

    /// Sees to what the transport does as the task enters that phase.
    fn enter(&self, phase: Phase);

    /// Returns why the outcome of an item that was just encoded cannot travel, if it cannot.
    fn refuse_item(&self) -> Option<&'static str>;
}

/// In the shared memory there is nothing to do.
pub(super) struct InMemory;

impl Passage for InMemory {
    const SENDS_REPLY: bool = false;

    #[inline]
    fn enter(&self, _: Phase) {}

    #[inline]
    fn refuse_item(&self) -> Option<&'static str> {
        None
    }
}
