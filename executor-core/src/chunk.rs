//! A chunk of `map`: several inputs that travel as one task, each with an outcome of its own.

use crate::cell::Work;
use crate::current;
use crate::deadline::now;
use crate::error::TaskError;
use crate::executor::Portable;
use crate::outcomes::Outcomes;
use crate::panic::{Panic, catch};
use crate::remote::{ChunkWork, RemoteWork, SingleWork};
use std::time::Duration;

/// The inputs of a chunk, and an empty buffer for its outcomes.
pub(crate) struct Chunk<A, R> {
    pub(crate) f: fn(A) -> R,
    /// Which input of the map is the first.
    pub(crate) first: u64,
    pub(crate) buffers: Buffers<A, R>,
    /// In another process: how many inputs were packed, and how long those that are over took.
    pub(crate) count: usize,
    pub(crate) elapsed: Duration,
    /// The length of their encoded outcomes.
    pub(crate) bytes: usize,
}

/// The two buffers of a chunk. They travel to the worker and back, and are used again.
pub(crate) struct Buffers<A, R> {
    pub(crate) inputs: Vec<A>,
    pub(crate) outcomes: Outcomes<R>,
}

impl<A, R> Buffers<A, R> {
    pub(crate) fn new() -> Self {
        Self { inputs: Vec::new(), outcomes: Outcomes::new() }
    }
}

/// A chunk that ran: as many outcomes as it had inputs, in their order, and how long it took.
pub(crate) struct Done<A, R> {
    pub(crate) buffers: Buffers<A, R>,
    pub(crate) elapsed: Duration,
    /// The length of the encoded outcomes, if they came from another process.
    pub(crate) bytes: Option<usize>,
}

impl<A, R> Chunk<A, R> {
    pub(crate) fn new(f: fn(A) -> R, first: u64, buffers: Buffers<A, R>) -> Self {
        Self { f, first, buffers, count: 0, elapsed: Duration::ZERO, bytes: 0 }
    }
}

impl<A: Portable, R: Portable> Work<Done<A, R>> for Chunk<A, R> {
    const REMOTE: Option<&'static RemoteWork> = Some(ChunkWork::<A, R>::REMOTE);

    fn call(self) -> Done<A, R> {
        let begun = now();
        let Self { f, first, mut buffers, .. } = self;
        let Buffers { inputs, outcomes } = &mut buffers;
        outcomes.reserve(inputs.len());
        let mut inputs_left = inputs.drain(..);
        let task = current::task();
        let info = |done: usize| task.info().for_input(first + done as u64);
        // One catch serves until an item panics; the items after it get another.
        while let Err(caught) = catch(|| {
            for input in inputs_left.by_ref() {
                if task.is_stop_requested() {
                    drop(input);
                    outcomes.push_error(TaskError::Cancelled(info(outcomes.len())));
                } else {
                    outcomes.push_value(f(input));
                }
            }
        }) {
            outcomes.push_error(TaskError::Panicked(Panic::new(info(outcomes.len()), caught)));
        }
        drop(inputs_left);
        Done { buffers, elapsed: begun.map_or(Duration::ZERO, |begun| begun.elapsed()), bytes: None }
    }
}

/// A chunk of one input, for a `map` that has no others: it crosses to another process as a call does.
pub(crate) struct Single<A, R>(pub(crate) Chunk<A, R>);

impl<A: Portable, R: Portable> Work<Done<A, R>> for Single<A, R> {
    const REMOTE: Option<&'static RemoteWork> = Some(SingleWork::<A, R>::REMOTE);

    fn call(self) -> Done<A, R> {
        self.0.call()
    }
}
