//! How a pool ends: broken, shut down, or with its handle.

use super::Pool;
use crate::sync::thread;
use executor_core::task::{Dequeued, Task, before_blocking, deadline_after};
use executor_core::{BrokenExecutor, Shutdown, TimedOut};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

impl Pool {
    /// Breaks the pool: it accepts no more tasks, and queued ones end with the reason.
    pub(crate) fn break_down(&self, broken: BrokenExecutor) {
        let broken = self.broken.get_or_init(|| broken).clone();
        self.close();
        self.fail_queued(&broken);
        self.idle.wake_all();
    }

    fn close(&self) {
        self.queue.close();
        if let Some(capacity) = &self.backlog.capacity {
            capacity.close();
        }
    }

    /// Ends all queued tasks with an error.
    pub(super) fn fail_queued(&self, broken: &BrokenExecutor) {
        self.drain(|task| {
            let how = if task.is_part() { Dequeued::Part } else { Dequeued::Expired };
            if task.fail(broken.clone()) {
                self.backlog.counters.add_dequeued(how);
                self.backlog.release_permit();
            }
        });
    }

    /// Empties the queue. `end` may run user code, so no lock is held while it runs.
    fn drain(&self, mut end: impl FnMut(Task)) {
        let mut tasks = Vec::new();
        while !self.queue.is_empty() {
            match self.queue.pop() {
                Some(task) => tasks.push(task),
                // A push that is half done hides for a moment what is behind it.
                None => thread::yield_now(),
            }
        }
        // Newest first: nothing that ends here may let an older one begin.
        tasks.into_iter().rev().for_each(&mut end);
    }

    fn begin_shutdown(self: &Arc<Self>, how: Shutdown) {
        self.close();
        if how.cancels() {
            self.drain(|task| {
                let _ = task.cancel();
            });
        }
        self.idle.wake_all();
    }

    pub(crate) fn shutdown(self: &Arc<Self>, how: Shutdown) {
        if !self.is_here() {
            return;
        }
        self.begin_shutdown(how);
        if !how.waits() {
            self.workers.lock().abandoned = true;
        } else if !self.is_own_worker() {
            self.wait_for_end(None);
        }
    }

    /// Ends the pool as its handle is dropped: waits, unless an earlier shutdown did not.
    pub(crate) fn end_with_handle(self: &Arc<Self>) {
        if self.is_here() && !self.workers.lock().abandoned {
            self.shutdown(Shutdown::wait());
        }
    }

    pub(crate) fn shutdown_timeout(self: &Arc<Self>, limit: Duration) -> Result<(), TimedOut> {
        if !self.is_here() {
            return Ok(());
        }
        self.begin_shutdown(Shutdown::wait());
        let own = self.is_own_worker();
        let deadline = if own { Some(Instant::now()) } else { deadline_after(limit) };
        if self.wait_for_end(deadline) {
            return Ok(());
        }
        // A worker of the pool could not have waited, so it has not abandoned the wait either.
        self.workers.lock().abandoned |= !own;
        Err(TimedOut::after(limit))
    }

    pub(crate) fn poll_shutdown(self: &Arc<Self>, how: Shutdown, cx: &Context<'_>) -> Poll<()> {
        if !self.is_here() {
            return Poll::Ready(());
        }
        self.begin_shutdown(how);
        if how.waits() && self.is_own_worker() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let mut workers = self.workers.lock();
        if workers.alive == 0 {
            return Poll::Ready(());
        }
        // A caller that polls on sees the end, and then this does not matter.
        workers.abandoned = true;
        if !how.waits() {
            return Poll::Ready(());
        }
        if !workers.wakers.iter().any(|known| known.will_wake(&waker)) {
            workers.wakers.push(waker);
        }
        Poll::Pending
    }

    /// Waits until no worker is left, then joins the threads. Returns false if `deadline` came first.
    fn wait_for_end(&self, deadline: Option<Instant>) -> bool {
        before_blocking();
        let mut workers = self.workers.lock();
        while workers.alive > 0 {
            match deadline {
                None => self.ended.wait(&mut workers),
                Some(deadline) => {
                    if self.ended.wait_until(&mut workers, deadline).timed_out() && workers.alive > 0 {
                        return false;
                    }
                }
            }
        }
        let threads = std::mem::take(&mut workers.threads);
        drop(workers);
        for thread in threads {
            // Workers catch the panics of user code, so there is none to report.
            let _ = thread.join();
        }
        true
    }
}
