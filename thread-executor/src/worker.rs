//! One worker: finds a task, runs it, rests when there is none.

use crate::deep_stack::DeepStack;
use crate::idle::Bed;
use crate::pool::Pool;
use crate::settings::Settings;
use crate::sync::thread;
use executor_core::BrokenExecutor;
use executor_core::queue::Awake;
use executor_core::task::{Claimed, Ended, InlineWorker, Owner, Task, contain, look, with_worker};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_deque::Worker as Deque;

/// How many tasks a worker moves from the pool's queue to its own at a time. They stay open to thieves, so that none
/// waits behind a long one.
const BATCH: usize = 32;

/// Every so many tasks the pool's queue comes first, so that tasks which submit tasks do not starve it.
const POOL_FIRST: u32 = 61;

/// A worker thread's whole life.
pub(crate) fn run(pool: Arc<Pool>, seat: usize, deque: Deque<Task>) {
    let context = Context { pool: &pool, seat, stack: DeepStack::here(pool.settings()) };
    with_worker(&context, || {
        if let Err(broken) = initialize(pool.settings(), seat) {
            pool.break_down(broken);
            pool.quit(seat, deque, false);
            return;
        }
        let mut worker = Worker { pool: &pool, seat, bed: Arc::new(Bed::new()), owes: false, tick: 0 };
        let retired = worker.work(&deque);
        if !pool.is_here() {
            // A task has forked, and its copy has returned: all that is here is the other process's. This thread ends, and
            // with it this process, unless the task has started others.
            let _left = ManuallyDrop::new((deque, pool.clone()));
            return;
        }
        if let Some(hook) = &pool.settings().on_worker_exit {
            // Reported by the panic hook if it panics; the worker is on its way out anyway.
            let _ = contain(hook);
        }
        pool.quit(seat, deque, retired);
    });
}

fn initialize(settings: &Settings, seat: usize) -> Result<(), BrokenExecutor> {
    let Some(initializer) = &settings.initializer else {
        return Ok(());
    };
    let name = settings.thread_name(seat);
    match contain(initializer) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(BrokenExecutor::new(format!("the initializer of worker {name} failed"), error)),
        Err(message) => Err(BrokenExecutor::new(format!("the initializer of worker {name} panicked"), message)),
    }
}

struct Worker<'a> {
    pool: &'a Arc<Pool>,
    seat: usize,
    bed: Arc<Bed>,
    /// It has rested, and has yet to renew the announcement or wake the next (see `idle.rs`).
    owes: bool,
    tick: u32,
}

/// What a worker does after it has found nothing.
enum Rest {
    /// Look again.
    Again,
    /// The pool is closed and empty.
    End,
    /// The idle time is over.
    Retire,
}

impl Worker<'_> {
    /// Works until there is no more; whether the worker has retired.
    fn work(&mut self, deque: &Deque<Task>) -> bool {
        while self.pool.is_here() {
            if let Some(task) = self.find(deque) {
                self.pay();
                run_task(self.pool, self.seat, task);
                continue;
            }
            match self.rest() {
                Rest::Again => {}
                Rest::End => return false,
                Rest::Retire if self.pool.retire() => return true,
                Rest::Retire => {}
            }
        }
        false
    }

    fn find(&mut self, deque: &Deque<Task>) -> Option<Task> {
        self.tick = self.tick.wrapping_add(1);
        if self.tick.is_multiple_of(POOL_FIRST)
            && let Some(task) = self.take_batch(deque, 1)
        {
            return Some(task);
        }
        deque.pop().or_else(|| self.take_batch(deque, BATCH)).or_else(|| self.steal(deque))
    }

    /// The oldest task of the pool's queue; up to `most - 1` others move to the own queue.
    fn take_batch(&self, deque: &Deque<Task>, most: usize) -> Option<Task> {
        let mut first = None;
        let count = self.pool.queue().pop_batch(most, |task| {
            if first.is_none() {
                first = Some(task);
            } else {
                deque.push(task);
            }
        });
        if count > 1 {
            self.pool.call_help();
        } else if count == 0 && !self.pool.queue().is_empty() {
            // A push is half done: let its thread finish it.
            thread::yield_now();
        }
        first
    }

    fn steal(&self, deque: &Deque<Task>) -> Option<Task> {
        let task = self.pool.steal(self.seat, deque)?;
        // Here or where it was stolen from: what is left wants another pair of hands.
        if self.pool.is_work_visible() {
            self.pool.call_help();
        }
        Some(task)
    }

    fn pay(&mut self) {
        if !std::mem::take(&mut self.owes) || self.pool.idle().asleep() == 0 {
            return;
        }
        // A task in a queue of workers counts as well: this worker may have been woken for it, and have found another.
        if self.pool.is_work_visible() || self.pool.queue().announce_sleep() == Err(Awake::Tasks) {
            self.pool.idle().wake_one();
        }
    }

    fn rest(&mut self) -> Rest {
        let (pool, idle) = (self.pool, self.pool.idle());
        // Looking or getting up again, it may have kept a push from waking another.
        self.owes = true;
        if idle.look(|| look(|| !pool.queue().is_empty())) {
            return Rest::Again;
        }
        idle.enter(&self.bed);
        let announced = if pool.is_work_visible() { Err(Awake::Tasks) } else { pool.queue().announce_sleep() };
        match announced {
            Ok(()) => self.sleep(),
            Err(reason) => {
                self.get_up();
                match reason {
                    Awake::Tasks => Rest::Again,
                    Awake::Closed => Rest::End,
                }
            }
        }
    }

    fn sleep(&mut self) -> Rest {
        let keep_alive = self.pool.settings().keep_alive;
        let deadline = keep_alive.and_then(|limit| Instant::now().checked_add(limit));
        if self.bed.sleep(deadline) {
            Rest::Again
        } else if self.get_up() {
            Rest::Retire
        } else {
            Rest::Again
        }
    }

    /// Leaves the list of sleepers. False: somebody had taken the worker off it to wake it, which counts as woken.
    fn get_up(&mut self) -> bool {
        let left = self.pool.idle().leave(&self.bed);
        if !left {
            // The call is on its way; it must not be left for the next sleep.
            self.bed.sleep(None);
        }
        left
    }
}

fn run_task(pool: &Pool, seat: usize, task: Task) {
    let counters = &pool.seat(seat).counters;
    // A husk, cancelled while it was queued, is dropped by `run`.
    task.run(&|| pool.task_begins(counters), &|ended| counters.add_ended(ended));
}

/// A worker as the futures that are awaited in its tasks know it.
struct Context<'a> {
    pool: &'a Arc<Pool>,
    seat: usize,
    stack: DeepStack,
}

impl InlineWorker for Context<'_> {
    fn owner(&self) -> *const Owner {
        self.pool.owner()
    }

    fn run_inline(&self, task: Claimed<'_>) {
        let counters = &self.pool.seat(self.seat).counters;
        self.pool.task_begins(counters);
        let end = |ended: Ended| counters.add_ended(ended);
        if !self.stack.is_deep() {
            return task.run(&end);
        }
        let settings = self.pool.settings();
        let prepare = || initialize(settings, self.seat).is_ok();
        self.stack.run_on_another(task, prepare, |task, stack| {
            let context = Context { pool: self.pool, seat: self.seat, stack };
            with_worker(&context, || task.run(&end));
        });
    }

    fn run_aftermath(&self, run: &mut dyn FnMut()) {
        let counters = &self.pool.seat(self.seat).counters;
        // The task is no longer counted as running, but this keeps the worker from the next one.
        counters.begin_aftermath();
        self.pool.call_help_if_waiting();
        run();
        counters.end_aftermath();
    }
}
