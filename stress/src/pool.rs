//! The pools of a round, of threads or of processes, behind one type that counts what they take.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use executor_core::task::Task;
use executor_core::{Admission, Executor, Future, Rejected, Shutdown, Stats, SubmitError, TimedOut};
use process_executor::ProcessPoolExecutor;
use thread_executor::ThreadPoolExecutor;

use crate::leftovers;

/// What a round uses.
pub(crate) struct Pool {
    kind: Kind,
    /// Tasks that it took.
    taken: AtomicU64,
}

enum Kind {
    Threads(ThreadPoolExecutor),
    Processes(ProcessPoolExecutor),
}

impl Pool {
    pub(crate) fn of_threads(pool: ThreadPoolExecutor) -> Self {
        Self { kind: Kind::Threads(pool), taken: AtomicU64::new(0) }
    }

    pub(crate) fn of_processes(pool: ProcessPoolExecutor) -> Self {
        Self { kind: Kind::Processes(pool), taken: AtomicU64::new(0) }
    }

    fn executor(&self) -> &dyn Executor {
        match &self.kind {
            Kind::Threads(pool) => pool,
            Kind::Processes(pool) => pool,
        }
    }

    /// The pool of processes that it is, if it is one.
    pub(crate) fn processes(&self) -> Option<&ProcessPoolExecutor> {
        match &self.kind {
            Kind::Threads(_) => None,
            Kind::Processes(pool) => Some(pool),
        }
    }

    /// A closure: threads run it, processes refuse it.
    pub(crate) fn spawn<R: Send + 'static>(
        &self,
        f: impl FnOnce() -> R + Send + 'static,
    ) -> Result<Future<R>, SubmitError> {
        let future = Task::spawn_on(self, None, f);
        let refused = matches!(future, Err(SubmitError::NotPortable));
        assert!(self.processes().is_none() || refused, "a pool of processes took a closure");
        future
    }

    pub(crate) fn stats(&self) -> Stats {
        match &self.kind {
            Kind::Threads(pool) => pool.stats(),
            Kind::Processes(pool) => pool.stats(),
        }
    }

    /// After the end there is nothing left, and each task has been counted once.
    pub(crate) fn check_end(&self) {
        let Stats { workers, idle, queued, running, completed, failed, cancelled, .. } = self.stats();
        assert!([workers, idle, queued, running] == [0; 4], "a pool has ended and yet has something: {self}");
        let ended = completed + failed + cancelled;
        assert!(ended == self.taken.load(Relaxed), "tasks were counted twice or never: {self}");
    }
}

impl Executor for Pool {
    fn submit_task(&self, task: Task, admission: Admission) -> Result<(), Rejected> {
        self.executor().submit_task(task, admission)?;
        self.taken.fetch_add(1, Relaxed);
        Ok(())
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.executor().poll_ready(cx)
    }

    fn workers(&self) -> usize {
        self.executor().workers()
    }

    fn shutdown(&self, how: Shutdown) {
        self.executor().shutdown(how);
    }

    fn shutdown_timeout(&self, limit: Duration) -> Result<(), TimedOut> {
        self.executor().shutdown_timeout(limit)
    }

    fn poll_shutdown(&self, how: Shutdown, cx: &mut Context<'_>) -> Poll<()> {
        self.executor().poll_shutdown(how, cx)
    }
}

/// For the report of what is wrong: the counters, and what the workers are doing.
impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tasks taken, {:?}", self.taken.load(Relaxed), self.stats())?;
        for worker in self.processes().map(ProcessPoolExecutor::worker_infos).into_iter().flatten() {
            let threads = leftovers::threads_of(worker.pid());
            write!(f, "\n    worker {} (pid {}, {threads}): ", worker.index(), worker.pid())?;
            write!(f, "{:?}, {} tasks done", worker.state(), worker.tasks_done())?;
        }
        Ok(())
    }
}
