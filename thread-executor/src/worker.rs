//! One worker: finds a task, runs it, rests when there is none.

use crate::deep_stack::DeepStack;
use crate::idle::Bed;
use crate::pool::Pool;
use crate::settings::Settings;
use crate::sync::thread;
use executor_core::queue::Awake;
use executor_core::task::{
    Claimed, Ended, InlineWorker, Owner, Task, contain, deadline_after, guarded, spin_until, with_worker,
};
use executor_core::{Admission, BrokenExecutor};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// After so many tasks a worker looks whether the pool lacks a worker: one whose thread could not be started when it was
/// wanted. Rare enough to cost nothing beside the tasks.
const TASKS_BETWEEN_LOOKS: u32 = 32;

/// A worker thread's whole life.
pub(crate) fn run(pool: Arc<Pool>, seat: usize) {
    if let Err(broken) = guarded("worker", || work(&pool, seat)) {
        pool.break_down(broken);
        pool.quit(seat, false);
    }
}

fn work(pool: &Arc<Pool>, seat: usize) {
    let context = Context { pool, seat, stack: DeepStack::here(pool.settings()) };
    with_worker(&context, || {
        if let Err(broken) = initialize(pool.settings(), seat) {
            pool.break_down(broken);
            pool.quit(seat, false);
            return;
        }
        let mut worker = Worker { pool, seat, bed: Arc::new(Bed::new()), owes: false, taken: 0 };
        let retired = worker.work();
        if !pool.is_here() {
            // A task has forked, and its copy has returned: all that is here is the other process's. This thread ends, and
            // with it this process, unless the task has started others.
            let _left = ManuallyDrop::new(pool.clone());
            return;
        }
        if let Some(hook) = &pool.settings().on_worker_exit {
            // Reported by the panic hook if it panics; the worker is on its way out anyway.
            let _ = contain(hook);
        }
        pool.quit(seat, retired);
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
    /// How many tasks it has taken.
    taken: u32,
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
    fn work(&mut self) -> bool {
        while self.pool.is_here() {
            if let Some(task) = self.find() {
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

    /// The oldest task of the pool.
    fn find(&mut self) -> Option<Task> {
        let queue = self.pool.queue();
        let Some(task) = queue.pop() else {
            if !queue.is_empty() {
                // A push is half done: let its thread finish it.
                thread::yield_now();
            }
            return None;
        };
        self.taken = self.taken.wrapping_add(1);
        if self.taken.is_multiple_of(TASKS_BETWEEN_LOOKS) {
            self.pool.call_help_if_waiting();
        }
        Some(task)
    }

    fn pay(&mut self) {
        if !std::mem::take(&mut self.owes) || self.pool.idle().asleep() == 0 {
            return;
        }
        // There are more tasks: this worker may have been woken for one of them, and have found another.
        if self.pool.queue().announce_sleep() == Err(Awake::Tasks) {
            self.pool.idle().wake_one();
        }
    }

    fn rest(&mut self) -> Rest {
        let (pool, idle) = (self.pool, self.pool.idle());
        // Looking or getting up again, it may have kept a push from waking another.
        self.owes = true;
        if idle.look(|| spin_until(|| !pool.queue().is_empty())) {
            return Rest::Again;
        }
        idle.enter(&self.bed);
        match pool.queue().announce_sleep() {
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
        let deadline = keep_alive.and_then(deadline_after);
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
    let counters = pool.counters(seat);
    // A tombstone, cancelled while it was queued, is dropped by `run`.
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
        let counters = self.pool.counters(self.seat);
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

    fn idle_hint(&self) -> Option<&AtomicUsize> {
        Some(self.pool.idle().free())
    }

    fn idle_workers(&self) -> usize {
        self.pool.idle_workers()
    }

    fn share(&self, task: Task) -> Result<(), Task> {
        // A worker is let in over the queue's bound.
        self.pool.submit(task, Admission::Block).map_err(|rejected| rejected.task)
    }

    fn run_completion_hooks(&self, run: &mut dyn FnMut()) {
        let counters = self.pool.counters(self.seat);
        // The task is no longer counted as running, but this keeps the worker from the next one.
        counters.begin_completion_hooks();
        self.pool.call_help_if_waiting();
        run();
        counters.end_completion_hooks();
    }
}
