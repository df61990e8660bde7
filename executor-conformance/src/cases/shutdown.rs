//! `shutdown` and dropping: what still runs, what is waited for, what is refused.

use std::future::Future as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Waker};

use executor_core::{AsyncExecutor, Executor, ExecutorExt, Future, Shutdown, SubmitError};

use super::support::{LONG, NOW, SHORT, assert_cancelled};
use crate::case::{Case, Needs};
use crate::gate::Log;
use crate::stage::Stage;
use crate::subject::Subject;
use crate::{step, tasks};

const QUEUED: Needs = Needs::CONCURRENT.queue(6);

pub(crate) const CASES: &[Case] = &[
    Case::new("shutdown.refuses_tasks", &["S1"], Needs::ANY, refuses_tasks),
    Case::new("shutdown.again_is_harmless", &["S2"], Needs::ANY, again),
    Case::new("shutdown.of_an_unused_executor_returns", &["S2", "S3"], Needs::ANY, of_an_unused_executor),
    Case::new("shutdown.waits_for_everything", &["S3", "T9"], QUEUED, waits_for_everything),
    Case::new("shutdown.without_waiting_runs_what_is_queued", &["S4"], QUEUED, without_waiting),
    Case::new("shutdown.cancelling_cancels_what_has_not_begun", &["S5", "S6", "S7"], QUEUED, cancelling),
    Case::new("shutdown.cancelling_without_waiting", &["S8", "S17"], QUEUED, cancelling_without_waiting),
    Case::new("shutdown.cancelling_may_come_later", &["S2", "S5"], QUEUED, cancelling_later),
    Case::new("shutdown.waiting_may_come_later", &["S4", "S19"], QUEUED, waiting_later),
    Case::new("shutdown.leaves_results_readable", &["S19"], Needs::ANY, leaves_results_readable),
    Case::new("shutdown.drop_drains", &["S9", "S10", "T10", "H54", "H56"], QUEUED, drop_drains),
    Case::new("shutdown.drop_while_unwinding_drains", &["S9"], QUEUED, drop_while_unwinding_drains),
    Case::new("shutdown.drop_after_no_wait", &["S4", "S9", "S12"], QUEUED, drop_after_no_wait),
    Case::new("shutdown.drop_after_a_limit", &["S9", "H58"], QUEUED, drop_after_a_limit),
    Case::new("shutdown.drop_after_a_dropped_shutdown", &["S4", "S9"], QUEUED, drop_after_a_dropped_shutdown),
    Case::new("shutdown.drop_after_waiting_at_last", &["S9"], QUEUED, drop_after_waiting_at_last),
    Case::new("shutdown.futures_outlive_the_executor", &["S10", "H55"], Needs::ANY, futures_outlive_the_executor),
    Case::new("shutdown.cancelled_before_it", &["S14", "H30"], QUEUED, cancelled_before_it),
    Case::new("shutdown.limit_expires", &["H58"], Needs::CONCURRENT, limit_expires),
    Case::new("shutdown.limit_with_time_to_spare", &["H58", "S3"], Needs::ANY, limit_with_time_to_spare),
    Case::new("shutdown.after_failures", &["S3", "E7"], Needs::ANY, after_failures),
];

/// Queues six tasks that write a line each.
fn queue_six(stage: &Stage, log: &Log) -> Vec<Future<()>> {
    (0..6).map(|number| stage.pool().submit(tasks::note, (log.clone(), number.to_string())).unwrap()).collect()
}

fn refuses_tasks(subject: &Subject) {
    let stage = Stage::new(subject);
    stage.pool().shutdown(Shutdown::wait());
    let error = stage.pool().submit(tasks::double, 1).unwrap_err();
    assert!(matches!(error, SubmitError::ShutDown));
    assert!(error.to_string().contains("shut"), "{error}");
}

fn again(subject: &Subject) {
    let stage = Stage::new(subject);
    stage.pool().submit(tasks::double, 1).unwrap().result().unwrap();
    for how in [Shutdown::wait, Shutdown::no_wait, Shutdown::wait] {
        stage.pool().shutdown(how());
        stage.pool().shutdown(how().cancel_futures());
    }
    assert!(stage.pool().shutdown_timeout(LONG).is_ok());
}

fn of_an_unused_executor(subject: &Subject) {
    Stage::new(subject).pool().shutdown(Shutdown::wait());
    Stage::new(subject).drop_pool();
}

fn waits_for_everything(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    let queued = queue_six(&stage, &log);
    occupied.open();
    step("shutting down with six tasks queued");
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(log.lines().len(), 6);
    assert!(queued.iter().all(Future::is_done));
    assert!(occupied.blockers().iter().all(Future::is_done));
}

fn without_waiting(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    let queued = queue_six(&stage, &log);
    step("shutting down without waiting while every worker is held");
    stage.pool().shutdown(Shutdown::no_wait());
    assert!(!queued.iter().any(Future::is_done), "it returned at once");
    assert!(stage.pool().submit(tasks::double, 1).is_err());
    occupied.release();
    queued.into_iter().for_each(|future| future.result().unwrap());
    assert_eq!(log.lines().len(), 6);
}

fn cancelling(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    let queued = queue_six(&stage, &log);
    occupied.open();
    // The workers are about to finish their first tasks: each queued task runs or is cancelled, nothing else.
    stage.pool().shutdown(Shutdown::wait().cancel_futures());
    assert!(occupied.blockers().iter().all(|blocker| blocker.is_done() && !blocker.is_cancelled()));
    assert!(queued.iter().all(Future::is_done));
    let ran = queued.into_iter().filter(|future| !future.is_cancelled()).count();
    assert_eq!(log.lines().len(), ran);
    occupied.release();
}

fn cancelling_without_waiting(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    let queued = queue_six(&stage, &log);
    stage.pool().shutdown(Shutdown::no_wait().cancel_futures());
    assert!(queued.iter().all(Future::is_cancelled), "all of them, in one step");
    assert!(occupied.blockers().iter().all(Future::is_running), "what runs goes on");
    occupied.release();
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(log.lines(), Vec::<String>::new());
}

/// The second call may ask for more than the first.
fn cancelling_later(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    let queued = queue_six(&stage, &log);
    stage.pool().shutdown(Shutdown::no_wait());
    assert!(!queued.iter().any(Future::is_done));
    stage.pool().shutdown(Shutdown::no_wait().cancel_futures());
    queued.into_iter().for_each(|future| assert_cancelled(future.result()));
    occupied.release();
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(log.lines(), Vec::<String>::new());
}

/// Python's handle forgets its internals after the first call.
fn waiting_later(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    let queued = queue_six(&stage, &log);
    stage.pool().shutdown(Shutdown::no_wait());
    occupied.open();
    step("waiting after a shutdown that did not wait");
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(log.lines().len(), 6);
    assert!(queued.iter().all(Future::is_done));
}

fn leaves_results_readable(subject: &Subject) {
    let stage = Stage::new(subject);
    let futures: Vec<_> = (0..6).map(|number| stage.pool().submit(tasks::double, number).unwrap()).collect();
    stage.pool().shutdown(Shutdown::wait());
    let sum: u64 = futures.into_iter().map(|future| future.result().unwrap()).sum();
    assert_eq!(sum, 30);
}

fn drop_drains(subject: &Subject) {
    let mut stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    let queued = queue_six(&stage, &log);
    occupied.open();
    stage.drop_pool();
    assert_eq!(log.lines().len(), 6, "what was queued ran before the drop was over");
    queued.into_iter().for_each(|future| future.result().unwrap());
}

fn drop_while_unwinding_drains(subject: &Subject) {
    let stage = Stage::new(subject);
    let (log, gate) = (stage.log("ran"), stage.gate("unused"));
    gate.open();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        // Stays in the block, so that the panic drops its executor; the log belongs to the outer stage.
        let inner = Stage::new(subject);
        drop(queue_six(&inner, &log));
        panic!("a caller that fails, on purpose");
    }));
    assert!(unwound.is_err());
    assert_eq!(log.lines().len(), 6);
}

/// A caller that has stopped waiting can leave, though every worker is held by a task that does not end.
fn leaves(subject: &Subject, give_up: fn(&dyn Executor)) {
    let mut stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    let queued = queue_six(&stage, &log);
    give_up(stage.pool());
    let ends_tasks = stage.pool().can_end_tasks();
    stage.drop_pool();
    if ends_tasks {
        step("the workers end, though the gate is closed");
        assert!(occupied.blockers().iter().all(|blocker| blocker.exception().is_some()));
        assert!(queued.iter().all(|future| future.exception().is_some_and(|error| error.is_cancelled())));
        assert_eq!(log.lines(), Vec::<String>::new());
    } else {
        assert!(occupied.blockers().iter().all(Future::is_running), "nobody waited for them");
        occupied.release();
        queued.into_iter().for_each(|future| future.result().unwrap());
        assert_eq!(log.lines().len(), 6);
    }
}

fn drop_after_no_wait(subject: &Subject) {
    leaves(subject, |pool| pool.shutdown(Shutdown::no_wait()));
}

fn drop_after_a_limit(subject: &Subject) {
    leaves(subject, |pool| assert!(pool.shutdown_timeout(SHORT).is_err()));
}

fn drop_after_a_dropped_shutdown(subject: &Subject) {
    leaves(subject, |pool| {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(pin!(pool.shutdown_async(Shutdown::wait())).poll(&mut cx).is_pending());
    });
}

/// A caller that waits after all sees every task end, and the drop changes nothing.
fn drop_after_waiting_at_last(subject: &Subject) {
    let mut stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    let queued = queue_six(&stage, &log);
    stage.pool().shutdown(Shutdown::no_wait());
    occupied.open();
    stage.pool().shutdown(Shutdown::wait());
    stage.drop_pool();
    queued.into_iter().for_each(|future| future.result().unwrap());
    assert_eq!(log.lines().len(), 6);
}

fn futures_outlive_the_executor(subject: &Subject) {
    let mut stage = Stage::new(subject);
    let done = stage.pool().submit(tasks::double, 5).unwrap();
    let failed = stage.pool().submit(tasks::panic_with, "text, on purpose".to_owned()).unwrap();
    stage.drop_pool();
    assert!(!done.cancel() && done.wait_timeout(NOW));
    assert_eq!(done.result().unwrap(), 10);
    assert!(failed.result().unwrap_err().is_panic());
}

fn cancelled_before_it(subject: &Subject) {
    for _ in 0..20 {
        let stage = Stage::new(subject);
        let futures: Vec<_> = (0..3).map(|number| stage.pool().submit(tasks::double, number).unwrap()).collect();
        futures.iter().for_each(|future| {
            let _ = future.cancel();
        });
        step("shutting down after cancelling");
        stage.pool().shutdown(Shutdown::wait());
        assert!(futures.iter().all(Future::is_done));
    }
}

fn limit_expires(subject: &Subject) {
    let stage = Stage::new(subject);
    let occupied = stage.occupy();
    for limit in [NOW, SHORT] {
        step("waiting for the limit of a shutdown");
        assert!(stage.pool().shutdown_timeout(limit).is_err());
    }
    assert!(stage.pool().submit(tasks::double, 1).is_err(), "it is a shutdown all the same");
    assert!(occupied.blockers().iter().all(Future::is_running), "and nothing was torn down");
    occupied.release();
    assert!(stage.pool().shutdown_timeout(LONG).is_ok());
}

fn limit_with_time_to_spare(subject: &Subject) {
    let stage = Stage::new(subject);
    let future = stage.pool().submit(tasks::double, 4).unwrap();
    assert!(stage.pool().shutdown_timeout(LONG).is_ok());
    assert!(future.is_done());
}

fn after_failures(subject: &Subject) {
    let stage = Stage::new(subject);
    let futures: Vec<_> = (0..10).map(|number| stage.pool().submit(tasks::double_even, number).unwrap()).collect();
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(futures.into_iter().filter(|future| future.exception().is_some()).count(), 5);
}
