//! [`Window`]: the chunks of a map that are in flight, and those that are done and not handed out yet.
//!
//! ```text
//!  push ──► chunks: a set ──done──► next in turn ──────────────────────► handed out
//!                              └──► early: waits for one before it ──┘
//! ```
//! The window hears of every completion, also of a chunk whose turn has not come. So the map can pull more inputs while the
//! next chunk takes long.

use crate::completion::set::CompletionSet;
use crate::error::TaskError;
use crate::map::buffers::{Buffers, ChunkFuture, Done, Span};
use crate::map::chunk_size::ChunkSize;
use crate::map::parts::{Parts, stop_all};
use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

/// What an error, or a value with a destructor, is assumed to hold on the heap, which nobody can know.
const HELD_ELSEWHERE: usize = 16 * 1024;
/// The least that a value counts, so that values without a size have a bound, too.
const LEAST_HELD: usize = 8;

/// Stands for a future that is done when a part of a chunk was given away, in place of the inputs of a chunk.
const SIGNAL: Span = Span { first: u64::MAX, count: 0 };

/// A chunk that is done, or as much of it as its own task has run.
struct Finished<A, R> {
    count: usize,
    bytes: usize,
    buffers: Buffers<A, R>,
}

impl<A, R> Finished<A, R> {
    /// `encoded` is the length of the encoded outcomes, if they came from another process.
    fn new(buffers: Buffers<A, R>, encoded: Option<usize>) -> Self {
        let (count, errors) = (buffers.outcomes.len(), buffers.outcomes.errors());
        let values = count - errors;
        let elsewhere =
            if std::mem::needs_drop::<R>() { encoded.unwrap_or(values.saturating_mul(HELD_ELSEWHERE)) } else { 0 };
        let bytes = size_of::<(u64, Self)>()
            .saturating_add(values.saturating_mul(size_of::<R>().max(LEAST_HELD)))
            .saturating_add(errors.saturating_mul(HELD_ELSEWHERE))
            .saturating_add(elsewhere);
        Self { count, bytes, buffers }
    }
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
    /// Inputs whose outcomes were not handed out.
    inputs: usize,
    /// What the outcomes that wait for their turn take up.
    held: usize,
    /// So many chunks may keep the buffers of their inputs for the next ones.
    usual: usize,
    pub(crate) chunk_size: ChunkSize,
}

impl<A: Send + 'static, R: Send + 'static> Window<A, R> {
    pub(crate) fn new(unordered: bool, usual: usize, chunk_size: ChunkSize) -> Self {
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
            held: 0,
            usual,
            chunk_size,
        }
    }

    /// Returns how many chunks are not done, as far as is known.
    pub(crate) fn unfinished(&self) -> usize {
        self.chunks.len() - usize::from(self.listens)
    }

    /// Returns where chunks leave the parts that they give away.
    pub(crate) fn parts(&self) -> &Arc<Parts<A, R>> {
        &self.parts
    }

    /// Returns how many chunks are not handed out.
    pub(crate) fn len(&self) -> usize {
        self.unfinished() + self.early.len()
    }

    /// Returns how many bytes the outcomes take up that wait for their turn.
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

    /// Arms the signal for the next part that is given away, and takes in those before.
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
    pub(crate) fn take_done(&mut self) {
        while let Some(done) = self.chunks.pop() {
            self.note(done);
        }
    }

    /// Waits until another chunk is done. Returns false if there is none, or the limit passes first, which ends at this moment.
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

    /// Like [`wait`](Self::wait), for an async task.
    pub(crate) fn poll_wait(&mut self, cx: &Context<'_>) -> Poll<bool> {
        if self.unfinished() == 0 {
            return Poll::Ready(false);
        }
        self.chunks.poll_next(cx).map(|done| done.map(|done| self.note(done)).is_some())
    }

    /// Returns the next chunk that can be handed out, of those that are known to be done.
    pub(crate) fn pop(&mut self) -> Option<Buffers<A, R>> {
        let &(place, _) = self.early.front()?;
        if self.ordered && place != self.next {
            return None;
        }
        let (_, Finished { count, bytes, buffers }) = self.early.pop_front()?;
        self.next += count as u64;
        self.inputs -= count;
        self.held = self.held.saturating_sub(bytes);
        Some(buffers)
    }

    /// Takes in a done chunk.
    fn note(&mut self, (span, future): (Span, ChunkFuture<A, R>)) {
        if span.count == 0 {
            return self.listen();
        }
        // The parts of a chunk were given before it was done.
        self.take_parts();
        self.cuts.remove(&span.first);
        let mut finished = match future.result() {
            Ok(Done { buffers, elapsed, bytes }) => {
                self.chunk_size.learn(buffers.outcomes.len(), elapsed);
                Finished::new(buffers, bytes)
            }
            Err(error) => {
                let end = span.first + span.count as u64;
                let end = self.cuts.range(span.first..end).next().copied().unwrap_or(end);
                failed(span.first..end, &error)
            }
        };
        let place = if self.ordered { span.first } else { self.arrivals };
        if self.len() >= self.usual {
            if self.is_blocked(place) {
                finished.buffers.trim();
            }
            finished.bytes = finished.bytes.saturating_add(finished.buffers.unused());
        }
        self.held = self.held.saturating_add(finished.bytes);
        self.arrivals += 1;
        let index = self.early.partition_point(|&(other, _)| other < place);
        self.early.insert(index, (place, finished));
    }

    /// Returns whether a chunk that takes this place must wait for one before it that is not done.
    fn is_blocked(&self, place: u64) -> bool {
        self.ordered && self.early.front().map_or(place, |&(first, _)| first.min(place)) != self.next
    }
}

impl<A, R> Window<A, R> {
    /// Returns how many inputs are not handed out.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Cancels the chunks that have not begun, and asks those that run to stop.
    pub(crate) fn stop(&mut self) {
        let parts = self.parts.close();
        (self.inputs, self.held) = (0, 0);
        self.early.clear();
        self.listens = false;
        let chunks = std::mem::replace(&mut self.chunks, CompletionSet::new());
        stop_all(&parts);
        stop_all(&chunks.into_members());
    }
}

/// Returns the outcomes of a chunk that did not run as a whole: each of its inputs has the error.
fn failed<A, R>(inputs: Range<u64>, error: &TaskError) -> Finished<A, R> {
    let mut buffers = Buffers::new();
    inputs.for_each(|input| buffers.outcomes.push_error(error.for_input(input)));
    Finished::new(buffers, None)
}

#[cfg(test)]
mod tests {
    use super::{HELD_ELSEWHERE, LEAST_HELD, Span, Window};
    use crate::error::TaskError;
    use crate::future::Promise;
    use crate::map::buffers::Buffers;
    use crate::map::buffers::Done;
    use crate::map::chunk_size::ChunkSize;
    use std::time::Duration;

    const USUAL: u64 = 4;

    type Input = [u8; 1024];

    /// Makes a window whose first chunk is not done, and puts `count` done ones of one input behind it.
    fn behind_a_slow_one<R: Send + 'static>(
        count: u64,
        outcome: impl Fn() -> Result<R, TaskError>,
    ) -> (Window<Input, R>, Promise<Done<Input, R>>) {
        let mut window = Window::new(false, USUAL as usize, ChunkSize::new(Some(1), 1));
        let (slow, future) = Promise::new();
        window.push(Span { first: 0, count: 1 }, future);
        for first in 1..=count {
            let mut buffers = Buffers::new();
            buffers.inputs.reserve(1);
            match outcome() {
                Ok(value) => buffers.outcomes.push_value(value),
                Err(error) => buffers.outcomes.push_error(error),
            }
            let (promise, future) = Promise::new();
            window.push(Span { first, count: 1 }, future);
            assert!(promise.set_result(Done { buffers, elapsed: Duration::ZERO, bytes: None }).is_ok());
            window.take_done();
        }
        (window, slow)
    }

    #[test]
    fn every_outcome_that_waits_counts() {
        assert!(behind_a_slow_one(100, || Ok(())).0.held() >= 100 * LEAST_HELD);
        assert!(behind_a_slow_one(100, || Ok(0_u64)).0.held() >= 100 * size_of::<u64>());
        assert!(behind_a_slow_one(100, || Ok(String::new())).0.held() >= 100 * HELD_ELSEWHERE);
        assert!(behind_a_slow_one::<()>(100, || Err(TaskError::Taken)).0.held() >= 100 * HELD_ELSEWHERE);
    }

    #[test]
    fn chunks_that_wait_give_up_the_buffers_of_their_inputs() {
        let (mut window, slow) = behind_a_slow_one(100, || Ok(0_u64));
        let kept = window.early.iter().filter(|(_, finished)| finished.buffers.inputs.capacity() > 0).count();
        assert!(kept <= USUAL as usize, "{kept} of 100 chunks keep them");
        let mut buffers = Buffers::new();
        buffers.outcomes.push_value(0);
        assert!(slow.set_result(Done { buffers, elapsed: Duration::ZERO, bytes: None }).is_ok());
        window.take_done();
        assert_eq!(std::iter::from_fn(|| window.pop()).count(), 101);
        assert_eq!((window.held(), window.inputs()), (0, 0), "what is handed out does not count");
    }
}
