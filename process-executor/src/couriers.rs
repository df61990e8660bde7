//! The threads that run what users attached to their futures: callbacks, wakers, and the decoding of results nobody fetched;
//! and what takes too long for the supervisor.
//!
//! One is enough as long as none of that code blocks. If it does, another is started, so that a callback may wait for
//! whatever it likes, a task of the same pool included.

use crate::batch::Batch;
use crate::pool::{Pool, break_batch};
use executor_core::task::guarded;
use parking_lot::{Condvar, Mutex};
use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A batch that waits longer than this for a thread gets a new one.
pub(crate) const PATIENCE: Duration = Duration::from_millis(2);
/// A thread without work ends after this, but for one.
const IDLE: Duration = Duration::from_secs(1);

executor_core::local! {
    /// The pool for which this thread works.
    static POOL: Cell<*const Pool> = Cell::new(std::ptr::null());
}

#[derive(Debug, Default)]
pub(crate) struct Couriers {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Waiting>,
    idle: usize,
    threads: usize,
    closed: bool,
}

/// A batch that nobody has taken yet.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    batch: Batch,
}

/// Whether this thread runs callbacks of that pool: it must not wait for the pool's end, which waits for it.
pub(crate) fn is_courier_of(pool: &Pool) -> bool {
    std::ptr::eq(POOL.get(), pool)
}

/// Runs callbacks of that pool on this thread.
pub(crate) fn as_courier_of(pool: &Pool, run: impl FnOnce()) {
    struct Restore(*const Pool);
    impl Drop for Restore {
        fn drop(&mut self) {
            POOL.set(self.0);
        }
    }
    let _before = Restore(POOL.replace(pool));
    run();
}

impl Couriers {
    /// Starts the first thread, without which there is no pool.
    pub(crate) fn open(&self, pool: &Arc<Pool>) -> io::Result<()> {
        start(pool, &mut self.state.lock())
    }

    /// Hands a batch over. If all threads are busy, the supervisor looks after it.
    pub(crate) fn push(&self, pool: &Pool, batch: Batch) {
        let mut state = self.state.lock();
        state.batches.push_back(Waiting { since: Instant::now(), batch });
        // One that was woken for another batch counts as idle until it has taken that.
        let is_idle = state.idle >= state.batches.len();
        drop(state);
        if is_idle {
            self.work.notify_one();
        } else {
            pool.call_supervisor();
        }
    }

    /// Sees to a batch that has waited too long; gives the time until the next look is due.
    pub(crate) fn look_after(&self, pool: &Arc<Pool>) -> Option<Duration> {
        let mut state = self.state.lock();
        let oldest = state.batches.front()?.since.elapsed();
        if oldest >= PATIENCE {
            if state.idle > 0 {
                self.work.notify_one();
            } else {
                // If there is no thread to be had, the batch waits for one that gets free.
                let _ = start(pool, &mut state);
            }
        }
        Some(PATIENCE)
    }

    /// Lets the threads end once there is nothing left to do.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.work.notify_all();
    }

    /// What waits for a thread, for drivers that have none.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn take(&self) -> Option<Batch> {
        self.state.lock().batches.pop_front().map(|waiting| waiting.batch)
    }

    fn next(&self) -> Option<Batch> {
        let mut state = self.state.lock();
        loop {
            if let Some(waiting) = state.batches.pop_front() {
                return Some(waiting.batch);
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let timed_out = self.work.wait_for(&mut state, IDLE).timed_out();
            state.idle -= 1;
            if timed_out && state.batches.is_empty() && state.threads > 1 {
                break;
            }
        }
        state.threads -= 1;
        None
    }
}

fn start(pool: &Arc<Pool>, state: &mut State) -> io::Result<()> {
    let courier = pool.clone();
    let run = move || {
        POOL.set(Arc::as_ptr(&courier));
        // A callback may fork, and its copy return: that has nothing to do here.
        while courier.is_here()
            && let Some(mut batch) = courier.couriers().next()
        {
            if let Err(broken) = guarded("callbacks", || courier.finish(&mut batch, true)) {
                break_batch(&mut batch, &broken);
                courier.break_down(broken);
            }
        }
    };
    let name = "process-pool-callbacks".to_owned();
    std::thread::Builder::new().name(name).spawn(run)?;
    state.threads += 1;
    Ok(())
}
