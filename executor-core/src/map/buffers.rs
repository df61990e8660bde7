//! What a chunk takes along and brings back: [`Buffers`], [`Done`]; and which inputs it has: [`Span`].

use crate::future::Future;
use crate::map::outcomes::Outcomes;
use std::time::Duration;

/// Which inputs a chunk has.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) count: usize,
}

pub(crate) type ChunkFuture<A, R> = Future<Done<A, R>>;

/// The two buffers of a chunk. They travel to the worker and back, and are used again.
pub(crate) struct Buffers<A, R> {
    pub(crate) inputs: Vec<A>,
    pub(crate) outcomes: Outcomes<R>,
}

impl<A, R> Buffers<A, R> {
    pub(crate) fn new() -> Self {
        Self { inputs: Vec::new(), outcomes: Outcomes::new() }
    }

    /// Returns how many bytes are reserved and hold nothing, once the inputs are gone.
    pub(crate) fn unused(&self) -> usize {
        self.inputs.capacity().saturating_mul(size_of::<A>()).saturating_add(self.outcomes.unused())
    }

    /// Frees what is reserved for the next chunk.
    pub(crate) fn trim(&mut self) {
        self.inputs = Vec::new();
        self.outcomes.shrink();
    }
}

/// A chunk that ran: as many outcomes as it had inputs, in their order, and how long it took.
pub(crate) struct Done<A, R> {
    pub(crate) buffers: Buffers<A, R>,
    pub(crate) elapsed: Duration,
    /// The length of the encoded outcomes, if they came from another process.
    pub(crate) bytes: Option<usize>,
}
