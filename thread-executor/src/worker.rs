//! One worker: finds a task, runs it, sleeps when there is none.

use crate::deep_stack::DeepStack;
use crate::idle::Parker;
use crate::pool::Pool;
use crate::pool::faults::FaultPoint;
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

/// After so many tasks a worker checks whether the pool lacks another worker, whose thread could not be started when it was
/// wanted. Rare enough to cost nothing beside the tasks.
const TASKS_BETWEEN_CHECKS: u32 = 32;

/// The body of a worker thread.
pub(crate) fn run(pool: Arc<Pool>, index: usize) {
    let context = Context { pool: &pool, index, stack: DeepStack::here(pool.settings()) };
    // To break the pool runs callbacks, which must not wait for this thread: so it is a worker until it has quit.
    with_worker(&context, || {
        let mut retired = false;
        if let Err(broken) = guarded("worker", || work(&pool, index, &mut retired)) {
            pool.break_down(broken);
        }
        if !pool.is_here() {
            // A task has forked, and its copy has returned here, in the new process. The pool belongs to the other one. This
            // thread ends, and with it this process, unless the task has started more threads.
            let _left = ManuallyDrop::new(pool.clone());
            return;
        }
        pool.quit(index, retired);
    });
}

/// Runs tasks until the worker ends, then its exit hook. `retired` says whether it has retired, as soon as it has.
fn work(pool: &Arc<Pool>, index: usize, retired: &mut bool) {
    if let Err(broken) = initialize(pool.settings(), index) {
        return pool.break_down(broken);
    }
    let mut worker = Worker { pool, index, parker: Arc::new(Parker::new()), must_notify: false, taken: 0 };
    *retired = worker.work();
    if *retired {
        pool.may_panic_at(FaultPoint::Retired);
    }
    if pool.is_here()
        && let Some(hook) = &pool.settings().on_worker_exit
    {
        // Reported by the panic hook if it panics; the worker is on its way out anyway.
        let _ = contain(hook);
    }
}

fn initialize(settings: &Settings, index: usize) -> Result<(), BrokenExecutor> {
    let Some(initializer) = &settings.initializer else {
        return Ok(());
    };
    let name = settings.thread_name(index);
    match contain(initializer) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(BrokenExecutor::new(format!("the initializer of worker {name} failed"), error)),
        Err(message) => Err(BrokenExecutor::new(format!("the initializer of worker {name} panicked"), message)),
    }
}

struct Worker<'a> {
    pool: &'a Arc<Pool>,
    index: usize,
    parker: Arc<Parker>,
    /// It has searched or slept, and has yet to renew the announcement or wake the next worker (see `idle.rs`).
    must_notify: bool,
    /// How many tasks it has taken.
    taken: u32,
}

/// What a worker does after it has found nothing.
enum Next {
    /// Looks for a task again.
    Search,
    /// Ends: the pool is closed and empty.
    End,
    /// Retires: its idle time is over.
    Retire,
}

impl Worker<'_> {
    /// Runs tasks until the worker ends. Returns whether it has retired.
    fn work(&mut self) -> bool {
        while self.pool.is_here() {
            if let Some(task) = self.find() {
                self.pool.may_panic_at(FaultPoint::Task);
                self.notify_next();
                run_task(self.pool, self.index, task);
                continue;
            }
            match self.search_or_sleep() {
                Next::Search => {}
                Next::End => return false,
                Next::Retire if self.pool.retire() => return true,
                Next::Retire => {}
            }
        }
        false
    }

    /// Takes the oldest task of the pool.
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
        if self.taken.is_multiple_of(TASKS_BETWEEN_CHECKS) {
            self.pool.call_help_if_waiting();
        }
        Some(task)
    }

    /// Renews the announcement, or wakes the next worker, if this one has to.
    fn notify_next(&mut self) {
        if !std::mem::take(&mut self.must_notify) || self.pool.idle().asleep() == 0 {
            return;
        }
        // There are more tasks: this worker may have been woken for one of them, and have found another.
        if self.pool.queue().announce_sleep() == Err(Awake::Tasks) {
            self.pool.idle().wake_one();
        }
    }

    fn search_or_sleep(&mut self) -> Next {
        let (pool, idle) = (self.pool, self.pool.idle());
        // By searching, or by leaving the list again, this worker may keep a push from waking another.
        self.must_notify = true;
        if idle.search(|| spin_until(|| !pool.queue().is_empty())) {
            return Next::Search;
        }
        idle.enter(&self.parker);
        pool.may_panic_at(FaultPoint::Sleep);
        match pool.queue().announce_sleep() {
            Ok(()) => self.sleep(),
            Err(reason) => {
                self.leave_sleepers();
                match reason {
                    Awake::Tasks => Next::Search,
                    Awake::Closed => Next::End,
                }
            }
        }
    }

    fn sleep(&mut self) -> Next {
        let keep_alive = self.pool.settings().keep_alive;
        let deadline = keep_alive.and_then(deadline_after);
        if self.parker.sleep(deadline) {
            Next::Search
        } else if self.leave_sleepers() {
            Next::Retire
        } else {
            Next::Search
        }
    }

    /// Leaves the list of sleepers. Returns false if another thread had taken the worker off it; that counts as a wake-up.
    fn leave_sleepers(&mut self) -> bool {
        let left = self.pool.idle().leave(&self.parker);
        if !left {
            // The call is on its way; it must not remain for the next sleep.
            self.parker.sleep(None);
        }
        left
    }
}

fn run_task(pool: &Pool, index: usize, task: Task) {
    let shared = pool.shared(index);
    // `run` drops the tombstone of a task that was cancelled while it was queued.
    task.run(&|| pool.task_begins(shared), &|ended| shared.add_ended(ended));
}

/// The worker as seen by futures that its tasks wait for.
struct Context<'a> {
    pool: &'a Arc<Pool>,
    index: usize,
    stack: DeepStack,
}

impl InlineWorker for Context<'_> {
    fn owner(&self) -> *const Owner {
        self.pool.owner()
    }

    fn run_inline(&self, task: Claimed<'_>) {
        let shared = self.pool.shared(self.index);
        self.pool.task_begins(shared);
        let end = |ended: Ended| shared.add_ended(ended);
        if !self.stack.is_deep() {
            return task.run(&end);
        }
        let settings = self.pool.settings();
        let prepare = || initialize(settings, self.index).is_ok();
        self.stack.run_on_another(task, prepare, |task, stack| {
            let context = Context { pool: self.pool, index: self.index, stack };
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
        // A worker may queue over the bound.
        self.pool.submit(task, Admission::Block).map_err(|rejected| rejected.task)
    }

    fn run_completion_hooks(&self, run: &mut dyn FnMut()) {
        let shared = self.pool.shared(self.index);
        // The task no longer counts as running, but its hooks keep this worker from the next task.
        shared.begin_completion_hooks();
        self.pool.call_help_if_waiting();
        run();
        shared.end_completion_hooks();
    }
}
