//! [`Chunk`]: several inputs of `map` that travel as one task, each with an outcome of its own.

use crate::cell::current;
use crate::cell::header::Header;
use crate::cell::task::Task;
use crate::cell::worker::InlineWorker;
use crate::deadline::now;
use crate::error::{Panic, TaskError};
use crate::map::buffers::{Buffers, ChunkFuture, Done, Span};
use crate::map::outcomes::Outcomes;
use crate::map::pace::{Pace, part_size};
use crate::map::parts::Parts;
use executor_wire::Portable;
use executor_wire::panic::catch;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The inputs of a chunk, and an empty buffer for its outcomes.
pub(crate) struct Chunk<A, R> {
    pub(crate) f: fn(A) -> R,
    /// Which input of the map is the first.
    pub(crate) first: u64,
    pub(crate) buffers: Buffers<A, R>,
    /// Where it leaves the parts that it gives away.
    pub(crate) parts: Arc<Parts<A, R>>,
    /// In another process: how many inputs were packed, and how long those that are over took.
    pub(crate) count: usize,
    pub(crate) elapsed: Duration,
    /// The length of their encoded outcomes.
    pub(crate) bytes: usize,
}

impl<A, R> Chunk<A, R> {
    pub(crate) fn new(f: fn(A) -> R, first: u64, buffers: Buffers<A, R>, parts: Arc<Parts<A, R>>) -> Self {
        Self { f, first, buffers, parts, count: 0, elapsed: Duration::ZERO, bytes: 0 }
    }
}

impl<A: Portable, R: Portable> Chunk<A, R> {
    /// Runs the inputs one after the other, or gives some of them away.
    pub(crate) fn run(self) -> Done<A, R> {
        let begun = now();
        let Self { f, first, mut buffers, parts, .. } = self;
        let Buffers { inputs, outcomes } = &mut buffers;
        outcomes.reserve(inputs.len());
        let mut inputs_left = inputs.drain(..);
        let task = current::task();
        let info = |done: usize| task.info().for_input(first + done as u64);
        let hint = current::worker_of(task).and_then(InlineWorker::idle_hint).unwrap_or(&NOBODY_IDLE);
        let mut sharing = Sharing::new(f, &parts, task, begun);
        // One catch serves until an item panics; the items after it get another.
        while let Err(caught) = catch(|| {
            while let Some(input) = inputs_left.next() {
                if task.is_stop_requested() {
                    drop(input);
                    outcomes.push_error(TaskError::Cancelled(info(outcomes.len())));
                    continue;
                }
                outcomes.push_value(f(input));
                if hint.load(Ordering::Relaxed) > 0
                    && let Some(sharing) = &mut sharing
                    && sharing.is_due()
                {
                    sharing.share(&mut inputs_left, outcomes.len(), first);
                }
            }
        }) {
            outcomes.push_error(TaskError::Panicked(Panic::new(info(outcomes.len()), caught)));
        }
        drop(inputs_left);
        let elapsed = begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        if let Some(sharing) = sharing {
            sharing.run_refused();
        }
        Done { buffers, elapsed, bytes: None }
    }
}

/// The hint where nothing is shared.
static NOBODY_IDLE: AtomicUsize = AtomicUsize::new(0);

/// Hands over inputs that a chunk in a pool's worker has not begun.
struct Sharing<'a, A, R> {
    f: fn(A) -> R,
    parts: &'a Arc<Parts<A, R>>,
    task: &'a Header,
    worker: &'a dyn InlineWorker,
    pace: Pace,
    begun: Instant,
    /// Parts that the pool did not take, since it is closed. They run here.
    refused: Vec<Task>,
}

impl<'a, A: Portable, R: Portable> Sharing<'a, A, R> {
    /// Returns `None` if no other worker could run the inputs.
    fn new(f: fn(A) -> R, parts: &'a Arc<Parts<A, R>>, task: &'a Header, begun: Option<Instant>) -> Option<Self> {
        let (worker, begun) = (current::worker_of(task)?, begun?);
        Some(Self { f, parts, task, worker, pace: Pace::new(begun), begun, refused: Vec::new() })
    }

    #[inline]
    fn is_due(&mut self) -> bool {
        self.pace.is_due(|| self.refused.is_empty() && self.worker.idle_workers() > 0)
    }

    /// Keeps about a chunk's worth of the inputs that are left, and makes tasks of the others. `over` inputs are over.
    #[cold]
    fn share(&mut self, left: &mut std::vec::Drain<'_, A>, over: usize, first: u64) {
        let size = part_size(left.len(), over, self.begun.elapsed(), self.worker.idle_workers());
        let mut first = first + (over + size.min(left.len())) as u64;
        let away = left.len().saturating_sub(size);
        let mut others: Vec<A> = left.by_ref().rev().take(away).collect();
        others.reverse();
        let mut others = others.into_iter();
        let mut given = Vec::new();
        while others.len() > 0 {
            let inputs: Vec<A> = others.by_ref().take(size).collect();
            let span = Span { first, count: inputs.len() };
            first += span.count as u64;
            let (task, future) = self.task_for(inputs, span.first);
            if let Err(task) = self.worker.share(task) {
                self.refused.push(task);
            }
            given.push((span, future));
        }
        self.parts.give(given);
    }

    fn task_for(&self, inputs: Vec<A>, first: u64) -> (Task, ChunkFuture<A, R>) {
        let buffers = Buffers { inputs, outcomes: Outcomes::new() };
        let chunk = Chunk::new(self.f, first, buffers, self.parts.clone());
        let (task, future) = Task::from_work(chunk, self.task.options().cloned(), self.task.location());
        task.cell().header().state.mark_part();
        (task, future)
    }

    fn run_refused(self) {
        for task in self.refused {
            // It may have been cancelled.
            let _ = task.run(&|| {}, &|_| {});
        }
    }
}
