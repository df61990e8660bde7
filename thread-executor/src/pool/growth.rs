//! How workers start, retire and end while the pool is in use.

use super::workers::Workers;
use super::{Pool, to_count};
use crate::settings::Settings;
use crate::sync::{Ordering, fence, thread};
use executor_core::queue::Awake;
use executor_core::{BrokenExecutor, SubmitError};
use std::io;
use std::sync::Arc;

impl Pool {
    /// Publishes how many workers take tasks. Call it under the lock of `workers`.
    fn set_alive(&self, workers: usize) {
        let before = self.alive.swap(workers, Ordering::Relaxed);
        self.idle.note_alive(before, workers);
    }

    /// Returns whether another worker could be started.
    pub(super) fn may_grow(&self) -> bool {
        self.alive.load(Ordering::Relaxed) < self.shared.len()
    }

    /// Starts the first worker before a task is queued, so that a failure leaves nothing behind.
    pub(super) fn start_first_worker(self: &Arc<Self>) -> Result<(), SubmitError> {
        if self.queue.is_closed() {
            return Err(self.refusal());
        }
        let mut workers = self.workers.lock();
        if workers.at_work() > 0 {
            return Ok(());
        }
        self.start_worker(&mut workers).map_err(SubmitError::NoWorkers)
    }

    /// Starts another worker if more tasks are queued than there are free workers.
    pub(super) fn grow(self: &Arc<Self>) {
        let mut workers = self.workers.lock();
        if workers.free.is_empty() || !self.wants_more_than(workers.at_work()) {
            return;
        }
        let started = self.start_worker(&mut workers);
        let nobody_works = workers.at_work() == 0;
        drop(workers);
        self.fail_queued_if_stranded(nobody_works, started);
    }

    /// Ends the queued tasks if the last worker has retired while a task came, and no other can be started.
    fn fail_queued_if_stranded(&self, nobody_works: bool, started: io::Result<()>) {
        if let (Err(error), true) = (started, nobody_works) {
            self.fail_queued(&BrokenExecutor::new("its last worker has retired", SubmitError::NoWorkers(error)));
        }
    }

    fn start_worker(self: &Arc<Self>, workers: &mut Workers) -> io::Result<()> {
        let Some(index) = workers.free.pop() else { return Ok(()) };
        let (pool, run) = (self.clone(), self.run_worker);
        match thread_builder(&self.settings, index).spawn(move || run(pool, index)) {
            Ok(thread) => {
                workers.add(thread);
                self.set_alive(workers.at_work());
                Ok(())
            }
            Err(error) => {
                workers.free.push(index);
                Err(error)
            }
        }
    }

    /// Lets a worker retire after its idle time. Returns false if a task has come.
    pub(crate) fn retire(&self) -> bool {
        let mut workers = self.workers.lock();
        // Before the announcement: a push that comes after it finds no sleeper to wake, then reads `alive` under the lock
        // held here. A push that came before makes the announcement fail.
        self.set_alive(workers.at_work() - 1);
        if self.queue.announce_sleep() == Err(Awake::Tasks) {
            self.set_alive(workers.at_work());
            return false;
        }
        workers.retiring += 1;
        true
    }

    /// Removes a worker from the pool: its last step, after its exit hook.
    pub(crate) fn quit(self: &Arc<Self>, index: usize, retired: bool) {
        let mut workers = self.workers.lock();
        workers.remove(index, retired);
        // While the hook ran, a push may have wanted a worker and found no free index.
        let wanted = retired && !self.queue.is_empty();
        let started = if wanted { self.start_worker(&mut workers) } else { Ok(()) };
        self.set_alive(workers.at_work());
        let last = workers.alive == 0;
        let wakers = if last { std::mem::take(&mut workers.wakers) } else { Vec::new() };
        drop(workers);
        self.fail_queued_if_stranded(last, started);
        if last {
            self.ended.notify_all();
            executor_core::task::wake_all(wakers);
        }
    }

    /// Starts another worker if a queued task would wait for the calling one, which has just shown that it is busy.
    pub(crate) fn call_help_if_waiting(self: &Arc<Self>) {
        // ORDERING: SeqCst, between the caller's note that it is busy and the look at the queue; pairs with the fence in
        // `wants_more_than`.
        fence(Ordering::SeqCst);
        if self.may_grow() && !self.queue.is_empty() {
            self.grow();
        }
    }

    /// Returns whether more tasks are queued than `workers` workers are free for.
    ///
    /// One reading of a worker's starts serves both sides: a task that begins meanwhile is either queued, with its worker
    /// free, or neither.
    fn wants_more_than(&self, workers: usize) -> bool {
        // ORDERING: SeqCst, between the caller's push and its look at the workers; pairs with the fence in
        // `call_help_if_waiting`. So either the submitter sees that the worker is busy, or the worker sees the task.
        fence(Ordering::SeqCst);
        let (mut started, mut busy) = (0, 0);
        for worker in &self.shared {
            let (starts, is_busy) = worker.starts_and_busy();
            started += starts;
            busy += usize::from(is_busy);
        }
        to_count(self.backlog.counters.queued(started)) > workers.saturating_sub(busy)
    }
}

#[cfg(not(any(loom, shuttle)))]
fn thread_builder(settings: &Settings, index: usize) -> thread::Builder {
    thread::Builder::new().name(settings.thread_name(index)).stack_size(settings.stack_size)
}

#[cfg(any(loom, shuttle))]
fn thread_builder(settings: &Settings, index: usize) -> thread::Builder {
    thread::Builder::new().name(settings.thread_name(index))
}
