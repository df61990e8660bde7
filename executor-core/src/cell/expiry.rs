//! Tasks whose limits have passed, until their futures have ended.
//!
//! To end a future may run user code: a callback, a waker, the destructor of an argument or of a result. That may block, so
//! it never runs on the clock's thread. Threads of its own end one task after the other. Another thread is started only when
//! those that are there make no progress; the clock looks for that.

use crate::cell::CellRef;
use crate::deadline::deadline_after;
use crate::error::TaskError;
use crate::error::own_thread::guarded;
use crate::fork::PerProcess;
use executor_wire::panic::wake_all;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

const NAME: &str = "task-expired";

/// The greatest number of threads. While user code blocks all of them, further tasks wait until one goes on.
const MOST_THREADS: usize = 64;

/// How long the first task in the queue waits before another thread is started.
const PATIENCE: Duration = Duration::from_millis(5);

/// How long a thread stays without a task.
const IDLE: Duration = Duration::from_secs(2);

static EXPIRED: PerProcess<Expired> = PerProcess::new(Expired::default);

#[derive(Default)]
struct Expired {
    queue: Mutex<Queue>,
    added: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Ending>,
    /// Since when the first task has been the first. `None` if no task waits.
    first_since: Option<Instant>,
    threads: usize,
}

/// What is left to do with a task.
pub(crate) enum Ending {
    /// It was claimed: its future ends with this error.
    Fail(CellRef, TaskError),
    /// It is over already. This is the last reference to its result, most likely.
    Release(CellRef),
    /// It has left its queue, and these wait for the room.
    Wake(Vec<Waker>),
}

impl Ending {
    fn run(self) {
        match self {
            Self::Fail(cell, error) => cell.fail(error),
            Self::Release(cell) => drop(cell),
            Self::Wake(wakers) => wake_all(wakers),
        }
    }
}

/// Queues a task. The clock calls [`attend`] next, which sees to a thread for it.
pub(crate) fn add(ending: Ending) {
    let expired = EXPIRED.get();
    let mut queue = expired.queue.lock();
    queue.first_since.get_or_insert_with(Instant::now);
    queue.waiting.push_back(ending);
    drop(queue);
    expired.added.notify_one();
}

/// Starts a thread if tasks wait and no thread makes progress. Returns when to call this again; `None` if the threads that
/// are there will do.
///
/// If the system has no thread to give, the tasks stay where they are until a later call.
pub(crate) fn attend() -> Option<Instant> {
    let expired = EXPIRED.get();
    let mut queue = expired.queue.lock();
    let since = queue.first_since?;
    if queue.threads >= MOST_THREADS {
        return None;
    }
    if queue.threads > 0
        && let Some(left) = PATIENCE.checked_sub(since.elapsed())
    {
        return deadline_after(left);
    }
    queue.threads += 1;
    drop(queue);
    if thread::Builder::new().name(NAME.to_owned()).spawn(serve).is_err() {
        expired.queue.lock().threads -= 1;
    }
    deadline_after(PATIENCE)
}

/// Runs a thread that ends tasks. It is there for all executors of the process, so that it goes on if it panics.
fn serve() {
    while guarded(NAME, serve_until_idle).is_err() {}
}

fn serve_until_idle() {
    let expired = EXPIRED.get();
    let mut queue = expired.queue.lock();
    loop {
        if let Some(ending) = queue.take_first() {
            // A fault in one does not stop the others.
            MutexGuard::unlocked(&mut queue, || drop(guarded(NAME, || ending.run())));
        } else if expired.added.wait_for(&mut queue, IDLE).timed_out() && queue.waiting.is_empty() {
            queue.threads -= 1;
            return;
        }
    }
}

impl Queue {
    fn take_first(&mut self) -> Option<Ending> {
        let first = self.waiting.pop_front();
        self.first_since = (!self.waiting.is_empty()).then(Instant::now);
        first
    }
}
