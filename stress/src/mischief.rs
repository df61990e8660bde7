//! What only processes have: tasks that end their worker or never end, workers that are killed or stalled, tasks that run
//! again, pools within pools.

use std::sync::Arc;
use std::thread;

use executor_core::{Executor, ExecutorExt, Shutdown, Stop, TaskOptions};
use process_executor::{ProcessPoolExecutor, WorkerState};
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::actor::{Actor, Operation};
use crate::leftovers;
use crate::load::Load;
use crate::plan::Plan;
use crate::pool::Pool;
use crate::shared::Held;
use crate::tasks::{finish, task};
use crate::values::Argument;
use crate::work::Work;

pub(crate) const OPERATIONS: &[Operation] = &[
    ("kill a worker", 2, |actor| signal(actor, Signal::KILL)),
    ("terminate a worker", 1, |actor| signal(actor, Signal::TERM)),
    ("stall a worker", 2, stall),
    ("submit with retries", 4, submit_with_retries),
    ("stop one that goes on for ever", 2, stop_one),
    ("limit one that goes on for ever", 1, limit_one),
    ("a pool of its own", 1, own_pool),
];

/// A worker of any pool, by a handle that cannot become another process's, and its state.
fn any_worker(actor: &mut Actor) -> Option<(rustix::fd::OwnedFd, WorkerState)> {
    let pool = actor.pool();
    let workers = pool.processes()?.worker_infos();
    let worker = workers.get(actor.rng.usize(..workers.len().max(1)))?;
    let pid = Pid::from_raw(worker.pid().cast_signed())?;
    let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // A child now, so the handle is that child's, or one's that is dead.
    leftovers::is_child(worker.pid()).then_some((handle, worker.state()))
}

/// Sends a signal to a worker; to one that is not ready only in a wild round, since three such deaths break the pool.
fn signal(actor: &mut Actor, signal: Signal) {
    if !actor.deadly {
        return;
    }
    let Some((worker, state)) = any_worker(actor) else { return };
    if actor.wild || matches!(state, WorkerState::Idle | WorkerState::Busy) {
        let _ = rustix::process::pidfd_send_signal(&worker, signal);
    }
}

/// Stops a worker at whatever instruction it is, and lets it go on after a moment.
fn stall(actor: &mut Actor) {
    let Some((worker, _)) = any_worker(actor) else { return };
    let _ = rustix::process::pidfd_send_signal(&worker, Signal::STOP);
    thread::sleep(actor.moment());
    let _ = rustix::process::pidfd_send_signal(&worker, Signal::CONT);
}

fn submit_with_retries(actor: &mut Actor) {
    let entry = actor.entry("submit_with retries");
    let argument = actor.argument(&entry);
    let retries = actor.rng.u32(0..4);
    entry.retried(retries);
    let submitted = actor.pool().submit_with(TaskOptions::new().retries(retries), task, argument);
    actor.hold(entry, submitted);
}

/// Whatever the task is at when it is stopped: it ends.
fn stop_one(actor: &mut Actor) {
    let entry = actor.entry("stopped");
    entry.may_be_skipped();
    let retries = actor.rng.u32(0..2);
    entry.retried(retries);
    let argument = Argument::new(&entry, Work::ForEver, Load::random(&mut actor.rng, entry.number()));
    let options = TaskOptions::new().retries(retries);
    let Ok(future) = actor.pool().submit_with(options, task, argument) else { return entry.refused() };
    if actor.rng.bool() {
        thread::sleep(actor.moment());
    }
    if matches!(future.stop(), Stop::Cancelled) {
        entry.cancelled();
    }
    finish(&entry, future.result());
}

/// It ends by its limit.
fn limit_one(actor: &mut Actor) {
    let entry = actor.entry("limited for ever");
    entry.limited();
    let argument = Argument::new(&entry, Work::ForEver, Load::NONE);
    let options = TaskOptions::new().run_timeout(actor.moment());
    let submitted = actor.pool().submit_with(options, task, argument);
    actor.hold(entry, submitted);
}

/// A pool that is dropped, or ended, in whatever state it is: afterwards all its tasks are done.
fn own_pool(actor: &mut Actor) {
    let builder = Plan::marked(ProcessPoolExecutor::builder(), actor.shared.seed).workers(actor.rng.usize(1..3));
    let pool = Arc::new(Pool::of_processes(builder.build().expect("a pool of its own")));
    actor.shared.watched.lock().push(Arc::downgrade(&pool));
    let mut held: Vec<Held> = Vec::new();
    for _ in 0..actor.rng.usize(..20) {
        let entry = actor.entry("pool of its own");
        let argument = actor.argument(&entry);
        match pool.submit(task, argument) {
            Ok(future) => held.push((entry, future)),
            Err(error) => panic!("a fresh pool refuses a task: {error}"),
        }
    }
    if actor.rng.bool() {
        thread::sleep(actor.moment());
    }
    let processes = pool.processes().expect("just built");
    match actor.rng.u8(..8) {
        0 if actor.deadly => end_all(&held, || processes.kill_workers()),
        1 if actor.deadly => end_all(&held, || processes.terminate_workers()),
        2 => end_all(&held, || pool.shutdown(Shutdown::no_wait().cancel_futures())),
        3 => pool.shutdown(Shutdown::no_wait()),
        _ => {}
    }
    // Without this, a pool whose shutdown did not wait would be dropped without waiting.
    pool.shutdown(Shutdown::wait());
    drop(pool);
    assert!(held.iter().all(|(_, future)| future.is_done()), "a pool was dropped and a task of it is not done");
    actor.held.extend(held);
}

/// Ends what has not begun, too.
fn end_all(held: &[Held], end: impl FnOnce()) {
    held.iter().for_each(|(entry, _)| entry.may_be_skipped());
    end();
}
