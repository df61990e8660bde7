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
use crate::parts::{Parts, stop_all};
use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
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

/// In place of that of a chunk: it is done when a part of a chunk was given away.
const SIGNAL: Span = Span { first: u64::MAX, count: 0 };

/// A chunk that is done, or as much of it as its own task has run.
struct Finished<A, R> {
    count: usize,
    bytes: usize,
    buffers: Buffers<A, R>,
}

/// The chunks in flight, and the done ones that wait for their turn.
pub(crate) struct Window<A, R> {
    chunks: CompletionSet<(Span, ChunkFuture<A, R>)>,
    /// Where running chunks leave the parts that they give away.
    parts: Arc<Parts<A, R>>,
    /// The signal for them is among the chunks.
    listens: bool,
    /// Where the parts begin that are not handed out: what was cut off is no longer the chunk's.
    cuts: BTreeSet<u64>,
    /// Sorted by their place in the order of delivery. Most come in at its end.
    early: VecDeque<(u64, Finished<A, R>)>,
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

impl<A: Send + 'static, R: Send + 'static> Window<A, R> {
    pub(crate) fn new(unordered: bool, chunk_size: ChunkSize) -> Self {
        Self {
            chunks: CompletionSet::new(),
            parts: Parts::new(),
            listens: false,
            cuts: BTreeSet::new(),
            early: VecDeque::new(),
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
        self.chunks.len() - usize::from(self.listens)
    }

    /// Where chunks leave parts that they give away.
    pub(crate) fn parts(&self) -> &Arc<Parts<A, R>> {
        &self.parts
    }

    /// Chunks that are not handed out.
    pub(crate) fn len(&self) -> usize {
        self.unfinished() + self.early.len()
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
        if span.count > 1 && !self.listens {
            self.listen();
        }
    }

    /// Hears of the next part that is given away, and takes in those before.
    fn listen(&mut self) {
        self.listens = true;
        self.chunks.insert((SIGNAL, self.parts.listen()));
        self.take_parts();
    }

    fn take_parts(&mut self) {
        for (span, future) in self.parts.take() {
            self.cuts.insert(span.first);
            self.chunks.insert((span, future));
        }
    }

    /// Takes in all chunks that are done. Does not wait.
    pub(crate) fn look(&mut self) {
        while let Some(done) = self.chunks.pop() {
            self.note(done);
        }
    }

    /// Waits until another chunk is done; false if there is none, or the limit passes first, which ends then.
    pub(crate) fn wait(&mut self, limit: Option<Option<Instant>>) -> bool {
        if self.unfinished() == 0 {
            return false;
        }
        let done = match limit {
            Some(deadline) => self.chunks.next_until(deadline),
            None => self.chunks.next(None),
        };
        done.map(|done| self.note(done)).is_some()
    }

    /// As [`wait`](Self::wait), for an async task.
    pub(crate) fn poll_wait(&mut self, cx: &Context<'_>) -> Poll<bool> {
        if self.unfinished() == 0 {
            return Poll::Ready(false);
        }
        self.chunks.poll_next(cx).map(|done| done.map(|done| self.note(done)).is_some())
    }

    /// The next chunk that can be handed out, of those that are known to be done.
    pub(crate) fn pop(&mut self) -> Option<Buffers<A, R>> {
        let &(place, _) = self.early.front()?;
        if self.ordered && place != self.next {
            return None;
        }
        let (_, Finished { count, bytes, buffers }) = self.early.pop_front()?;
        self.next += count as u64;
        self.inputs -= count;
        self.done -= count;
        self.held -= bytes;
        Some(buffers)
    }

    /// Takes in a done chunk.
    fn note(&mut self, (span, future): (Span, ChunkFuture<A, R>)) {
        if span.count == 0 {
            return self.listen();
        }
        // They were given before it was done.
        self.take_parts();
        self.cuts.remove(&span.first);
        let finished = match future.result() {
            Ok(Done { buffers, elapsed, bytes }) => {
                let count = buffers.outcomes.len();
                self.chunk_size.learn(count, elapsed);
                let each = size_of::<R>() + if std::mem::needs_drop::<R>() { HELD_ELSEWHERE } else { 0 };
                Finished { count, bytes: bytes.unwrap_or(count.saturating_mul(each)), buffers }
            }
            Err(error) => {
                let end = span.first + span.count as u64;
                let end = self.cuts.range(span.first..end).next().copied().unwrap_or(end);
                failed(span.first..end, &error)
            }
        };
        self.done += finished.count;
        self.held += finished.bytes;
        let place = if self.ordered { span.first } else { self.arrivals };
        self.arrivals += 1;
        let index = self.early.partition_point(|&(other, _)| other < place);
        self.early.insert(index, (place, finished));
    }
}

impl<A, R> Window<A, R> {
    /// Inputs that are not handed out.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Cancels what has not begun and asks what runs to stop.
    pub(crate) fn stop(&mut self) {
        let parts = self.parts.close();
        (self.inputs, self.done, self.held) = (0, 0, 0);
        self.early.clear();
        self.listens = false;
        let chunks = std::mem::replace(&mut self.chunks, CompletionSet::new());
        stop_all(&parts);
        stop_all(&chunks.into_members());
    }
}

/// The chunk as a whole did not run: each of its inputs says so.
fn failed<A, R>(inputs: Range<u64>, error: &TaskError) -> Finished<A, R> {
    let mut buffers = Buffers::new();
    inputs.for_each(|input| buffers.outcomes.push_error(error.for_input(input)));
    Finished { count: buffers.outcomes.len(), bytes: 0, buffers }
}
