//! [`Map`]: the outcomes of one function on many inputs.
//!
//! ```text
//! inputs ──pull──► chunk ──submit──► window of futures ──wait──► done chunk ──► outcomes, one by one
//!            ▲                                                       │
//!            └── only while the buffer has room                      └── its buffers go back for the next chunk
//! ```

mod buffers;
mod chunk;
mod chunk_size;
mod chunk_work;
mod options;
mod outcomes;
pub(crate) mod pace;
mod parts;
mod single_work;
mod window;

pub use options::MapOptions;

use crate::cell::task::Task;
use crate::completion::IntoStream;
use crate::deadline::{deadline_after, has_passed};
use crate::error::{Expired, SubmitError, TaskError};
use crate::executor::{Admission, Executor, Rejected, Rejection};
use crate::future::Future;
use crate::map::buffers::{Buffers, ChunkFuture, Done, Span};
use crate::map::chunk::Chunk;
use crate::map::chunk_size::ChunkSize;
use crate::map::single_work::Single;
use crate::map::window::Window;
use crate::options::TaskOptions;
use crate::task::before_blocking;
use crate::waiting::block_until::block_until;
use executor_wire::Portable;
use executor_wire::panic::contain;
use executor_wire::panic::contain_with_text;
use futures_core::Stream;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Chunks in flight for each worker, unless a buffer was given: one that runs and others that are ready, so that neither worker
/// nor reader waits for the other.
const CHUNKS_PER_WORKER: usize = 4;
/// How many buffers are kept for chunks to come.
const MOST_SPARE: usize = 64;
/// How many bytes of outcomes, for each worker, may wait for an earlier one while the workers go on, unless a buffer was given:
/// some hundred large outcomes, or half a million small ones.
const HELD_PER_WORKER: usize = 4 * 1024 * 1024;

/// The iterator of [`ExecutorExt::map`](crate::ExecutorExt::map), and a `Stream` (see
/// [`into_stream`](Self::into_stream)): one `Result<R, TaskError>` for each input, in input order unless asked otherwise.
///
/// - It goes on after an error: each input has an outcome of its own, also inside a chunk.
/// - It pulls inputs as outcomes are read, with a bounded number in flight. `next` pulls them, in the reading thread. While the
///   next outcome in input order takes long, the workers go on with later inputs, whose outcomes wait: about four mebibytes for
///   each worker, unless a [`buffer`](MapOptions::buffer) was given.
/// - Outcomes that are there are delivered even if the [time](MapOptions::timeout) is up by then; in input order, those up to
///   the first that is not done.
/// - Dropping it cancels the inputs that have not begun, and raises the stop flag of those that run.
/// - If the executor stops taking tasks midway, the outcomes of the submitted inputs come first, then one
///   [`TaskError::Refused`], then the end: a short result always says so.
/// - If the input iterator panics, the outcomes of the inputs before come first, then the panic goes on, in `next`.
///
/// ```
/// use executor_core::{ExecutorExt, SerialExecutor};
///
/// let executor = SerialExecutor::new();
/// let outcomes: Vec<_> = executor.map(|n: u32| 100 / n, [5, 0, 20]).collect();
/// assert_eq!(*outcomes[0].as_ref().unwrap(), 20);
/// assert!(outcomes[1].as_ref().unwrap_err().is_panic());
/// assert_eq!(*outcomes[2].as_ref().unwrap(), 5);
/// ```
#[must_use = "dropping it cancels what has not begun"]
pub struct Map<'e, E: ?Sized, A, R, I> {
    executor: &'e E,
    f: fn(A) -> R,
    source: Source<I>,
    window: Window<A, R>,
    workers: usize,
    /// Each input travels alone.
    alone: bool,
    capacity: Capacity,
    /// The chunk that is being handed out.
    current: Option<Buffers<A, R>>,
    /// Inputs that were pulled, and for which the executor's queue had no room.
    held: Option<Buffers<A, R>>,
    /// Buffers for chunks to come.
    spare: Vec<Buffers<A, R>>,
    limit: Option<Limit>,
    /// The limit on each input's run.
    run_limit: Option<Duration>,
    /// Inputs pulled so far.
    pulled: u64,
    delivered: u64,
    location: &'static Location<'static>,
}

/// The inputs that are left to pull, and how they ended.
enum Source<I> {
    Open(I),
    /// Nothing is left to pull. How it ended may still have to be told.
    Ended(Option<Ending>),
}

enum Ending {
    Panicked(Box<dyn Any + Send>),
    Refused(SubmitError),
}

/// How much may be in flight.
enum Capacity {
    Chunks {
        most: usize,
        /// Bytes of outcomes that may wait for their turn beyond that.
        held: usize,
    },
    Inputs(usize),
}

/// The total limit of time.
struct Limit {
    length: Duration,
    /// `None`: beyond the clock's end.
    deadline: Option<Instant>,
    /// Wakes the stream when the limit passes; made by the first poll.
    alarm: Option<(Task, Future<()>)>,
}

impl<'e, E, A, R, I> Map<'e, E, A, R, I>
where
    E: Executor + ?Sized,
    A: Portable,
    R: Portable,
    I: Iterator<Item = A>,
{
    /// Returns the same as a `Stream` and nothing else. With `StreamExt` imported, `next` and `map` of a type that is also an
    /// iterator would be ambiguous.
    pub fn into_stream(self) -> IntoStream<Self> {
        IntoStream::new(self)
    }

    pub(crate) fn start(
        executor: &'e E,
        options: MapOptions,
        f: fn(A) -> R,
        inputs: I,
        location: &'static Location<'static>,
    ) -> Self {
        let workers = executor.workers().max(1);
        // An input that runs for too long would hold up its chunk if nobody can end it.
        let alone = options.chunk_size == Some(1) || options.run_timeout.is_some() && !executor.can_end_tasks();
        let chunk_size = if alone { Some(1) } else { options.chunk_size };
        let usual = workers.saturating_mul(CHUNKS_PER_WORKER);
        let (capacity, most) = match options.buffer {
            // So that all workers have a chunk, and one is being handed out.
            Some(inputs) => {
                (Capacity::Inputs(inputs), chunk_size.unwrap_or(inputs / workers.saturating_mul(2)).clamp(1, inputs))
            }
            None => (Capacity::Chunks { most: usual, held: workers.saturating_mul(HELD_PER_WORKER) }, usize::MAX),
        };
        let mut map = Self {
            executor,
            f,
            source: Source::Open(inputs),
            window: Window::new(options.unordered, usual, ChunkSize::new(chunk_size, most)),
            workers,
            alone,
            capacity,
            current: None,
            held: None,
            spare: Vec::new(),
            limit: options.timeout.map(|length| Limit { length, deadline: deadline_after(length), alarm: None }),
            run_limit: options.run_timeout,
            pulled: 0,
            delivered: 0,
            location,
        };
        map.fill(map.admission());
        map
    }

    /// Returns how many inputs the next chunk may have; none if the buffer is full.
    fn room_for_chunk(&self) -> usize {
        let (window, size) = (&self.window, self.window.chunk_size.get());
        match self.capacity {
            Capacity::Chunks { most, held } => {
                let is_free = window.unfinished() < most && (window.len() < most || window.held() < held);
                if is_free { size } else { 0 }
            }
            Capacity::Inputs(most) => {
                let handing_out = self.current.as_ref().map_or(0, |current| current.outcomes.len());
                let free = most.saturating_sub(window.inputs() + handing_out);
                // A chunk is not made smaller because a few inputs of the last one are still being handed out.
                if free < size && window.len() > 0 && handing_out > 0 { 0 } else { free.min(size) }
            }
        }
    }

    /// Returns what a full queue does to a reader that blocks. A reader with a limit must be able to wait for room until then.
    fn admission(&self) -> Admission {
        if self.limit.is_some() { Admission::Async } else { Admission::Block }
    }

    /// Pulls and submits chunks while the buffer has room. Returns false if the executor's queue has none.
    fn fill(&mut self, admission: Admission) -> bool {
        loop {
            let size = self.room_for_chunk();
            if self.held.is_none() && (size == 0 || matches!(self.source, Source::Ended(_))) {
                return true;
            }
            let Some(buffers) = self.held.take().or_else(|| self.pull(size)) else { continue };
            let span = Span { first: self.pulled, count: buffers.inputs.len() };
            let (task, future) = self.task_for(Chunk::new(self.f, span.first, buffers, self.window.parts().clone()));
            match self.executor.submit_task(task, admission) {
                Ok(()) => {
                    self.window.push(span, future);
                    self.pulled += span.count as u64;
                }
                Err(Rejected { task, reason: Rejection::Full }) => {
                    self.put_back(task, &future);
                    return false;
                }
                Err(Rejected { reason: Rejection::Refused(error), .. }) => self.refuse(error),
            }
        }
    }

    /// Ends the iteration with a refusal, also if the input has panicked, since the refused inputs came before the panic. The panic
    /// hook has reported the panic.
    fn refuse(&mut self, error: SubmitError) {
        let before = std::mem::replace(&mut self.source, Source::Ended(Some(Ending::Refused(error))));
        if let Source::Ended(Some(Ending::Panicked(payload))) = before {
            contain(|| drop(payload));
        }
    }

    /// Returns inputs for a chunk, if there are any. Notes how the source ended.
    fn pull(&mut self, size: usize) -> Option<Buffers<A, R>> {
        let mut buffers = self.spare.pop().unwrap_or_else(Buffers::new);
        let Source::Open(source) = &mut self.source else {
            return None;
        };
        let (chunk_size, workers) = (&self.window.chunk_size, self.workers);
        // Unwind safety: after a panic the source is dropped and never asked again.
        let pulled = catch_unwind(AssertUnwindSafe(|| {
            let size = chunk_size.bounded(size, source.size_hint().1, workers);
            buffers.inputs.extend(source.by_ref().take(size));
            buffers.inputs.len() < size
        }));
        match pulled {
            Ok(false) => {}
            Ok(true) => self.source = Source::Ended(None),
            Err(payload) => self.source = Source::Ended(Some(Ending::Panicked(payload))),
        }
        (!buffers.inputs.is_empty()).then_some(buffers)
    }

    fn task_for(&self, chunk: Chunk<A, R>) -> (Task, ChunkFuture<A, R>) {
        let options = self.run_limit.map(|limit| TaskOptions::new().run_timeout(limit));
        if self.alone {
            Task::from_work(Single(chunk), options, self.location)
        } else {
            Task::from_work(chunk, options, self.location)
        }
    }

    /// Keeps the inputs of a chunk for which the queue had no room.
    fn put_back(&mut self, task: Task, future: &ChunkFuture<A, R>) {
        let chunk = if self.alone {
            // SAFETY: task and future were made in `task_for`, with these types.
            unsafe { task.recover::<Done<A, R>, Single<A, R>>(future) }.0
        } else {
            // SAFETY: as above.
            unsafe { task.recover::<Done<A, R>, Chunk<A, R>>(future) }
        };
        self.held = Some(chunk.buffers);
    }

    /// Returns the next outcome of the chunk that is being handed out. Always inlined: a call, which returns through memory, would
    /// cost more than all else that is done for a small input.
    #[inline(always)]
    fn hand_out(&mut self) -> Option<Result<R, TaskError>> {
        let outcome = self.current.as_mut()?.outcomes.pop();
        if outcome.is_some() {
            self.delivered += 1;
        } else if let Some(buffers) = self.current.take()
            && self.spare.len() < MOST_SPARE
        {
            self.spare.push(buffers);
        }
        outcome
    }

    /// Waits for the next chunk and hands out its first outcome.
    #[cold]
    fn next_of_another_chunk(&mut self) -> Option<Result<R, TaskError>> {
        loop {
            // Outcomes that are there are delivered, whatever the time; the inputs that take their place are submitted first.
            let expired = self.has_expired();
            self.window.take_done();
            let room = expired || self.fill(self.admission());
            self.current = self.window.pop();
            if let Some(outcome) = self.hand_out() {
                return Some(outcome);
            }
            if self.is_exhausted() {
                return self.end();
            }
            if !self.wait(room) && self.has_expired() {
                return self.expire();
            }
        }
    }

    /// Waits until another chunk is done or, without `room` in the executor's queue, there may be some. Returns false if the limit
    /// passes first, or there is nothing to wait for.
    fn wait(&mut self, room: bool) -> bool {
        let limit = self.limit.as_ref().map(|limit| limit.deadline);
        if room {
            return self.window.wait(limit);
        }
        before_blocking();
        block_until(limit.flatten(), |cx| self.poll_change(cx, room))
    }

    /// Returns ready as soon as there is something to do: a chunk is done, nothing is in flight or, without `room`, there may be
    /// some.
    fn poll_change(&mut self, cx: &mut Context<'_>, room: bool) -> Poll<()> {
        match self.window.poll_wait(cx) {
            Poll::Ready(true) => Poll::Ready(()),
            Poll::Ready(false) if room => Poll::Ready(()),
            Poll::Pending if room => Poll::Pending,
            _ => self.executor.poll_ready(cx),
        }
    }

    /// Returns, after the last outcome, how the inputs ended, once.
    fn end(&mut self) -> Option<Result<R, TaskError>> {
        let Source::Ended(ending) = &mut self.source else {
            return None;
        };
        match ending.take()? {
            Ending::Panicked(payload) => resume_unwind(payload),
            Ending::Refused(error) => Some(Err(TaskError::Refused(error))),
        }
    }

    /// Returns whether nothing is in flight and nothing is left to pull.
    fn is_exhausted(&self) -> bool {
        self.window.len() == 0 && self.held.is_none() && matches!(self.source, Source::Ended(_))
    }

    fn has_expired(&self) -> bool {
        self.limit.as_ref().is_some_and(|limit| has_passed(limit.deadline))
    }

    /// Ends the iteration when the time is up and the outcomes that were there are delivered. Returns the expiry, once.
    fn expire(&mut self) -> Option<Result<R, TaskError>> {
        let limit = self.limit.take()?;
        let pulled = self.window.inputs() + self.held.as_ref().map_or(0, |held| held.inputs.len());
        let source = std::mem::replace(&mut self.source, Source::Ended(None));
        self.held = None;
        self.window.stop();
        if pulled == 0 && is_at_its_end(source) {
            return None;
        }
        Some(Err(TaskError::TimedOut(Expired::during_map(limit.length, self.delivered, pulled as u64))))
    }

    /// Returns whether the limit has passed, for a stream. If not, it wakes the waker of `cx` when it does.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> bool {
        if self.has_expired() {
            return true;
        }
        let Some(limit) = &mut self.limit else { return false };
        let Some(deadline) = limit.deadline else { return false };
        // A task that is never run: its queue limit is the alarm.
        let (_, alarm) = limit.alarm.get_or_insert_with(|| {
            let left = deadline.saturating_duration_since(Instant::now());
            let (task, future) = Task::from_closure_with(TaskOptions::new().queue_timeout(left), || ());
            if let Some(clock) = task.queue_clock() {
                clock.start();
            }
            (task, future)
        });
        std::future::Future::poll(Pin::new(alarm), cx).is_ready()
    }
}

/// Returns whether an input is known to be at its end although it was not pulled to it. Its code may panic; the panic hook
/// reports that.
fn is_at_its_end<I: Iterator>(source: Source<I>) -> bool {
    let Source::Open(inputs) = source else { return true };
    contain_with_text(|| inputs.size_hint().1 == Some(0)).unwrap_or(false)
}

impl<E, A, R, I> Iterator for Map<'_, E, A, R, I>
where
    E: Executor + ?Sized,
    A: Portable,
    R: Portable,
    I: Iterator<Item = A>,
{
    type Item = Result<R, TaskError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        // What happens for each input is small enough to be part of the caller's loop.
        self.hand_out().or_else(|| self.next_of_another_chunk())
    }
}

impl<E, A, R, I> Stream for Map<'_, E, A, R, I>
where
    E: Executor + ?Sized,
    A: Portable,
    R: Portable,
    I: Iterator<Item = A> + Unpin,
{
    type Item = Result<R, TaskError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let map = &mut *self;
        loop {
            if let Some(outcome) = map.hand_out() {
                return Poll::Ready(Some(outcome));
            }
            let expired = map.poll_expired(cx);
            map.window.take_done();
            let room = expired || map.fill(Admission::Async);
            map.current = map.window.pop();
            if map.current.is_some() {
                continue;
            }
            if map.is_exhausted() {
                return Poll::Ready(map.end());
            }
            if expired {
                return Poll::Ready(map.expire());
            }
            if map.poll_change(cx, room).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<E: ?Sized, A, R, I> Drop for Map<'_, E, A, R, I> {
    fn drop(&mut self) {
        self.window.stop();
    }
}

impl<E: ?Sized, A, R, I> Unpin for Map<'_, E, A, R, I> where I: Unpin {}

impl<E: ?Sized, A, R, I> fmt::Debug for Map<'_, E, A, R, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("delivered", &self.delivered)
            .field("in_flight", &self.window.inputs())
            .field("submitted_at", &format_args!("{}", self.location))
            .finish_non_exhaustive()
    }
}
