//! The pool itself: where tasks come in, where they are finished, and how it ends.
//!
//! Three kinds of threads meet here. Those of the program submit, wait, and fetch results while they wait. The supervisor
//! (`supervisor.rs`) starts and watches workers and never runs user code. Callback threads run callbacks.

pub(crate) mod callback_threads;
mod ended;
mod ending;
pub(crate) mod events;
pub(crate) mod faults;
pub(crate) mod fetching;
mod packing;
pub(crate) mod reply_buffers;
pub(crate) mod results;
pub(crate) mod submission;
pub(crate) mod thread_role;
mod waiting_batch;

use crate::dispatch::Dispatch;
use crate::dispatch::batch::{Batch, Collected};
use crate::dispatch::entry::Entry;
use crate::dispatch::next_wakeup::NextWakeup;
use crate::dispatch::wakes::Wakes;
use crate::settings::Settings;
use callback_threads::{CallbackThreads, Kind};
use ended::EndedCounts;
use events::Events;
use executor_core::driver;
use executor_core::fork::Origin;
use executor_core::remote::{self, Cause};
use executor_core::task::{Dequeued, Ended, Owner, TaskOwner, wake_all};
use executor_core::{BrokenExecutor, CodecPhase, Stats};
use faults::FaultPoint;
use parking_lot::{Condvar, Mutex, MutexGuard};
use process_core::image::Image;
use rustix::process::Signal;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;
use thread_role::PoolId;

/// What the pool's threads and its handle share.
#[derive(Debug)]
pub(crate) struct Pool {
    id: PoolId,
    dispatch: Mutex<Dispatch>,
    /// Submitters wait for capacity.
    capacity_freed: Condvar,
    ended: Condvar,
    /// Async waiters for the end.
    end_wakers: Mutex<Vec<Waker>>,
    settings: Settings,
    image: &'static Image,
    broken: OnceLock<BrokenExecutor>,
    ended_counts: EndedCounts,
    /// Tasks that were collected and are not finished yet.
    in_hand: AtomicUsize,
    /// Workers ring for results. While threads of the program fetch them anyway, they need not.
    doorbells: AtomicBool,
    /// The last fetch of a waiting thread has found what it waited for.
    fetching_pays: AtomicBool,
    /// Grows as threads of the program fetch results.
    fetches: AtomicUsize,
    /// No more tasks are taken; for a look without the lock.
    closed: AtomicBool,
    /// The process whose threads and workers these are.
    origin: Origin,
    /// What the supervisor sleeps on.
    events: Arc<Events>,
    /// Where a thread is to panic.
    #[cfg(test)]
    pub(crate) panics_at: Mutex<Option<FaultPoint>>,
    callback_threads: CallbackThreads,
    /// A shutdown was not waited for to its end.
    given_up: AtomicBool,
    /// The signal by which all workers are to be ended.
    ending: OnceLock<Signal>,
    /// What its handle has left to it until its end, if that did not wait for it.
    kept: Mutex<Option<Registration>>,
}

/// What lasts as long as the pool has tasks.
#[derive(Debug)]
pub(crate) struct Registration {
    /// What tasks know the pool by.
    pub(crate) _owner: Arc<Owner>,
    pub(crate) _driver: Option<driver::Registration>,
}

/// How often the supervisor checks whether results are still fetched without doorbells.
const TICK: Duration = Duration::from_millis(1);
/// A submitter fetches results when a worker has left this many.
const MANY: u64 = 32;

executor_core::kept! {
    /// The batch that this thread used last.
    static SPARE: Batch = Batch::new();
}

impl Pool {
    pub(crate) fn new(settings: Settings, image: &'static Image) -> io::Result<Arc<Self>> {
        let next_wakeup = NextWakeup::new(&settings);
        let mut dispatch = Dispatch::new(settings.workers, settings.queue_capacity, settings.most_tasks, next_wakeup);
        dispatch.one_by_one = settings.transport.is_relayed();
        let events = Arc::new(Events::new()?);
        Ok(Arc::new(Self {
            id: PoolId::new(),
            dispatch: Mutex::new(dispatch),
            capacity_freed: Condvar::new(),
            ended: Condvar::new(),
            end_wakers: Mutex::new(Vec::new()),
            settings,
            image,
            broken: OnceLock::new(),
            ended_counts: EndedCounts::default(),
            in_hand: AtomicUsize::new(0),
            doorbells: AtomicBool::new(true),
            fetching_pays: AtomicBool::new(true),
            fetches: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            origin: Origin::here(),
            callback_threads: CallbackThreads::new(events.clone()),
            events,
            #[cfg(test)]
            panics_at: Mutex::new(None),
            given_up: AtomicBool::new(false),
            ending: OnceLock::new(),
            kept: Mutex::new(None),
        }))
    }

    /// Returns whether its workers are of this process. In a fork nothing of it is touched: a thread that is not there may
    /// have held any of its locks, and what it shares with its workers is the other process's.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.origin.is_here()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn image(&self) -> &'static Image {
        self.image
    }

    pub(crate) fn callback_threads(&self) -> &CallbackThreads {
        &self.callback_threads
    }

    /// Starts a thread that finishes batches.
    pub(crate) fn start_callback_thread(self: &Arc<Self>, kind: Kind) -> io::Result<()> {
        let pool = self.clone();
        let run = move || {
            thread_role::become_callback_thread_of(pool.id);
            pool.callback_threads.serve(kind, |mut batch| {
                pool.finish(&mut batch, true);
                // A callback may fork, and its copy return: that process has nothing to do here.
                pool.is_here()
            });
        };
        std::thread::Builder::new().name(kind.name().to_owned()).spawn(run).map(drop)
    }

    /// Starts callback threads for what has waited too long. Returns the time until the next look is due.
    pub(crate) fn look_after_callbacks(self: &Arc<Self>) -> Option<Duration> {
        self.callback_threads.look_after(&|kind| self.start_callback_thread(kind))
    }

    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    pub(crate) fn ending(&self) -> Option<Signal> {
        self.ending.get().copied()
    }

    /// Does something under the lock, then wakes whom it concerns.
    pub(crate) fn with_dispatch<R>(&self, f: impl FnOnce(&mut Dispatch, &mut Wakes) -> R) -> R {
        self.with_locked(self.dispatch.lock(), f)
    }

    fn with_locked<R>(&self, dispatch: MutexGuard<'_, Dispatch>, f: impl FnOnce(&mut Dispatch, &mut Wakes) -> R) -> R {
        let (result, prepare) = self.locked(dispatch, f);
        if let Some(unprepared) = prepare {
            self.prepare_all(unprepared);
        }
        result
    }

    /// Prepares a large task, and those whose turn comes by that.
    fn prepare_all<'a>(&'a self, unprepared: Unprepared<'a>) {
        let mut next = Some(unprepared);
        while let Some(unprepared) = next {
            next = self.prepare(unprepared);
        }
    }

    /// Does the same, and returns a large task that is to be prepared.
    fn locked<'a, R>(
        &'a self,
        dispatch: MutexGuard<'a, Dispatch>,
        f: impl FnOnce(&mut Dispatch, &mut Wakes) -> R,
    ) -> (R, Option<Unprepared<'a>>) {
        let mut locked = Locked { pool: self, dispatch, wakes: Wakes::default(), is_over: false };
        let Locked { dispatch, wakes, .. } = &mut locked;
        let result = f(dispatch, wakes);
        dispatch.ask_for_rests();
        dispatch.find_sleepers(wakes);
        if wakes.prepare.is_some() {
            self.may_panic_at(FaultPoint::Dealing);
        }
        if wakes.closed || (wakes.capacity_freed && dispatch.capacity.is_free()) {
            wakes.submitters = std::mem::take(&mut dispatch.capacity.wakers);
        }
        let mut wakes = std::mem::take(wakes);
        locked.is_over = true;
        drop(locked);
        let unprepared = wakes.prepare.take().map(|entry| Unprepared::new(self, entry));
        (result, self.wake(wakes, unprepared))
    }

    /// Moves the input of a large task to shared memory, with no lock held, and deals it. Returns the next that is to be prepared.
    fn prepare<'a>(&'a self, mut unprepared: Unprepared<'a>) -> Option<Unprepared<'a>> {
        self.may_panic_at(FaultPoint::Preparation);
        let made = unprepared.entry.as_mut()?.payload.move_to_shared_memory();
        let entry = unprepared.entry.take()?;
        let Err(error) = made else {
            return self.locked(self.dispatch.lock(), |dispatch, wakes| dispatch.end_preparing(entry, wakes)).1;
        };
        let mut batch = Batch::default();
        let ((), next) = self.locked(self.dispatch.lock(), |dispatch, wakes| {
            if let Some(entry) = dispatch.put_off_preparing(entry, wakes) {
                let length = entry.payload.bytes().len();
                let text = format!("no shared memory for an argument of {length} bytes: {error}");
                let cause = Cause::Codec(CodecPhase::EncodeArgument, text);
                batch.collected.push(Collected::without_reply(entry, cause));
                self.take_in_hand(&batch);
            }
        });
        if !batch.is_empty() {
            self.callback_threads.push(batch);
        }
        next
    }

    /// Puts a large task back that was not prepared.
    fn put_back_unprepared(&self, entry: Entry) {
        self.with_dispatch(|dispatch, wakes| dispatch.give_up_preparing(entry, wakes));
    }

    /// Wakes whom it concerns. Returns the large task that is to be prepared, unless another thread does that.
    fn wake<'a>(&'a self, mut wakes: Wakes, unprepared: Option<Unprepared<'a>>) -> Option<Unprepared<'a>> {
        // First: others believe that this has been done.
        self.wake_threads(&wakes);
        if thread_role::is_supervisor() && (!wakes.submitters.is_empty() || unprepared.is_some()) {
            // What is anybody's code, or takes long, is not for this thread.
            let prepare = unprepared.and_then(Unprepared::take);
            self.callback_threads.push(Batch { wakers: wakes.submitters, prepare, ..Batch::default() });
            return None;
        }
        // A waker cannot wait for the pool's end here, which may wait for this thread.
        thread_role::running_callbacks_of(self.id, || wake_all(std::mem::take(&mut wakes.submitters)));
        unprepared
    }

    /// Wakes threads and workers, but no wakers of users.
    fn wake_threads(&self, wakes: &Wakes) {
        if wakes.supervisor {
            self.call_supervisor();
        }
        for shared in &wakes.workers {
            shared.asleep().wake();
        }
        wakes.relays.iter().for_each(|relay| relay.wake());
        if (wakes.closed || wakes.capacity_freed) && self.settings.queue_capacity.is_some() {
            self.capacity_freed.notify_all();
        }
    }

    /// Panics there if a unit test has asked for it.
    #[inline]
    pub(crate) fn may_panic_at(&self, point: FaultPoint) {
        #[cfg(test)]
        assert_ne!(*self.panics_at.lock(), Some(point), "on purpose");
        let _ = point;
    }

    pub(crate) fn call_supervisor(&self) {
        self.events.call();
    }

    pub(crate) fn stats(&self) -> Stats {
        if !self.is_here() {
            return Stats::default();
        }
        let mut stats = self.dispatch.lock().stats();
        self.ended_counts.add_to(&mut stats);
        stats
    }

    /// Counts a task that has ended.
    #[inline]
    pub(crate) fn note_end(&self, ended: Ended) {
        self.ended_counts.note(ended);
    }
}

impl TaskOwner for Pool {
    fn task_dequeued(&self, how: Dequeued) -> Vec<Waker> {
        let mut dispatch = self.dispatch.lock();
        match how {
            Dequeued::Cancelled => self.note_end(Ended::Cancelled),
            Dequeued::Expired => self.note_end(Ended::Failed),
            Dequeued::Part => {}
        }
        let wakers =
            if dispatch.capacity.is_free() { std::mem::take(&mut dispatch.capacity.wakers) } else { Vec::new() };
        let closed = dispatch.closed;
        drop(dispatch);
        if self.settings.queue_capacity.is_some() {
            self.capacity_freed.notify_all();
        }
        if closed {
            // It may have been the last that the end waited for.
            self.call_supervisor();
        }
        wakers
    }

    fn revoke(&self, token: &remote::Token) -> bool {
        self.dispatch.lock().revoke(token)
    }

    fn has_begun(&self, token: &remote::Token) -> bool {
        self.dispatch.lock().has_begun(token)
    }

    fn ask_to_stop(&self, token: &remote::Token, end_worker: bool) {
        self.dispatch.lock().ask_to_stop(token, end_worker);
        if end_worker {
            self.call_supervisor();
        }
    }
}

/// What is done under the lock. A panic puts back the task that is to be prepared, and wakes those who have something to do by
/// now.
struct Locked<'a> {
    pool: &'a Pool,
    dispatch: MutexGuard<'a, Dispatch>,
    wakes: Wakes,
    /// It has not panicked.
    is_over: bool,
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        if let Some(entry) = self.wakes.prepare.take() {
            self.dispatch.give_up_preparing(entry, &mut self.wakes);
        }
        self.wakes.supervisor = true;
        self.pool.wake_threads(&self.wakes);
    }
}

/// A large task that is out of the queue until it is prepared. A panic puts it back, or the pool would never end.
struct Unprepared<'a> {
    pool: &'a Pool,
    entry: Option<Entry>,
}

impl<'a> Unprepared<'a> {
    fn new(pool: &'a Pool, entry: Entry) -> Self {
        Self { pool, entry: Some(entry) }
    }

    fn take(mut self) -> Option<Entry> {
        self.entry.take()
    }
}

impl Drop for Unprepared<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.pool.put_back_unprepared(entry);
        }
    }
}

#[cfg(test)]
mod tests;
