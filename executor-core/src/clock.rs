//! Run and queue limits: one thread for the whole process, started by the first limit, gone when none is left.
//!
//! Tasks without limits never come here.

use crate::cell::CellRef;
use crate::error::{Expired, TaskError};
use crate::header::Header;
use crate::info::TaskId;
use crate::state::STOP;
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, HashMap};
use std::ptr::NonNull;
use std::thread;
use std::time::{Duration, Instant};

/// How long the clock's thread stays without a limit to watch.
const IDLE: Duration = Duration::from_secs(2);

struct Clock {
    limits: Mutex<Limits>,
    changed: Condvar,
}

#[derive(Default)]
struct Limits {
    by_time: BTreeMap<(Instant, TaskId), Alarm>,
    time_of: HashMap<TaskId, Instant>,
    ticking: bool,
}

struct Alarm {
    cell: CellRef,
    limit: Duration,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Queue,
    Run,
}

static CLOCK: std::sync::LazyLock<Clock> =
    std::sync::LazyLock::new(|| Clock { limits: Mutex::new(Limits::default()), changed: Condvar::new() });

/// The task begins: its queue limit is met, its run limit starts.
///
/// # Safety
/// `cell` is live, and a pointer to the whole cell.
pub(crate) unsafe fn begin(cell: NonNull<Header>) {
    // SAFETY: by contract.
    let header = unsafe { cell.as_ref() };
    let Some(options) = header.options() else { return };
    forget(header);
    if let Some(limit) = options.run_limit() {
        // SAFETY: by contract.
        let cell = unsafe { CellRef::count(cell) };
        set(Alarm { cell, limit, kind: Kind::Run });
    }
}

/// The task has just been queued.
pub(crate) fn limit_queueing(cell: CellRef, limit: Duration) {
    let id = cell.header().id();
    let watch = cell.another();
    set(Alarm { cell, limit, kind: Kind::Queue });
    if !watch.header().is_pending() {
        // It began before the alarm was set, and so did not find it to take it away.
        remove(id, Kind::Queue);
    }
}

/// The task is over, or will never begin: no limit concerns it any more.
pub(crate) fn forget(header: &Header) {
    if header.options().is_some_and(|options| options.run_limit().is_some() || options.queue_limit().is_some()) {
        remove_any(header.id());
    }
}

fn set(alarm: Alarm) {
    // A limit beyond the clock's end is no limit.
    let Some(time) = Instant::now().checked_add(alarm.limit) else {
        return;
    };
    let id = alarm.cell.header().id();
    let mut limits = CLOCK.limits.lock();
    limits.time_of.insert(id, time);
    limits.by_time.insert((time, id), alarm);
    if !limits.ticking {
        limits.ticking = thread::Builder::new().name("task-limits".to_owned()).spawn(tick).is_ok();
    }
    let next = limits.by_time.first_key_value().is_some_and(|(key, _)| *key == (time, id));
    drop(limits);
    if next {
        CLOCK.changed.notify_one();
    }
}

fn remove_any(id: TaskId) {
    let mut limits = CLOCK.limits.lock();
    let alarm = limits.time_of.remove(&id).and_then(|time| limits.by_time.remove(&(time, id)));
    drop(limits);
    drop(alarm);
}

fn remove(id: TaskId, kind: Kind) {
    let mut limits = CLOCK.limits.lock();
    let Some(&time) = limits.time_of.get(&id) else { return };
    let same =
        limits.by_time.get(&(time, id)).is_some_and(|alarm| matches!((alarm.kind, kind), (Kind::Queue, Kind::Queue)));
    let alarm = if same {
        limits.time_of.remove(&id);
        limits.by_time.remove(&(time, id))
    } else {
        None
    };
    drop(limits);
    drop(alarm);
}

/// The clock's thread.
fn tick() {
    let mut limits = CLOCK.limits.lock();
    loop {
        let now = Instant::now();
        match limits.by_time.first_key_value().map(|(&(time, _), _)| time) {
            Some(time) if time <= now => {
                let (key, alarm) = limits.by_time.pop_first().expect("the first alarm was just seen");
                limits.time_of.remove(&key.1);
                parking_lot::MutexGuard::unlocked(&mut limits, || ring(alarm));
            }
            Some(time) => {
                CLOCK.changed.wait_until(&mut limits, time);
            }
            None => {
                let idle = CLOCK.changed.wait_for(&mut limits, IDLE).timed_out();
                if idle && limits.by_time.is_empty() {
                    limits.ticking = false;
                    return;
                }
            }
        }
    }
}

fn ring(alarm: Alarm) {
    let header = alarm.cell.header();
    let claimed = match alarm.kind {
        Kind::Queue => header.claim_expired(),
        Kind::Run => header.claim_running(STOP),
    };
    if !claimed {
        return;
    }
    let expired = match alarm.kind {
        Kind::Queue => Expired::in_queue(header.info(), alarm.limit),
        Kind::Run => Expired::while_running(header.info(), alarm.limit),
    };
    resolve(alarm.cell, TaskError::TimedOut(expired));
}

/// Ends the future. If somebody listens, that runs user code, which must not hold up other limits: it gets a thread.
fn resolve(cell: CellRef, error: TaskError) {
    if !cell.header().has_listeners() {
        return cell.fail(error);
    }
    // Shared, so that both survive a thread that would not start.
    let parcel = std::sync::Arc::new(Mutex::new(Some((cell, error))));
    let fail = {
        let parcel = parcel.clone();
        move || {
            if let Some((cell, error)) = parcel.lock().take() {
                cell.fail(error);
            }
        }
    };
    if thread::Builder::new().name("task-expired".to_owned()).spawn(fail).is_err()
        && let Some((cell, error)) = parcel.lock().take()
    {
        cell.fail(error);
    }
}
