//! The chunks of a map that are in flight, and those that are done and not handed out yet.
//!
//! ```text
//!  push ──► chunks: a set ──done──► next in turn ──────────────────────► handed out
//!                              └──► early: waits for one before it ──┘
//! ```
//! Every completion is heard of, also that of a chunk whose turn has not come: so the map can pull more inputs while the
//! chunk that comes next takes long.

use crate::chunk::{Buffers, Done};
use crate::chunk_size::ChunkSize;
use crate::completion::CompletionSet;
use crate::error::TaskError;
use crate::future::Future;
use std::collections::BTreeMap;
use std::task::{Context, Poll};
use std::time::Instant;

/// What an outcome is taken to hold on the heap, if it has a destructor: nobody can know.
const HELD_ELSEWHERE: usize = 16 * 1024;

/// Which inputs a chunk has.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) count: usize,
}

pub(crate) type ChunkFuture<A, R> = Future<Done<A, R>>;

/// A chunk that is done, or as much of it as its own task has run.
struct Finished<A, R> {
    count: usize,
    bytes: usize,
    buffers: Buffers<A, R>,
}

/// The chunks in flight, and the done ones that wait for their turn.
pub(crate) struct Window<A, R> {
    chunks: CompletionSet<(Span, ChunkFuture<A, R>)>,
    /// By their place in the order of delivery.
    early: BTreeMap<u64, Finished<A, R>>,
    /// In input order; else in the order of completion.
    ordered: bool,
    /// The place that is delivered next.
    next: u64,
    /// How many chunks have completed, which is their place if they are not in input order.
    arrivals: u64,
    /// Inputs whose outcomes were not handed out, and those of them that are done.
    inputs: usize,
    done: usize,
    /// What the outcomes that wait for their turn take up.
    held: usize,
    pub(crate) chunk_size: ChunkSize,
}

impl<A, R> Window<A, R> {
    pub(crate) fn new(unordered: bool, chunk_size: ChunkSize) -> Self {
        Self {
            chunks: CompletionSet::new(),
            early: BTreeMap::new(),
            ordered: !unordered,
            next: 0,
            arrivals: 0,
            inputs: 0,
            done: 0,
            held: 0,
            chunk_size,
        }
    }

    /// Chunks that are not done, as far as is known.
    pub(crate) fn unfinished(&self) -> usize {
        self.chunks.len()
    }

    /// Chunks that are not handed out.
    pub(crate) fn len(&self) -> usize {
        self.unfinished() + self.early.len()
    }

    /// Inputs that are not handed out.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Inputs that have no outcome, as far as is known.
    pub(crate) fn unfinished_inputs(&self) -> usize {
        self.inputs - self.done
    }

    /// How many bytes the outcomes take up that wait for their turn.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    pub(crate) fn push(&mut self, span: Span, future: ChunkFuture<A, R>) {
        self.inputs += span.count;
        self.chunks.insert((span, future));
    }

    /// Takes in all chunks that are done. Does not wait.
    pub(crate) fn look(&mut self) {
        while let Some(done) = self.chunks.pop() {
            self.note(done);
        }
    }

    /// Waits until another chunk is done; false if there is none, or the limit passes first, which ends then.
    pub(crate) fn wait(&mut self, limit: Option<Option<Instant>>) -> bool {
        let done = match limit {
            Some(deadline) => self.chunks.next_until(deadline),
            None => self.chunks.next(None),
        };
        done.map(|done| self.note(done)).is_some()
    }

    /// As [`wait`](Self::wait), for an async task.
    pub(crate) fn poll_wait(&mut self, cx: &Context<'_>) -> Poll<bool> {
        self.chunks.poll_next(cx).map(|done| done.map(|done| self.note(done)).is_some())
    }

    /// The next chunk that can be handed out, of those that are known to be done.
    pub(crate) fn pop(&mut self) -> Option<Buffers<A, R>> {
        let first = self.early.first_entry()?;
        if self.ordered && *first.key() != self.next {
            return None;
        }
        let Finished { count, bytes, buffers } = first.remove();
        self.next += count as u64;
        self.inputs -= count;
        self.done -= count;
        self.held -= bytes;
        Some(buffers)
    }

    /// Takes in a done chunk.
    fn note(&mut self, (span, future): (Span, ChunkFuture<A, R>)) {
        let finished = match future.result() {
            Ok(Done { buffers, elapsed, bytes }) => {
                let count = buffers.outcomes.len();
                self.chunk_size.learn(count, elapsed);
                let each = size_of::<R>() + if std::mem::needs_drop::<R>() { HELD_ELSEWHERE } else { 0 };
                Finished { count, bytes: bytes.unwrap_or(count.saturating_mul(each)), buffers }
            }
            Err(error) => failed(span, &error),
        };
        self.done += finished.count;
        self.held += finished.bytes;
        let place = if self.ordered { span.first } else { self.arrivals };
        self.arrivals += 1;
        self.early.insert(place, finished);
    }

    /// Cancels what has not begun and asks what runs to stop.
    pub(crate) fn stop(&mut self) {
        (self.inputs, self.done, self.held) = (0, 0, 0);
        self.early.clear();
        // Last first: a worker that goes on from chunk to chunk must not begin what is about to be cancelled.
        let chunks = std::mem::replace(&mut self.chunks, CompletionSet::new());
        chunks.into_members().iter().rev().for_each(|(_, future)| future.stop_gently());
    }
}

/// The chunk as a whole did not run: each of its inputs says so.
fn failed<A, R>(span: Span, error: &TaskError) -> Finished<A, R> {
    let mut buffers = Buffers::new();
    for input in span.first..span.first + span.count as u64 {
        buffers.outcomes.push_error(error.for_input(input));
    }
    Finished { count: span.count, bytes: 0, buffers }
}
