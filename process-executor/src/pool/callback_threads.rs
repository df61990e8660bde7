//! The threads that run what users attached to their futures: callbacks, wakers, and the decoding of results nobody fetched;
//! and what takes too long for the supervisor.
//!
//! One is enough as long as none of that code blocks. If it does, another is started, so that a callback may wait for
//! whatever it likes, a task of the same pool included: so one takes no tasks with it beyond the first that has callbacks.
//! There are `MOST` at the most: of more callbacks that all wait for each other, the last never begins.
//!
//! A thread that only waits for a processor is not blocked, and another would not help. A few that block are replaced at once;
//! more only if all stand still, since code that blocks for a while, and then goes on, needs no more threads than that.

use crate::dispatch::batch::{Batch, WaitingBatch};
use crate::pool::{Pool, break_batch};
use crate::system::is_blocked;
use executor_core::task::guarded;
use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::process::Pid;
use rustix::thread::gettid;
use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A batch that waits longer than this for a thread gets a new one, if that helps.
pub(crate) const PATIENCE: Duration = Duration::from_millis(2);
/// A thread without work ends after this, but for one.
const IDLE: Duration = Duration::from_secs(1);

/// So many threads for each processor are started as soon as others block.
const FEW: usize = 2;
/// Beyond those another is started when none has gone on to another task for so long, and a processor is free for it.
const STANDSTILL: Duration = Duration::from_millis(50);
/// The same while they keep all processors busy: code that computes for long is to end some day.
const LONG_STANDSTILL: Duration = Duration::from_secs(5);
/// The most threads of a group, blocked ones included; what is left then waits until one of them goes on.
const MOST: usize = 256;

executor_core::local! {
    /// The pool for which this thread works.
    static POOL: Cell<*const Pool> = Cell::new(std::ptr::null());
}

/// Two groups of threads, so that what runs no callback never waits behind callbacks.
#[derive(Debug, Default)]
pub(crate) struct CallbackThreads {
    callbacks: Group,
    /// For tasks without callbacks: results nobody fetched, the ends of tasks that were lost, and what is left of chunks.
    results: Group,
}

/// Which of the two a thread belongs to.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Callbacks,
    Results,
}

#[derive(Debug, Default)]
struct Group {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Waiting>,
    idle: usize,
    /// The kernel's numbers of the threads that have begun.
    threads: Vec<Pid>,
    /// Threads that were started.
    started: usize,
    closed: bool,
    /// How often a thread has taken something.
    taken: u64,
    /// How often it was when that last changed, as far as was seen, and since when.
    standstill: Option<(u64, Instant)>,
    /// The supervisor looks after the batches.
    is_watched: bool,
}

/// A batch that nobody has taken yet.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    batch: WaitingBatch,
}

/// Whether this thread runs callbacks of that pool: it must not wait for the pool's end, which waits for it.
pub(crate) fn is_callback_thread_of(pool: &Pool) -> bool {
    std::ptr::eq(POOL.get(), pool)
}

/// Runs callbacks of that pool on this thread.
pub(crate) fn as_callback_thread_of(pool: &Pool, run: impl FnOnce()) {
    struct Restore(*const Pool);
    impl Drop for Restore {
        fn drop(&mut self) {
            POOL.set(self.0);
        }
    }
    let _before = Restore(POOL.replace(pool));
    run();
}

impl CallbackThreads {
    fn group(&self, kind: Kind) -> &Group {
        match kind {
            Kind::Callbacks => &self.callbacks,
            Kind::Results => &self.results,
        }
    }

    /// Starts the first threads, without which there is no pool.
    pub(crate) fn open(&self, pool: &Arc<Pool>) -> io::Result<()> {
        let started = [Kind::Callbacks, Kind::Results].into_iter().try_for_each(|kind| {
            let mut state = self.group(kind).state.lock();
            start(pool, kind, &mut state)
        });
        // One that was started alone would wait for ever, and keep the pool.
        started.inspect_err(|_| self.close())
    }

    /// Hands a batch over. If all threads are busy, the supervisor looks after it.
    pub(crate) fn push(&self, pool: &Pool, mut batch: Batch) {
        let callbacks = batch.split_off_callbacks();
        for (group, batch) in [(&self.results, batch), (&self.callbacks, callbacks)] {
            if !batch.is_empty() {
                group.push(pool, batch);
            }
        }
    }

    /// Sees to batches that have waited too long, and returns the time until the next look is due.
    pub(crate) fn look_after(&self, pool: &Arc<Pool>) -> Option<Duration> {
        let looks = [Kind::Results, Kind::Callbacks].map(|kind| self.group(kind).look_after(pool, kind));
        looks.into_iter().flatten().min()
    }

    /// Lets the threads end once there is nothing left to do.
    pub(crate) fn close(&self) {
        for group in [&self.results, &self.callbacks] {
            group.state.lock().closed = true;
            group.work.notify_all();
        }
    }

    /// What waits for a thread, for drivers that have none.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn take(&self) -> Option<Batch> {
        let take = |group: &Group| group.state.lock().batches.pop_front();
        take(&self.results).or_else(|| take(&self.callbacks)).map(|mut waiting| waiting.batch.take_rest())
    }
}

impl Group {
    fn push(&self, pool: &Pool, batch: Batch) {
        let mut state = self.state.lock();
        state.batches.push_back(Waiting { since: Instant::now(), batch: WaitingBatch::new(batch) });
        // One that was woken for another batch counts as idle until it has taken that.
        let is_idle = state.idle >= state.batches.len();
        drop(state);
        if is_idle {
            self.work.notify_one();
        } else {
            pool.call_supervisor();
        }
    }

    fn look_after(&self, pool: &Arc<Pool>, kind: Kind) -> Option<Duration> {
        let mut state = self.state.lock();
        let waits = state.batches.front().map(|waiting| waiting.since.elapsed());
        state.is_watched = waits.is_some();
        if waits? >= PATIENCE {
            if state.idle > 0 {
                self.work.notify_one();
            } else if state.may_start() {
                let threads = state.threads.clone();
                // The kernel is asked about each of them, meanwhile others may hand batches over.
                let running =
                    MutexGuard::unlocked(&mut state, || threads.iter().filter(|thread| !is_blocked(**thread)).count());
                if state.wants_another(running) {
                    // If there is no thread to be had, the batch waits for one that gets free.
                    let _ = start(pool, kind, &mut state);
                }
            }
        }
        Some(if state.are_few() { PATIENCE } else { STANDSTILL / 2 })
    }

    fn next(&self, pool: &Pool) -> Option<Batch> {
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
                    pool.call_supervisor();
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

    /// Whether there may be another thread: there are not too many, and none is about to begin.
    fn may_start(&self) -> bool {
        self.started < MOST && self.started == self.threads.len()
    }

    /// Whether others are started as soon as these are blocked.
    fn are_few(&self) -> bool {
        self.started < FEW * num_cpus::get().max(FEW)
    }

    /// Whether another thread would help, when so many run: some are blocked, and processors are free; or all have long been at
    /// what they took.
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
        // One that waits by looking again and again runs, too, now and then.
        let patience = if has_free_processor { STANDSTILL } else { LONG_STANDSTILL };
        let stands_still = now.duration_since(since) >= patience;
        if stands_still {
            self.standstill = None;
        }
        stands_still
    }
}

fn start(pool: &Arc<Pool>, kind: Kind, state: &mut State) -> io::Result<()> {
    let courier = pool.clone();
    let run = move || {
        POOL.set(Arc::as_ptr(&courier));
        courier.callback_threads().group(kind).state.lock().threads.push(gettid());
        // A callback may fork, and its copy return: that has nothing to do here.
        while courier.is_here()
            && let Some(mut batch) = courier.callback_threads().group(kind).next(&courier)
        {
            if let Err(broken) = guarded("callbacks", || courier.finish(&mut batch, true)) {
                break_batch(&courier, &mut batch, &broken);
                courier.break_down(broken);
            }
        }
    };
    let name = match kind {
        Kind::Callbacks => "process-pool-callbacks",
        Kind::Results => "process-pool-results",
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
    state.started += 1;
    Ok(())
}
