//! Run and queue limits: one thread for the whole process, started by the first limit, gone when none is left.
//!
//! Tasks without limits never come here.

use crate::cell::expiry::Ending;
use crate::cell::header::Header;
use crate::cell::{CellRef, expiry};
use crate::deadline::deadline_after;
use crate::error::own_thread::guarded;
use crate::error::{Expired, TaskError};
use crate::fork::PerProcess;
use crate::info::TaskId;
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
        // It began before the alarm was set, and so could not remove it.
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

/// Runs the clock's thread. It serves all executors of the process, so it goes on if it panics.
fn tick_on() {
    while guarded("task-limits", tick).is_err() {}
}

fn tick() {
    let clock = CLOCK.get();
    let mut limits = clock.limits.lock();
    loop {
        may_panic_at(Place::Tick);
        let due = limits.take_due(Instant::now());
        let failed = MutexGuard::unlocked(&mut limits, || ring(due));
        limits.put_back(failed);
        let look_again = MutexGuard::unlocked(&mut limits, expiry::attend);
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

    /// Keeps alarms that are due for the next look.
    fn put_back(&mut self, alarms: Vec<(Kind, Alarm)>) {
        for (kind, alarm) in alarms {
            let (now, key) = (Instant::now(), (alarm.cell.header().id(), kind));
            self.time_of.insert(key, now);
            self.by_time.insert((now, key), alarm);
        }
    }
}

/// Claims the tasks whose time is up, and sees that their futures end. Returns the alarms that a fault has kept it from.
///
/// No user code runs here: what may run some is for the threads of [`expiry`].
fn ring(due: Vec<(Kind, Alarm)>) -> Vec<(Kind, Alarm)> {
    let mut failed = Vec::new();
    for (kind, alarm) in due {
        let mut alarm = Some(alarm);
        // A fault in one alarm does not stop the others.
        let rung = guarded("task-limits", || ring_one(kind, &mut alarm));
        if let (Err(_), Some(alarm)) = (rung, alarm) {
            failed.push((kind, alarm));
        }
    }
    failed
}

/// Ends a task, and takes its alarm as soon as nothing can go wrong any more.
fn ring_one(kind: Kind, alarm: &mut Option<Alarm>) {
    let Some(Alarm { cell, limit }) = alarm else { return };
    may_panic_at(Place::Alarm);
    let header = cell.header();
    let (expired, claimed) = match kind {
        Kind::Queue => (Expired::in_queue(header.info(), *limit), header.claim_expired()),
        Kind::Run => {
            (Expired::while_running(header.info(), *limit), header.state.claim_running(true).is_won().then(Vec::new))
        }
    };
    let Some(Alarm { cell, .. }) = alarm.take() else { return };
    // Its owners may have left meanwhile: then its result goes with this reference.
    let Some(wakers) = claimed else { return release(cell) };
    if !wakers.is_empty() {
        expiry::add(Ending::Wake(wakers));
    }
    let error = TaskError::TimedOut(expired);
    // A task that has not begun still has its argument, whose destructor is user code.
    let left = if kind == Kind::Run { cell.fail_unheard(error) } else { Err(error) };
    match left {
        Ok(()) => release(cell),
        Err(error) => expiry::add(Ending::Fail(cell, error)),
    }
}

fn release(cell: CellRef) {
    if let Err(last) = cell.release_unless_last() {
        expiry::add(Ending::Release(last));
    }
}

/// Where unit tests have the clock's thread panic, as only a fault of this crate could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Tick,
    Alarm,
}

/// Panics once if a unit test has asked for it.
#[inline]
fn may_panic_at(place: Place) {
    #[cfg(test)]
    tests::panic_at(place);
    let _ = place;
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
