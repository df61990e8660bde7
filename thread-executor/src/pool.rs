//! The pool itself, shared by its handle and its workers: its parts, and how a task enters.

mod ending;
pub(crate) mod faults;
mod growth;
mod workers;

use self::workers::Workers;
use crate::backlog::Backlog;
use crate::capacity::NoCapacity;
use crate::counters::WorkerShared;
use crate::idle::Idle;
use crate::settings::Settings;
use crate::sync::{AtomicUsize, Condvar, Mutex, Ordering, fence};
use executor_core::fork::Origin;
use executor_core::queue::Padded;
use executor_core::queue::{Pushed, TaskQueue};
use executor_core::task::{Owner, Task, is_worker_of};
use executor_core::{Admission, BrokenExecutor, Rejected, Rejection, Stats, SubmitError};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

/// All that workers and handle share.
pub(crate) struct Pool {
    /// Tasks that no worker has taken yet.
    queue: TaskQueue,
    /// What each possible worker shows the others, by its index.
    shared: Box<[Padded<WorkerShared>]>,
    idle: Idle,
    workers: Mutex<Workers>,
    /// The number of workers that take tasks, readable without the lock.
    alive: AtomicUsize,
    ended: Condvar,
    broken: OnceLock<BrokenExecutor>,
    settings: Settings,
    /// The body of a worker thread: its pool and its index.
    run_worker: fn(Arc<Self>, usize),
    origin: Origin,
    /// Where workers panic.
    #[cfg(test)]
    panics_at: parking_lot::Mutex<Option<faults::FaultPoint>>,
    backlog: Arc<Backlog>,
    /// What tasks know the pool by. Declared after the queue: fields are dropped in order, and queued tasks may still use it.
    owner: Owner,
}

impl Pool {
    pub(crate) fn new(settings: Settings, run_worker: fn(Arc<Self>, usize)) -> Arc<Self> {
        let workers = settings.workers;
        let backlog = Arc::new(Backlog::new(settings.queue_capacity));
        Arc::new(Self {
            queue: TaskQueue::new(),
            shared: (0..workers).map(|_| Padded(WorkerShared::new())).collect(),
            idle: Idle::new(workers),
            workers: Mutex::new(Workers::new(workers)),
            alive: AtomicUsize::new(0),
            ended: Condvar::new(),
            broken: OnceLock::new(),
            settings,
            run_worker,
            origin: Origin::here(),
            #[cfg(test)]
            panics_at: parking_lot::Mutex::new(None),
            owner: Owner::new(backlog.clone()),
            backlog,
        })
    }

    pub(crate) fn owner(&self) -> *const Owner {
        &raw const self.owner
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn queue(&self) -> &TaskQueue {
        &self.queue
    }

    pub(crate) fn idle(&self) -> &Idle {
        &self.idle
    }

    pub(crate) fn shared(&self, index: usize) -> &WorkerShared {
        &self.shared[index]
    }

    /// Returns whether the calling thread is one of this pool's workers.
    pub(crate) fn is_own_worker(&self) -> bool {
        is_worker_of(self.owner())
    }

    /// Returns whether the pool was made by this process. A fork has none of its threads, and one of them may have held any
    /// of its locks when the process forked; so a fork touches nothing of it.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.origin.is_here()
    }

    /// Queues a task. On error the task is untouched and the pool as before.
    pub(crate) fn submit(self: &Arc<Self>, task: Task, admission: Admission) -> Result<(), Rejected> {
        if !self.is_here() {
            let reason = Rejection::Refused(SubmitError::Broken(Origin::elsewhere()));
            return Err(Rejected { task, reason });
        }
        if let Some(capacity) = &self.backlog.capacity {
            match capacity.acquire(admission, self.is_own_worker()) {
                Ok(()) => {}
                Err(NoCapacity::Full) => {
                    return Err(Rejected { task, reason: Rejection::Full });
                }
                Err(NoCapacity::Closed) => {
                    return Err(Rejected { task, reason: Rejection::Refused(self.refusal()) });
                }
            }
        }
        match self.enqueue(task) {
            Ok(()) => Ok(()),
            Err((task, error)) => {
                self.backlog.release_permit();
                Err(Rejected { task, reason: Rejection::Refused(error) })
            }
        }
    }

    fn enqueue(self: &Arc<Self>, task: Task) -> Result<(), (Task, SubmitError)> {
        if self.alive.load(Ordering::Relaxed) == 0
            && let Err(error) = self.start_first_worker()
        {
            return Err((task, error));
        }
        // SAFETY: the owner and the queue both live in the pool. Tasks leave the queue only by `run`, `fail`, `cancel` or
        // drop, and a worker that runs one holds the pool.
        if !unsafe { task.set_owner(self.owner()) } {
            // Cancelled before it had an owner that would give the permit back.
            self.backlog.release_permit();
            return Ok(());
        }
        self.backlog.counters.add_submitted();
        let clock = task.queue_clock();
        match self.queue.push(task) {
            Ok(pushed) => {
                if let Some(clock) = clock {
                    clock.start();
                }
                self.after_push(pushed);
                Ok(())
            }
            Err(task) => {
                if !task.clear_owner() {
                    // Cancelled meanwhile: its owner has counted it and given the permit back.
                    return Ok(());
                }
                self.backlog.counters.take_back_submitted();
                Err((task, self.refusal()))
            }
        }
    }

    fn after_push(self: &Arc<Self>, pushed: Pushed) {
        let served = pushed == Pushed::WakeOne && self.wake_one_for_push();
        if !served && self.may_grow() {
            self.grow();
        }
    }

    /// Makes sure that a worker comes after a push that replaced the sleepers' announcement.
    fn wake_one_for_push(&self) -> bool {
        // ORDERING: SeqCst, after the push and before the load in `is_searching`; pairs with the store in `Idle::search`,
        // which comes before `TaskQueue::announce_sleep`.
        fence(Ordering::SeqCst);
        self.idle.is_searching() || self.idle.wake_one()
    }

    /// Returns why no task is accepted.
    fn refusal(&self) -> SubmitError {
        match self.broken.get() {
            Some(broken) => SubmitError::Broken(broken.clone()),
            None => SubmitError::ShutDown,
        }
    }

    /// Counts a task that begins, and gives back its permit.
    pub(crate) fn task_begins(&self, shared: &WorkerShared) {
        shared.add_started();
        self.backlog.release_permit();
    }

    pub(crate) fn poll_ready(&self, cx: &Context<'_>) -> Poll<()> {
        let capacity = self.backlog.capacity.as_ref().filter(|_| self.is_here());
        capacity.map_or(Poll::Ready(()), |capacity| capacity.poll(cx))
    }

    /// Returns how many workers have nothing to do and nothing queued for them, or could be started.
    pub(crate) fn idle_workers(&self) -> usize {
        let idle = self.idle.free().load(Ordering::Relaxed);
        if idle > 0 && self.queue.is_empty() { idle } else { 0 }
    }

    /// Returns how many workers run tasks or completion hooks.
    fn busy_workers(&self) -> usize {
        self.shared.iter().filter(|worker| worker.starts_and_busy().1).count()
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        let sum = |count: fn(&WorkerShared) -> u64| self.shared.iter().map(|worker| count(worker)).sum::<u64>();
        // Ends before starts before submissions, so that no difference is negative.
        let ended = sum(WorkerShared::ended);
        stats.completed = sum(WorkerShared::completed);
        stats.failed = sum(WorkerShared::failed);
        let started = sum(WorkerShared::started);
        let counters = &self.backlog.counters;
        stats.failed += counters.expired();
        stats.cancelled = counters.cancelled();
        stats.queued = to_count(counters.queued(started));
        stats.running = to_count(started.saturating_sub(ended));
        stats.workers = self.alive.load(Ordering::Relaxed);
        stats.idle = stats.workers.saturating_sub(self.busy_workers());
        stats
    }
}

fn to_count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
