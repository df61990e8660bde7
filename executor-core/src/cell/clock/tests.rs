//! Who runs what when a limit passes, and a clock that panics.

use super::{Alarm, Kind, Place, ring};
use crate::cell::current::is_stop_requested;
use crate::cell::transition::Start;
use crate::error::{Expired, TaskError};
use crate::future::Future;
use crate::options::TaskOptions;
use crate::task::{Dequeued, Owner, Task, TaskOwner};
use parking_lot::Mutex;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// Far beyond what anything here takes on a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);
const NEVER: Duration = Duration::from_secs(3600);

static PANICS: Mutex<Option<Place>> = Mutex::new(None);

/// On the clock's own thread only: other tests ring on theirs.
pub(super) fn panic_at(place: Place) {
    if thread::current().name() != Some("task-limits") {
        return;
    }
    let taken = PANICS.lock().take_if(|panics| *panics == place);
    if taken.is_some() {
        // No hook reports it.
        resume_unwind(Box::new("on purpose"));
    }
}

fn start<R: Send + 'static>(run: impl FnOnce() -> R + Send + 'static) -> thread::JoinHandle<R> {
    thread::Builder::new().spawn(run).unwrap()
}

/// Returns a task that has begun, with a limit on its run.
fn begun() -> (Task, Future<u8>) {
    let (task, future) = Task::from_closure_with(TaskOptions::new().run_timeout(NEVER), || 1);
    assert_eq!(task.cell().header().state.start(), Start::Won);
    (task, future)
}

/// Rings on this thread, as the clock does on its own.
fn ring_for(kind: Kind, task: &Task) {
    assert!(ring(vec![(kind, Alarm { cell: task.cell().another(), limit: NEVER })]).is_empty());
}

/// Tells which thread has woken it.
struct Notes(Mutex<Sender<ThreadId>>);

impl Wake for Notes {
    fn wake(self: Arc<Self>) {
        self.0.lock().send(thread::current().id()).unwrap();
    }
}

fn noting_waker() -> (Waker, Receiver<ThreadId>) {
    let (sender, threads) = channel();
    (Arc::new(Notes(Mutex::new(sender))).into(), threads)
}

fn assert_elsewhere(threads: &Receiver<ThreadId>) {
    assert_ne!(threads.recv_timeout(LIMIT).expect("it is run"), thread::current().id());
}

#[test]
fn a_run_that_nobody_observes_ends_on_the_clock_itself() {
    let (task, future) = begun();
    ring_for(Kind::Run, &task);
    assert!(future.is_done() && task.is_stop_requested());
    assert!(future.result().unwrap_err().is_timed_out());
}

#[test]
fn callbacks_and_wakers_run_on_another_thread() {
    let (task, future) = begun();
    let (sender, threads) = channel();
    future.add_done_callback(move |_| sender.send(thread::current().id()).unwrap());
    ring_for(Kind::Run, &task);
    assert_elsewhere(&threads);

    let (task, mut future) = begun();
    let (waker, threads) = noting_waker();
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(std::pin::Pin::new(&mut future).poll(&mut cx).is_pending());
    ring_for(Kind::Run, &task);
    assert_elsewhere(&threads);
}

/// Somebody waits for the room that a task leaves.
struct Full(Waker);

impl TaskOwner for Full {
    fn task_dequeued(&self, how: Dequeued) -> Vec<Waker> {
        assert_eq!(how, Dequeued::Expired);
        vec![self.0.clone()]
    }
}

#[test]
fn those_who_wait_for_room_are_woken_on_another_thread() {
    let (waker, threads) = noting_waker();
    let owner = Owner::new(Arc::new(Full(waker)));
    let (task, future) = Task::from_closure_with(TaskOptions::new().queue_timeout(NEVER), || 1);
    // SAFETY: the owner outlives the task.
    assert!(unsafe { task.set_owner(&raw const owner) });
    ring_for(Kind::Queue, &task);
    assert_elsewhere(&threads);
    assert!(future.result().unwrap_err().is_timed_out());
    drop(task);
}

/// Whenever it comes: before the step that ends the future it keeps the clock from that step, after it the future is done.
#[test]
fn a_callback_that_comes_late_is_never_the_clocks() {
    let expired = |task: &Task| TaskError::TimedOut(Expired::while_running(task.info(), NEVER));
    let (task, future) = begun();
    assert!(task.cell().header().state.claim_running(true).is_won());
    let (sender, called) = channel();
    future.add_done_callback(move |_| sender.send(thread::current().id()).unwrap());
    let error = task.cell().fail_unheard(expired(&task)).unwrap_err();
    assert!(!future.is_done() && called.try_recv().is_err());
    task.cell().another().fail(error);
    assert_eq!(called.try_recv(), Ok(thread::current().id()));

    let (task, future) = begun();
    assert!(task.cell().header().state.claim_running(true).is_won());
    assert!(task.cell().fail_unheard(expired(&task)).is_ok());
    let (sender, called) = channel();
    let late = start(move || {
        future.add_done_callback(move |_| sender.send(thread::current().id()).unwrap());
        thread::current().id()
    });
    assert_eq!(called.recv_timeout(LIMIT), Ok(late.join().unwrap()));
}

/// The last reference to a result goes elsewhere: its destructor is user code.
#[test]
fn results_are_dropped_on_another_thread() {
    struct Noting(Sender<ThreadId>);
    impl Drop for Noting {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().id());
        }
    }
    let (sender, threads) = channel();
    let options = TaskOptions::new().run_timeout(NEVER);
    let (task, future) = Task::from_closure_with(options, move || Noting(sender));
    let cell = task.cell().another();
    assert!(task.run(&|| {}, &|_| {}));
    drop(future);
    assert!(threads.try_recv().is_err());
    assert!(ring(vec![(Kind::Run, Alarm { cell, limit: NEVER })]).is_empty());
    assert_elsewhere(&threads);
}

#[test]
fn limits_hold_although_the_clock_panics() {
    for place in [Place::Tick, Place::Alarm] {
        *PANICS.lock() = Some(place);
        let soon = Duration::from_millis(1);
        let (running, future) = Task::from_closure_with(TaskOptions::new().run_timeout(soon), || {
            while !is_stop_requested() {
                thread::yield_now();
            }
        });
        let worker = start(move || running.run(&|| {}, &|_| {}));
        let Ok(outcome) = future.result_timeout(LIMIT) else { panic!("{place:?}: it is not over") };
        assert!(outcome.unwrap_err().is_timed_out());
        assert!(worker.join().unwrap());
        assert_eq!(*PANICS.lock(), None, "it has panicked");
        let (queued, future) = Task::from_closure_with(TaskOptions::new().queue_timeout(soon), || ());
        queued.queue_clock().unwrap().start();
        let Ok(outcome) = future.result_timeout(LIMIT) else { panic!("{place:?}: it is not over") };
        assert!(outcome.unwrap_err().is_timed_out());
    }
}
