//! Run and queue limits: one thread for the whole process, started by the first limit, gone when none is left.
//!
//! Tasks without limits never come here.

use crate::cell::CellRef;
use crate::deadline::deadline_after;
use crate::error::{Expired, TaskError};
use crate::expiry::{self, Ending};
use crate::fork::PerProcess;
use crate::header::Header;
use crate::info::TaskId;
use crate::own_thread::guarded;
use crate::state::STOP;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::{BTreeMap, HashMap};
use std::ptr::NonNull;
use std::thread;
use std::time::{Duration, Instant};

/// How long the clock's thread stays without a limit to watch.
const IDLE: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Clock {
    limits: Mutex<Limits>,
    changed: Condvar,
}

#[derive(Default)]
struct Limits {
    by_time: BTreeMap<(Instant, Key), Alarm>,
    time_of: HashMap<Key, Instant>,
    ticking: bool,
}

struct Alarm {
    cell: CellRef,
    limit: Duration,
}

/// A task has at most one alarm of each kind.
type Key = (TaskId, Kind);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Queue,
    Run,
}

static CLOCK: PerProcess<Clock> = PerProcess::new(Clock::default);

/// The task begins: its queue limit is met, its run limit starts.
///
/// # Safety
/// `cell` is live, and a pointer to the whole cell.
pub(crate) unsafe fn begin(cell: NonNull<Header>) {
    // SAFETY: by contract.
    let header = unsafe { cell.as_ref() };
    let Some(options) = header.options() else { return };
    if options.queue_limit().is_some() {
        remove((header.id(), Kind::Queue));
    }
    if let Some(limit) = options.run_limit() {
        // SAFETY: by contract.
        let cell = unsafe { CellRef::count(cell) };
        set(Kind::Run, Alarm { cell, limit });
    }
}

/// The task has just been queued.
pub(crate) fn limit_queueing(cell: CellRef, limit: Duration) {
    let key = (cell.header().id(), Kind::Queue);
    let watch = cell.another();
    set(Kind::Queue, Alarm { cell, limit });
    if !watch.header().is_pending() {
        // It began before the alarm was set, and so did not find it to take it away.
        remove(key);
    }
}

/// The task is over, or will never begin: no limit concerns it any more.
pub(crate) fn forget(header: &Header) {
    let Some(options) = header.options() else { return };
    if options.queue_limit().is_some() {
        remove((header.id(), Kind::Queue));
    }
    if options.run_limit().is_some() {
        remove((header.id(), Kind::Run));
    }
}

fn set(kind: Kind, alarm: Alarm) {
    // A limit beyond the clock's end is no limit.
    let Some(time) = deadline_after(alarm.limit) else { return };
    let key = (alarm.cell.header().id(), kind);
    let clock = CLOCK.get();
    let mut limits = clock.limits.lock();
    if let Some(earlier) = limits.time_of.insert(key, time) {
        limits.by_time.remove(&(earlier, key));
    }
    limits.by_time.insert((time, key), alarm);
    if !limits.ticking {
        // Without a thread the limits wait for the next one that can be started.
        limits.ticking = thread::Builder::new().name("task-limits".to_owned()).spawn(tick_on).is_ok();
    }
    let next = limits.by_time.first_key_value().is_some_and(|(first, _)| *first == (time, key));
    drop(limits);
    if next {
        clock.changed.notify_one();
    }
}

fn remove(key: Key) {
    let mut limits = CLOCK.get().limits.lock();
    let alarm = limits.time_of.remove(&key).and_then(|time| limits.by_time.remove(&(time, key)));
    drop(limits);
    drop(alarm);
}

/// The clock's thread. It is there for all executors of the process, so that it goes on if it panics.
fn tick_on() {
    while guarded("task-limits", tick).is_err() {}
}

fn tick() {
    let clock = CLOCK.get();
    let mut limits = clock.limits.lock();
    loop {
        let due = limits.take_due(Instant::now());
        let look_again = MutexGuard::unlocked(&mut limits, || {
            ring(due);
            expiry::attend()
        });
        let next = limits.by_time.first_key_value().map(|(&(time, _), _)| time);
        match next.into_iter().chain(look_again).min() {
            Some(time) => {
                clock.changed.wait_until(&mut limits, time);
            }
            None => {
                let idle = clock.changed.wait_for(&mut limits, IDLE).timed_out();
                if idle && limits.by_time.is_empty() {
                    limits.ticking = false;
                    return;
                }
            }
        }
    }
}

impl Limits {
    fn take_due(&mut self, now: Instant) -> Vec<(Kind, Alarm)> {
        let mut due = Vec::new();
        while let Some(first) = self.by_time.first_entry().filter(|first| first.key().0 <= now) {
            let ((_, key), alarm) = first.remove_entry();
            self.time_of.remove(&key);
            due.push((key.1, alarm));
        }
        due
    }
}

/// Claims the tasks whose time is up, and sees that their futures end.
fn ring(due: Vec<(Kind, Alarm)>) {
    for (kind, alarm) in due {
        // What becomes of one is nothing to the others.
        let _ = guarded("task-limits", || ring_one(kind, alarm));
    }
}

fn ring_one(kind: Kind, Alarm { cell, limit }: Alarm) {
    let header = cell.header();
    let expired = match kind {
        Kind::Queue if header.claim_expired() => Expired::in_queue(header.info(), limit),
        Kind::Run if header.claim_running(STOP) => Expired::while_running(header.info(), limit),
        // Its owners may have left meanwhile: then its result goes with this reference.
        _ => return expiry::add(Ending::Release(cell)),
    };
    let error = TaskError::TimedOut(expired);
    // A task that has not begun still has its argument, whose destructor is user code.
    if kind == Kind::Run && !header.has_listeners() {
        cell.fail(error);
    } else {
        expiry::add(Ending::Fail(cell, error));
    }
}
