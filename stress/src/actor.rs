//! One thread of a round: random operations on the pool and on the futures it holds.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use executor_core::{AsyncExecutorExt, ExecutorExt, Future, SubmitError, TaskOptions, TrySubmitError};
use fastrand::Rng;
use futures::FutureExt;
use futures::executor::block_on;

use crate::entry::Entry;
use crate::load::Load;
use crate::plan::Plan;
use crate::pool::Pool;
use crate::shared::{Held, Shared};
use crate::tasks::{AfterEnd, call_back, finish, task};
use crate::values::{Argument, Value};
use crate::watchdog::Board;
use crate::work::{Family, Work};
use crate::{home, remote};

/// One kind of step, and how often it comes up against the others.
pub(crate) type Operation = (&'static str, u32, fn(&mut Actor));

/// A thread of a round.
pub(crate) struct Actor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) rng: Rng,
    pub(crate) held: Vec<Held>,
    /// Tasks may end their worker, and workers are killed.
    pub(crate) deadly: bool,
    /// Also before they are ready.
    pub(crate) wild: bool,
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) board: Arc<Board>,
    pub(crate) lane: usize,
    nested: bool,
}

impl Actor {
    pub(crate) fn new(plan: &Plan, shared: &Arc<Shared>, board: &Arc<Board>, lane: usize, rng: Rng) -> Self {
        Self {
            shared: Arc::clone(shared),
            rng,
            held: Vec::new(),
            deadly: plan.deadly,
            wild: plan.wild,
            entries: Vec::new(),
            board: Arc::clone(board),
            lane,
            nested: plan.nested,
        }
    }

    /// New books for a task of this thread.
    pub(crate) fn entry(&mut self, origin: &'static str) -> Arc<Entry> {
        let entry = home::open_books(origin);
        self.entries.push(Arc::clone(&entry));
        entry
    }

    /// Keeps books that were made elsewhere.
    pub(crate) fn keep(&mut self, entries: impl IntoIterator<Item = Arc<Entry>>) {
        self.entries.extend(entries);
    }

    /// Any of the held futures, taken out.
    pub(crate) fn take(&mut self) -> Option<Held> {
        if self.held.is_empty() {
            return None;
        }
        let index = self.rng.usize(..self.held.len());
        Some(self.held.swap_remove(index))
    }

    /// Some of the held futures, taken out.
    pub(crate) fn take_some(&mut self) -> Vec<Held> {
        let count = self.rng.usize(..=self.held.len().min(20));
        self.held.split_off(self.held.len() - count)
    }

    /// Any of the round's pools.
    pub(crate) fn pool(&mut self) -> Arc<Pool> {
        let pools = &self.shared.pools;
        let index = if pools.len() > 1 { self.rng.usize(..pools.len()) } else { 0 };
        Arc::clone(&pools[index])
    }

    /// Up to half a millisecond, or five where processes need as long for as much.
    pub(crate) fn moment(&mut self) -> Duration {
        let longest = if remote::is_remote() { 5_000 } else { 500 };
        Duration::from_micros(self.rng.u64(0..longest))
    }

    pub(crate) fn work(&mut self) -> Work {
        if remote::is_remote() {
            return self.work_away();
        }
        match self.rng.u8(..20) {
            0..=9 => Work::Nothing,
            10..=14 => Work::Spin(self.rng.u32(1..200)),
            15 => Work::Sleep(self.rng.u64(1..300)),
            16 => Work::UntilStopped(self.rng.u32(1..200)),
            _ => Work::Panic,
        }
    }

    /// The same, with what only a process of its own survives.
    fn work_away(&mut self) -> Work {
        match self.rng.u8(..60) {
            0..=29 => Work::Nothing,
            30..=39 => Work::Spin(self.rng.u32(1..1_000)),
            40..=44 => Work::Sleep(self.rng.u64(1..3_000)),
            45..=47 => Work::UntilStopped(self.rng.u32(1..200)),
            48 => Work::LeaveChild,
            49 if self.deadly => Work::Exit(self.rng.i32(0..4)),
            50 if self.deadly => Work::Abort,
            51 if self.deadly => Work::Kill,
            _ => Work::Panic,
        }
    }

    /// The argument of a random task.
    pub(crate) fn argument(&mut self, entry: &Arc<Entry>) -> Argument {
        let work = self.work();
        let load = if remote::is_remote() { Load::random(&mut self.rng, entry.number()) } else { Load::NONE };
        Argument::new(entry, work, load)
    }

    pub(crate) fn hold(&mut self, entry: Arc<Entry>, submitted: Result<Future<Value>, SubmitError>) {
        match submitted {
            Ok(future) => self.held.push((entry, future)),
            Err(_) => entry.refused(),
        }
    }

    pub(crate) fn submit(&mut self) {
        let entry = self.entry("submit");
        let argument = self.argument(&entry);
        let submitted = self.pool().submit(task, argument);
        self.hold(entry, submitted);
    }

    pub(crate) fn submit_with(&mut self) {
        let entry = self.entry("submit_with");
        entry.limited();
        let argument = self.argument(&entry);
        let mut options = TaskOptions::new().name("limited");
        if self.rng.bool() {
            options = options.queue_timeout(self.moment());
        }
        if self.rng.bool() {
            options = options.run_timeout(self.moment());
        }
        let submitted = self.pool().submit_with(options, task, argument);
        self.hold(entry, submitted);
    }

    pub(crate) fn try_submit(&mut self) {
        let entry = self.entry("try_submit");
        let argument = self.argument(&entry);
        match self.pool().try_submit(task, argument) {
            Ok(future) => self.held.push((entry, future)),
            Err(error) => {
                entry.refused();
                let refused = matches!(error, TrySubmitError::Full(_) | TrySubmitError::Refused(..));
                assert!(refused, "an unknown reason to refuse");
                assert!(error.into_args().is_of(&entry), "the arguments of another task came back");
            }
        }
    }

    pub(crate) fn submit_async(&mut self) {
        let entry = self.entry("submit_async");
        let argument = self.argument(&entry);
        let submitted = block_on(self.pool().submit_async(task, argument));
        self.hold(entry, submitted);
    }

    /// Polled once and dropped: then either the task was submitted or its argument is dropped.
    pub(crate) fn submit_async_dropped(&mut self) {
        let entry = self.entry("submit_async dropped");
        let argument = self.argument(&entry);
        match self.pool().submit_async(task, argument).now_or_never() {
            Some(submitted) => self.hold(entry, submitted),
            None => entry.refused(),
        }
    }

    pub(crate) fn spawn(&mut self) {
        let entry = self.entry("spawn");
        let argument = self.argument(&entry);
        let submitted = self.pool().spawn(move || task(argument));
        self.hold(entry, submitted);
    }

    pub(crate) fn submit_nested(&mut self) {
        if !self.nested {
            return;
        }
        let entry = self.entry("nested parent");
        let family = (!remote::is_remote()).then(|| -> Arc<dyn Family> { Arc::<Shared>::clone(&self.shared) });
        let work = Work::Nested { family, children: self.rng.u8(1..6), depth: self.rng.u8(0..3) };
        let submitted = self.pool().submit(task, Argument::new(&entry, work, Load::NONE));
        self.hold(entry, submitted);
    }

    pub(crate) fn result(&mut self) {
        if let Some((entry, future)) = self.take() {
            finish(&entry, future.result());
        }
    }

    pub(crate) fn result_timeout(&mut self) {
        let Some((entry, future)) = self.take() else { return };
        match future.result_timeout(self.moment()) {
            Ok(outcome) => finish(&entry, outcome),
            Err(future) => self.held.push((entry, future)),
        }
    }

    pub(crate) fn await_result(&mut self) {
        if let Some((entry, future)) = self.take() {
            finish(&entry, block_on(future));
        }
    }

    pub(crate) fn exception(&mut self) {
        let Some((entry, future)) = self.take() else { return };
        if let Some(error) = future.exception() {
            entry.note_error(error);
        }
        assert!(future.is_done(), "a future that gave its exception is done");
        self.held.push((entry, future));
    }

    pub(crate) fn cancel(&mut self) {
        let Some((entry, future)) = self.take() else { return };
        entry.may_be_skipped();
        if future.cancel() {
            entry.cancelled();
            // A shutdown may be cancelling it at this very moment, and still be running its callbacks.
            future.wait();
            assert!(future.is_cancelled() && future.is_done(), "a cancelled future says so");
        }
        self.held.push((entry, future));
    }

    pub(crate) fn stop(&mut self) {
        let Some((entry, future)) = self.take() else { return };
        entry.may_be_skipped();
        if matches!(future.stop(), executor_core::Stop::Cancelled) {
            entry.cancelled();
        }
        self.held.push((entry, future));
    }

    pub(crate) fn add_done_callback(&mut self) {
        let Some(held) = self.take() else { return };
        let after_end = match self.rng.u8(..8) {
            0 => AfterEnd::Panics,
            // The callbacks of a task whose limit passed may outlive the pool's threads, and would keep it alive.
            1 if !held.0.is_limited() => AfterEnd::Submits(Arc::clone(&self.shared)),
            _ => AfterEnd::Nothing,
        };
        call_back(&held, after_end);
        self.held.push(held);
    }

    pub(crate) fn drop_future(&mut self) {
        drop(self.take());
    }

    /// Two clones, one of them in another thread: both see the one outcome.
    pub(crate) fn share(&mut self) {
        let Some((entry, future)) = self.take() else { return };
        let shared = future.share();
        if self.rng.u8(..4) == 0 {
            entry.may_be_skipped();
            if shared.cancel() {
                entry.cancelled();
            }
        }
        let clone = shared.clone();
        thread::scope(|scope| {
            for future in [&shared, &clone] {
                let entry = &entry;
                scope.spawn(move || match future.result() {
                    Ok(value) => entry.note_value(value.entry()),
                    Err(error) => entry.note_error(error),
                });
            }
        });
    }

    pub(crate) fn cancel_on_drop(&mut self) {
        let Some((entry, future)) = self.take() else { return };
        entry.may_be_skipped();
        let guard = future.cancel_on_drop();
        if self.rng.bool() {
            let _ = guard.wait_timeout(self.moment());
        }
        drop(guard);
    }

    /// Hands one future to the other threads and takes one of theirs.
    pub(crate) fn swap(&mut self) {
        let Some(given) = self.take() else { return };
        let mut swapped = self.shared.swapped.lock();
        swapped.push(given);
        let index = self.rng.usize(..swapped.len());
        let taken = swapped.swap_remove(index);
        drop(swapped);
        self.held.push(taken);
    }

    /// Reading the counters must not disturb anybody.
    pub(crate) fn stats(&mut self) {
        let _ = self.pool().stats();
    }

    /// Long enough for idle workers of a pool with a short keep-alive to retire.
    pub(crate) fn rest(&mut self) {
        thread::sleep(Duration::from_micros(self.rng.u64(0..3_000)));
    }
}
