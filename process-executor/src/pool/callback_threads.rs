//! The threads that run what users attached to their futures: callbacks, wakers, and the decoding of results that no thread
//! of the program fetched. They also do what takes too long for the supervisor.
//!
//! One thread is enough as long as none of that code blocks. If it does, another is started, so that a callback may wait for
//! anything, a task of the same pool included; for that reason a thread takes no tasks beyond the first that has callbacks.
//! There are [`MOST`] threads at most: of more callbacks that all wait for each other, the last never begins.
//!
//! A thread that only waits for a processor is not blocked, and another would not help. A few blocked threads are replaced at
//! once; more only when all of them stand still, because code that blocks for a while and then goes on needs no more threads.

use super::waiting_batch::WaitingBatch;
use crate::dispatch::batch::Batch;
use crate::pool::events::Events;
use parking_lot::{Condvar, Mutex, MutexGuard};
use process_core::system::is_blocked;
use rustix::process::Pid;
use rustix::thread::gettid;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a batch waits for a thread before another is started for it, if that helps.
const WAIT_FOR_THREAD: Duration = Duration::from_millis(2);
/// How long a thread without work stays. The last one stays for ever.
const IDLE: Duration = Duration::from_secs(1);

/// How many threads for each processor are started as soon as others block.
const FEW: usize = 2;
/// Beyond those, another is started when no thread has gone on to another task for this long, and a processor is free.
const STANDSTILL: Duration = Duration::from_millis(50);
/// The same while the threads keep all processors busy: code that computes for long ends some day.
const LONG_STANDSTILL: Duration = Duration::from_secs(5);
/// The most threads of a group, blocked ones included. What is left then waits until one of them goes on.
const MOST: usize = 256;

/// Two groups of threads, so that what runs no callback never waits behind callbacks.
#[derive(Debug)]
pub(crate) struct CallbackThreads {
    callbacks: Group,
    /// For tasks without callbacks: results that were not fetched, the ends of tasks that were lost, and the rests of chunks.
    results: Group,
    /// How the supervisor is called, which looks after batches that wait.
    events: Arc<Events>,
}

/// Starts a thread of a group, which calls [`CallbackThreads::serve`].
type Start<'a> = dyn Fn(Kind) -> io::Result<()> + 'a;

/// A group of threads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Callbacks,
    Results,
}

#[derive(Debug, Default)]
struct Group {
    state: Mutex<State>,
    work: Condvar,
}

impl Kind {
    /// Returns the name of the group's threads.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Callbacks => "process-pool-callbacks",
            Self::Results => "process-pool-results",
        }
    }
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Waiting>,
    idle: usize,
    /// The kernel's numbers of the threads that have begun.
    threads: Vec<Pid>,
    /// Threads that were started, begun or not.
    started: usize,
    closed: bool,
    /// How often threads have taken something.
    taken: u64,
    /// The value of `taken` at the last look that found it changed, and the time of that look.
    standstill: Option<(u64, Instant)>,
    /// The supervisor looks after the batches.
    is_watched: bool,
}

/// A batch that no thread has taken yet.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    batch: WaitingBatch,
}

impl CallbackThreads {
    pub(crate) fn new(events: Arc<Events>) -> Self {
        Self { callbacks: Group::default(), results: Group::default(), events }
    }

    fn group(&self, kind: Kind) -> &Group {
        match kind {
            Kind::Callbacks => &self.callbacks,
            Kind::Results => &self.results,
        }
    }

    /// Starts the first threads, without which there is no pool.
    pub(crate) fn open(&self, start: &Start<'_>) -> io::Result<()> {
        let kinds = [Kind::Callbacks, Kind::Results];
        let started = kinds.into_iter().try_for_each(|kind| self.group(kind).state.lock().start(kind, start));
        // A thread that was started alone would wait for ever, and keep the pool.
        started.inspect_err(|_| self.close())
    }

    /// Hands a batch over. If all threads are busy, the supervisor looks after it.
    pub(crate) fn push(&self, mut batch: Batch) {
        let callbacks = batch.split_off_callbacks();
        for (group, batch) in [(&self.results, batch), (&self.callbacks, callbacks)] {
            if !batch.is_empty() {
                group.push(batch, &self.events);
            }
        }
    }

    /// Starts threads for batches that have waited too long. Returns the time until the next look is due.
    pub(crate) fn look_after(&self, start: &Start<'_>) -> Option<Duration> {
        let looks = [Kind::Results, Kind::Callbacks].map(|kind| self.group(kind).look_after(kind, start));
        looks.into_iter().flatten().min()
    }

    /// Runs `work` on this thread with one batch after the other, until nothing more comes. `work` returns false in a fork, where the
    /// counts of threads matter to nobody.
    pub(crate) fn serve(&self, kind: Kind, mut work: impl FnMut(Batch) -> bool) {
        let group = self.group(kind);
        group.state.lock().threads.push(gettid());
        while let Some(batch) = group.next(&self.events)
            && work(batch)
        {}
    }

    /// Lets the threads end once there is nothing left to do.
    pub(crate) fn close(&self) {
        for group in [&self.results, &self.callbacks] {
            group.state.lock().closed = true;
            group.work.notify_all();
        }
    }

    /// Takes a batch that waits for a thread, for drivers that have no threads.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn take(&self) -> Option<Batch> {
        let take = |group: &Group| group.state.lock().batches.pop_front();
        take(&self.results).or_else(|| take(&self.callbacks)).map(|mut waiting| waiting.batch.take_rest())
    }
}

impl Group {
    fn push(&self, batch: Batch, events: &Events) {
        let mut state = self.state.lock();
        state.batches.push_back(Waiting { since: Instant::now(), batch: WaitingBatch::new(batch) });
        // A thread that was woken for another batch counts as idle until it has taken that.
        let is_idle = state.idle >= state.batches.len();
        drop(state);
        if is_idle {
            self.work.notify_one();
        } else {
            events.call();
        }
    }

    fn look_after(&self, kind: Kind, start: &Start<'_>) -> Option<Duration> {
        let mut state = self.state.lock();
        let waits = state.batches.front().map(|waiting| waiting.since.elapsed());
        state.is_watched = waits.is_some();
        if waits? >= WAIT_FOR_THREAD {
            if state.idle > 0 {
                self.work.notify_one();
            } else if state.may_start() {
                let threads = state.threads.clone();
                // The kernel is asked about each of them; meanwhile others may hand batches over.
                let running =
                    MutexGuard::unlocked(&mut state, || threads.iter().filter(|thread| !is_blocked(**thread)).count());
                if state.wants_another(running) {
                    // If the system refuses a thread, the batch waits for one that becomes free.
                    let _ = state.start(kind, start);
                }
            }
        }
        Some(if state.are_few() { WAIT_FOR_THREAD } else { STANDSTILL / 2 })
    }

    fn next(&self, events: &Events) -> Option<Batch> {
        let mut state = self.state.lock();
        loop {
            if let Some(batch) = state.take() {
                let is_watched = state.batches.is_empty() || state.is_watched;
                state.is_watched |= !is_watched;
                if !state.batches.is_empty() && state.idle > 0 {
                    self.work.notify_one();
                }
                drop(state);
                if !is_watched {
                    // What runs next may block, with more behind it.
                    events.call();
                }
                return Some(batch);
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let timed_out = self.work.wait_for(&mut state, IDLE).timed_out();
            state.idle -= 1;
            if timed_out && state.batches.is_empty() && state.started > 1 {
                break;
            }
        }
        state.started -= 1;
        let this = gettid();
        state.threads.retain(|thread| *thread != this);
        None
    }
}

impl State {
    fn start(&mut self, kind: Kind, start: &Start<'_>) -> io::Result<()> {
        start(kind)?;
        self.started += 1;
        Ok(())
    }

    /// Takes what a thread does next: of tasks with callbacks one, so that none waits behind a callback that waits for it.
    fn take(&mut self) -> Option<Batch> {
        let front = self.batches.front_mut()?;
        self.taken += 1;
        let part = front.batch.take_part();
        if front.batch.is_empty() {
            self.batches.pop_front();
        } else {
            front.since = Instant::now();
        }
        Some(part)
    }

    /// Returns whether there may be another thread: there are not too many, and none is about to begin.
    fn may_start(&self) -> bool {
        self.started < MOST && self.started == self.threads.len()
    }

    /// Returns whether others are started as soon as these are blocked.
    fn are_few(&self) -> bool {
        self.started < FEW * num_cpus::get().max(FEW)
    }

    /// Returns whether another thread would help while `running` threads run: some are blocked and processors are free, or all
    /// have long been at what they took.
    fn wants_another(&mut self, running: usize) -> bool {
        if self.batches.is_empty() || self.idle > 0 {
            return false;
        }
        let has_free_processor = running < num_cpus::get();
        if has_free_processor && self.are_few() {
            return true;
        }
        let now = Instant::now();
        let (taken, since) = *self.standstill.get_or_insert((self.taken, now));
        if taken != self.taken {
            self.standstill = Some((self.taken, now));
            return false;
        }
        // A thread that waits by polling runs now and then, too.
        let patience = if has_free_processor { STANDSTILL } else { LONG_STANDSTILL };
        let stands_still = now.duration_since(since) >= patience;
        if stands_still {
            self.standstill = None;
        }
        stands_still
    }
}
