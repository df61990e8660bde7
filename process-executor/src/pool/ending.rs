//! How the pool ends: shut down, broken, or with its workers ended.

use super::thread_role;
use super::{Pool, Registration};
use crate::dispatch::batch::{Batch, Collected};
use crate::dispatch::wakes::Wakes;
use crate::dispatch::whereabouts::Whereabouts;
use crate::dispatch::{Dispatch, Halt};
use executor_core::remote::{Cause, Remains};
use executor_core::task::before_blocking;
use executor_core::{BrokenExecutor, Shutdown, TimedOut};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

impl Pool {
    /// Takes no more tasks; those that are queued end with the reason.
    pub(crate) fn break_down(self: &Arc<Self>, broken: BrokenExecutor) {
        let broken = self.broken.get_or_init(|| broken).clone();
        self.with_dispatch(|dispatch, wakes| {
            self.close(dispatch, wakes);
            dispatch.stopping = true;
        });
        self.end_queue(Some(&broken));
    }

    /// Takes no tasks until `end`; those that are queued end with the reason.
    pub(crate) fn halt(self: &Arc<Self>, broken: BrokenExecutor, end: Option<Instant>) {
        self.with_dispatch(|dispatch, wakes| {
            dispatch.halt = Some(Halt { broken: broken.clone(), end });
            self.closed.store(true, Ordering::Relaxed);
            wakes.closed = true;
        });
        self.end_queue(Some(&broken));
    }

    /// Returns why the pool is broken for now, if it is.
    pub(crate) fn halted(&self) -> Option<BrokenExecutor> {
        self.dispatch.lock().halted().cloned()
    }

    /// Takes tasks again, if the pool was only broken for a while.
    pub(crate) fn resume(&self) {
        self.resume_locked(&mut self.dispatch.lock());
    }

    pub(super) fn resume_locked(&self, dispatch: &mut Dispatch) {
        if dispatch.halt.take().is_some() && !dispatch.closed {
            self.closed.store(false, Ordering::Relaxed);
        }
    }

    /// Ends all that is queued: tasks that have killed workers with those deaths, others with the reason why they cannot run, or by
    /// cancelling them.
    pub(crate) fn end_queue(self: &Arc<Self>, broken: Option<&BrokenExecutor>) {
        let mut batch = Batch::default();
        self.with_dispatch(|dispatch, _| {
            for mut entry in dispatch.take_back_queue() {
                let deaths = entry.take_deaths();
                let cause = match (deaths.is_empty(), broken) {
                    (false, _) => Cause::Died(deaths),
                    (true, Some(broken)) => Cause::Broken(broken.clone()),
                    (true, None) if entry.begun => Cause::Stopped(Remains::Nothing),
                    (true, None) => {
                        batch.tombstones.push(entry);
                        continue;
                    }
                };
                dispatch.note_unqueued(&entry);
                entry.move_to(Whereabouts::InHand);
                batch.collected.push(Collected::without_reply(entry, cause));
            }
            self.take_in_hand(&batch);
        });
        if !batch.is_empty() {
            self.callback_threads.push(batch);
        }
    }

    /// Takes no more tasks from now on, and tells submitters who wait for capacity.
    fn close(&self, dispatch: &mut Dispatch, wakes: &mut Wakes) {
        dispatch.closed = true;
        // ORDERING: SeqCst, with the look in `let_go`, which would else miss that it must call the supervisor.
        self.closed.store(true, Ordering::SeqCst);
        wakes.supervisor = true;
        wakes.closed = true;
    }

    fn begin_shutdown(&self, how: Shutdown) {
        let cancelled = self.with_dispatch(|dispatch, wakes| {
            self.close(dispatch, wakes);
            let cancelled = if how.cancels() { dispatch.take_unbegun() } else { Vec::new() };
            self.take_up(cancelled.len());
            cancelled
        });
        let count = cancelled.len();
        // A callback that runs here cannot wait for the end, which waits for it.
        thread_role::running_callbacks_of(self.id, || {
            // Newest first: nothing that ends here may let an older one begin.
            for entry in cancelled.into_iter().rev() {
                let _ = entry.task.cancel();
            }
        });
        self.let_go(count);
    }

    /// Ends every worker, and cancels what has not begun.
    pub(crate) fn end_workers(&self, signal: Signal) {
        if !self.is_here() {
            return;
        }
        let _ = self.ending.set(signal);
        self.with_dispatch(|dispatch, _| {
            dispatch.stopping = true;
        });
        self.begin_shutdown(Shutdown::wait().cancel_futures());
    }

    pub(crate) fn shutdown(&self, how: Shutdown) {
        if !self.is_here() {
            return;
        }
        self.begin_shutdown(how);
        if !how.waits() {
            self.give_up();
        } else if !thread_role::runs_callbacks_of(self.id) {
            self.wait_for_end(None);
        }
    }

    /// Notes that a shutdown is not waited for to its end; so the drop of the handle does not wait either.
    fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Waits for the end, as the handle is dropped. If a shutdown was given up before, ends what is not over by now instead.
    pub(crate) fn end_with_handle(&self) {
        if !self.given_up.load(Ordering::Relaxed) {
            self.shutdown(Shutdown::wait());
        } else if self.has_unfinished_tasks() {
            self.end_workers(Signal::TERM);
        }
    }

    /// Returns whether a task waits, runs, or has left a result that was not fetched. Without one, the workers end by
    /// themselves.
    fn has_unfinished_tasks(&self) -> bool {
        let dispatch = self.dispatch.lock();
        dispatch.has_work_in_flight() || !dispatch.is_drained()
    }

    pub(crate) fn shutdown_timeout(&self, limit: Duration) -> Result<(), TimedOut> {
        if !self.is_here() {
            return Ok(());
        }
        self.begin_shutdown(Shutdown::wait());
        let (now, own) = (Instant::now(), thread_role::runs_callbacks_of(self.id));
        let deadline = if own { Some(now) } else { now.checked_add(limit) };
        if self.wait_for_end(deadline) {
            return Ok(());
        }
        // A callback of its own could not have waited, so it has not given up either.
        if !own {
            self.give_up();
        }
        Err(TimedOut::after(limit))
    }

    pub(crate) fn poll_shutdown(&self, how: Shutdown, cx: &Context<'_>) -> Poll<()> {
        if !self.is_here() {
            return Poll::Ready(());
        }
        self.begin_shutdown(how);
        if how.waits() && thread_role::runs_callbacks_of(self.id) {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let mut wakers = self.end_wakers.lock();
        if self.is_ended() {
            return Poll::Ready(());
        }
        // A caller that polls on sees the end, and then this does not matter.
        self.give_up();
        if !how.waits() {
            return Poll::Ready(());
        }
        if !wakers.iter().any(|known| known.will_wake(&waker)) {
            wakers.push(waker);
        }
        Poll::Pending
    }

    /// Returns why the pool is broken, if it is.
    pub(crate) fn broken(&self) -> Option<&BrokenExecutor> {
        self.broken.get()
    }

    /// Returns whether workers are being ended for good.
    pub(crate) fn is_stopping(&self) -> bool {
        self.dispatch.lock().stopping
    }

    /// Returns whether no worker is left, every future has its outcome, and no task comes any more.
    pub(crate) fn is_ended(&self) -> bool {
        let dispatch = self.dispatch.lock();
        self.has_ended(&dispatch)
    }

    fn has_ended(&self, dispatch: &Dispatch) -> bool {
        dispatch.is_ended() && self.in_hand() == 0
    }

    /// Waits until no worker is left and every future has its outcome. Returns false if `deadline` came first.
    fn wait_for_end(&self, deadline: Option<Instant>) -> bool {
        before_blocking();
        let mut dispatch = self.dispatch.lock();
        while !self.has_ended(&dispatch) {
            match deadline {
                None => self.ended.wait(&mut dispatch),
                Some(deadline) => {
                    if self.ended.wait_until(&mut dispatch, deadline).timed_out() {
                        return self.has_ended(&dispatch);
                    }
                }
            }
        }
        true
    }

    /// Keeps what tasks need until the last of them is over.
    pub(crate) fn keep_until_end(&self, registration: Registration) {
        *self.kept.lock() = Some(registration);
        // Either `announce_end` comes later, or it has ended.
        if self.is_ended() {
            self.keep_no_longer();
        }
    }

    fn keep_no_longer(&self) {
        let kept = self.kept.lock().take();
        drop(kept);
    }

    /// Wakes those who wait for the end: threads at once, async waiters on a callback thread, because wakers are user code.
    pub(crate) fn announce_end(&self) {
        self.keep_no_longer();
        // After the lock was held, so that no thread is between its check and its sleep.
        drop(self.dispatch.lock());
        self.ended.notify_all();
        // None comes after these: under this lock, `poll_shutdown` looks first whether the end is there.
        let wakers = std::mem::take(&mut *self.end_wakers.lock());
        if !wakers.is_empty() {
            self.callback_threads.push(Batch { wakers, ..Batch::default() });
        }
    }
}
