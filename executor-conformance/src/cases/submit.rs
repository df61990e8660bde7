//! `submit` and its variants: what goes in, in which order it runs, and what is kept of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use executor_core::{Executor, ExecutorExt, Future, Shutdown, TaskOptions};
use serde::{Deserialize, Serialize};

use super::support::{LONG, SHORT, assert_timed_out};
use crate::case::{Case, Needs};
use crate::gate::Gate;
use crate::stage::Stage;
use crate::step;
use crate::subject::{Config, Subject};
use crate::tasks::{self, Tracked, alive};

pub(crate) const CASES: &[Case] = &[
    Case::new("submit.arguments_pass_through", &["E1"], Needs::ANY, arguments_pass_through),
    Case::new("submit.closures_without_captures_are_functions", &["E1"], Needs::ANY, closures_without_captures),
    Case::new("submit.large_values_pass_through", &["E1"], Needs::ANY, large_values),
    Case::new("submit.one_worker_keeps_the_order", &["E2"], Needs::CONCURRENT.queue(10), one_worker_keeps_the_order),
    Case::new(
        "submit.one_worker_keeps_the_order_of_many",
        &["E2"],
        Needs::CONCURRENT.queue(MANY),
        one_worker_keeps_the_order_of_many,
    ),
    Case::new(
        "submit.a_free_worker_takes_the_oldest",
        &["E2"],
        Needs::CONCURRENT.workers(2).queue(100).in_process(),
        a_free_worker_takes_the_oldest,
    ),
    Case::new(
        "submit.several_workers_keep_the_order",
        &["E2"],
        Needs::CONCURRENT.workers(3).queue(MANY).in_process(),
        several_workers_keep_the_order,
    ),
    Case::new(
        "submit.never_waits_without_a_bound",
        &["E2"],
        Needs::CONCURRENT.queue(1000),
        never_waits_without_a_bound,
    ),
    Case::new("submit.keeps_no_argument", &["E3"], Needs::ANY, keeps_no_argument),
    Case::new("submit.keeps_no_result", &["E3", "M12"], Needs::ANY, keeps_no_result),
    Case::new("submit.keeps_no_unread_result", &["E3", "E5"], Needs::ANY, keeps_no_unread_result),
    Case::new("submit.from_many_threads", &["E6"], Needs::ANY, from_many_threads),
    Case::new("submit.through_every_pointer", &[], Needs::ANY, through_every_pointer),
    Case::new("submit.states_of_a_task", &["F1", "F5", "F16"], Needs::CONCURRENT.queue(1), states_of_a_task),
    Case::new("submit.says_where_it_was", &[], Needs::ANY, says_where_it_was),
    Case::new("submit.name_is_in_the_error", &[], Needs::ANY, name),
    Case::new("submit.run_limit_ends_the_future", &["H4", "H8"], Needs::ANY.time_limits(), run_limit),
    Case::new("submit.run_limit_with_time_to_spare", &[], Needs::ANY.time_limits(), run_limit_with_time_to_spare),
    Case::new(
        "submit.run_limit_is_for_running_only",
        &[],
        Needs::CONCURRENT.queue(1).time_limits(),
        run_limit_starts_late,
    ),
    Case::new(
        "submit.queue_limit_ends_what_has_not_begun",
        &["H58"],
        Needs::CONCURRENT.queue(1).time_limits(),
        queue_limit,
    ),
    Case::new("submit.queue_limit_with_time_to_spare", &[], Needs::ANY.time_limits(), queue_limit_with_time_to_spare),
];

/// More tasks than any executor moves at a time.
const MANY: usize = 5000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    lines: Vec<(String, f64)>,
    note: Option<String>,
    stock: BTreeMap<String, i32>,
}

fn arguments_pass_through(subject: &Subject) {
    let stage = Stage::new(subject);
    let pool = stage.pool();
    let order = Order {
        id: u64::MAX,
        lines: vec![("bolt".to_owned(), 0.25), (String::new(), -0.0)],
        note: None,
        stock: BTreeMap::from([("nut".to_owned(), -3)]),
    };
    assert_eq!(pool.submit(tasks::echo::<Order>, order.clone()).unwrap().result().unwrap(), order);
    pool.submit(tasks::echo::<()>, ()).unwrap().result().unwrap();
    let mixed = (1_u8, 'x', "text".to_owned(), [1.5_f32; 3]);
    let echoed = pool.submit(tasks::echo::<(u8, char, String, [f32; 3])>, mixed.clone()).unwrap().result().unwrap();
    assert_eq!(echoed, mixed);
    let failed = pool.submit(tasks::checked_double, 3).unwrap().result().unwrap();
    assert_eq!(failed.unwrap_err(), "3 is odd", "a task's own error is a value");
}

fn closures_without_captures(subject: &Subject) {
    let stage = Stage::new(subject);
    let power = stage.pool().submit(|(base, exponent)| u64::pow(base, exponent), (3, 7)).unwrap();
    assert_eq!(power.result().unwrap(), 2187);
    let length = stage.pool().submit(|text: String| text.len(), "four".to_owned()).unwrap();
    assert_eq!(length.result().unwrap(), 4);
}

fn large_values(subject: &Subject) {
    let stage = Stage::new(subject);
    let bytes: Vec<u8> = (0..4_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let echoed = stage.pool().submit(tasks::echo::<Vec<u8>>, bytes.clone()).unwrap();
    assert_eq!(echoed.result().unwrap(), bytes);
}

/// Queues `count` tasks while `workers` workers are busy, and returns their numbers in the order in which they began.
fn order_of_begins(subject: &Subject, workers: usize, count: usize) -> Vec<usize> {
    let stage = Stage::workers(subject, workers);
    let (occupied, log) = (stage.occupy(), stage.log("order"));
    for number in 0..count {
        drop(stage.pool().submit(tasks::note, (log.clone(), number.to_string())).unwrap());
    }
    occupied.release();
    stage.pool().shutdown(Shutdown::wait());
    log.lines().iter().map(|line| line.parse().unwrap()).collect()
}

/// First in, first out: with one worker the log shows the order of dispatch.
fn one_worker_keeps_the_order(subject: &Subject) {
    assert!(order_of_begins(subject, 1, 10).into_iter().eq(0..10));
}

fn one_worker_keeps_the_order_of_many(subject: &Subject) {
    assert!(order_of_begins(subject, 1, MANY).into_iter().eq(0..MANY));
}

/// Frees one of two workers at a time: the next task to begin is the oldest one, whichever worker it is.
fn a_free_worker_takes_the_oldest(subject: &Subject) {
    let stage = Stage::workers(subject, 2);
    let log = stage.log("order");
    let submit = |name: String| {
        let gate = stage.gate(&name);
        drop(stage.pool().submit(tasks::note_then_pass, (log.clone(), name, gate.clone())).unwrap());
        gate
    };
    let mut running: Vec<_> = (0..2).map(|number| submit(format!("blocker {number}"))).collect();
    running.iter().for_each(|gate| gate.wait_arrivals(1));
    let queued: Vec<_> = (0..100).map(|number| submit(number.to_string())).collect();
    for (number, gate) in queued.into_iter().enumerate() {
        // In turn the worker that has been busy for longer, and the other.
        running.remove(number % 3 % 2).open();
        gate.wait_arrivals(1);
        assert_eq!(log.lines().len(), 2 + number + 1, "no other task has begun");
        running.push(gate);
    }
    running.iter().for_each(Gate::open);
}

/// When a task begins, each older one has begun, or a worker has taken it and is about to begin it.
fn several_workers_keep_the_order(subject: &Subject) {
    const WORKERS: usize = 3;
    let order = order_of_begins(subject, WORKERS, MANY);
    assert_eq!(order.len(), MANY);
    for (begun_before, number) in order.into_iter().enumerate() {
        assert!(begun_before + WORKERS > number, "task {number} began after only {begun_before} others");
    }
}

fn never_waits_without_a_bound(subject: &Subject) {
    let stage = Stage::new(subject);
    let occupied = stage.occupy();
    step("submitting 1000 tasks to busy workers");
    let futures: Vec<_> = (0..1000).map(|number| stage.pool().submit(tasks::double, number).unwrap()).collect();
    assert!(!futures.iter().any(Future::is_done));
    occupied.release();
    let sum: u64 = futures.into_iter().map(|future| future.result().unwrap()).sum();
    assert_eq!(sum, 999_000);
}

fn keeps_no_argument(subject: &Subject) {
    let (stage, probe) = (Stage::new(subject), Arc::new(()));
    let future = stage.pool().submit(|tracked: Tracked| tracked.number, Tracked::new(&probe, 5)).unwrap();
    assert_eq!(future.result().unwrap(), 5);
    assert_eq!(alive(&probe), 0, "although the executor lives");
}

fn keeps_no_result(subject: &Subject) {
    let (stage, probe) = (Stage::new(subject), Arc::new(()));
    let value = stage.pool().submit(tasks::echo::<Tracked>, Tracked::new(&probe, 5)).unwrap().result().unwrap();
    assert_eq!(value.number, 5);
    drop(value);
    assert_eq!(alive(&probe), 0, "although the executor lives");

    for item in stage.pool().map(tasks::echo::<Tracked>, (0..20).map(|number| Tracked::new(&probe, number))) {
        item.unwrap();
    }
    assert_eq!(alive(&probe), 0);
}

fn keeps_no_unread_result(subject: &Subject) {
    let (stage, probe) = (Stage::new(subject), Arc::new(()));
    drop(stage.pool().submit(tasks::echo::<Tracked>, Tracked::new(&probe, 1)).unwrap());
    let unread = stage.pool().submit(tasks::echo::<Tracked>, Tracked::new(&probe, 2)).unwrap();
    unread.wait();
    drop(unread);
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(alive(&probe), 0);
}

fn from_many_threads(subject: &Subject) {
    let stage = Stage::new(subject);
    let pool = stage.pool();
    let total: u64 = thread::scope(|scope| {
        let submitter = |_| {
            scope.spawn(move || {
                let futures: Vec<_> = (0..100).map(|number| pool.submit(tasks::double, number).unwrap()).collect();
                futures.into_iter().map(|future| future.result().unwrap()).sum::<u64>()
            })
        };
        let submitters: Vec<_> = (0..4).map(submitter).collect();
        submitters.into_iter().map(|submitter| submitter.join().unwrap()).sum()
    });
    assert_eq!(total, 4 * 9900);
}

fn through_every_pointer(subject: &Subject) {
    fn generic(pool: &impl Executor) -> u64 {
        pool.submit(tasks::double, 2).unwrap().result().unwrap()
    }
    let boxed: Box<dyn Executor> = subject.build(&Config::default());
    let borrowed: &dyn Executor = &*boxed;
    assert_eq!(borrowed.submit(tasks::double, 2).unwrap().result().unwrap(), 4);
    assert_eq!((generic(&boxed), generic(&borrowed)), (4, 4));
    assert_eq!(boxed.map(tasks::double, [1, 2]).map(Result::unwrap).sum::<u64>(), 6);
    let shared: Arc<dyn Executor> = Arc::from(boxed);
    assert_eq!(generic(&shared), 4);
    assert_eq!(shared.map(tasks::double, [1, 2]).map(Result::unwrap).sum::<u64>(), 6);
}

fn states_of_a_task(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, gate) = (stage.occupy(), stage.gate("inside"));
    let future = stage.pool().submit(tasks::pass, gate.clone()).unwrap();
    let state = |future: &Future<()>| (future.is_running(), future.is_done(), future.is_cancelled());
    assert_eq!(state(&future), (false, false, false), "queued");
    assert!(occupied.blockers().iter().all(Future::is_running));
    occupied.open();
    gate.wait_arrivals(1);
    assert_eq!(state(&future), (true, false, false), "begun");
    gate.open();
    future.wait();
    assert_eq!(state(&future), (false, true, false), "ended");
    occupied.release();
}

fn says_where_it_was(subject: &Subject) {
    let stage = Stage::new(subject);
    let line = line!() + 1;
    let future = stage.pool().submit(tasks::panic_with, "text, on purpose".to_owned()).unwrap();
    let location = future.info().location();
    assert_eq!(Path::new(location.file()).file_name(), Path::new(file!()).file_name());
    assert_eq!(location.line(), line);
    let id = future.id();
    let error = future.result().unwrap_err();
    assert_eq!(error.info().map(|info| info.id()), Some(id), "the error knows its task");
    let text = error.to_string();
    assert!(text.contains("submit.rs") && text.contains(&line.to_string()), "{text}");
}

fn name(subject: &Subject) {
    let stage = Stage::new(subject);
    let options = TaskOptions::new().name("totals of March");
    let future = stage.pool().submit_with(options, tasks::panic_with, "text, on purpose".to_owned()).unwrap();
    assert_eq!(future.info().name(), Some("totals of March"));
    let text = future.result().unwrap_err().to_string();
    assert!(text.contains("totals of March"), "{text}");
    let unnamed = stage.pool().submit(tasks::double, 1).unwrap();
    assert_eq!(unnamed.info().name(), None);
}

/// The future is done when the limit passes; the task is asked to stop.
fn run_limit(subject: &Subject) {
    let stage = Stage::new(subject);
    let gate = stage.gate("inside");
    let options = TaskOptions::new().run_timeout(SHORT);
    let future = stage.pool().submit_with(options, tasks::until_stopped, gate.clone()).unwrap();
    step("waiting for a run limit to expire");
    assert_timed_out(future.result());
    step("waiting for the stopped task to leave its worker");
    stage.pool().shutdown(Shutdown::wait());
}

fn run_limit_with_time_to_spare(subject: &Subject) {
    let stage = Stage::new(subject);
    let options = || TaskOptions::new().run_timeout(LONG).queue_timeout(LONG);
    assert_eq!(stage.pool().submit_with(options(), tasks::double, 4).unwrap().result().unwrap(), 8);
    let failing = stage.pool().submit_with(options(), tasks::panic_with, "text, on purpose".to_owned()).unwrap();
    assert!(failing.result().unwrap_err().is_panic());
}

/// The time in the queue does not count.
fn run_limit_starts_late(subject: &Subject) {
    let stage = Stage::new(subject);
    let occupied = stage.occupy();
    let options = TaskOptions::new().run_timeout(SHORT);
    let future = stage.pool().submit_with(options, tasks::until_stopped, stage.gate("inside")).unwrap();
    assert!(!future.wait_timeout(2 * SHORT), "it has not begun, so its limit cannot expire");
    occupied.release();
    assert_timed_out(future.result());
}

fn queue_limit(subject: &Subject) {
    let stage = Stage::new(subject);
    let (occupied, log) = (stage.occupy(), stage.log("ran"));
    let options = TaskOptions::new().queue_timeout(SHORT);
    let future = stage.pool().submit_with(options, tasks::note, (log.clone(), "late".to_owned())).unwrap();
    step("waiting for a queue limit to expire while every worker is busy");
    assert_timed_out(future.result());
    occupied.release();
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(log.lines(), Vec::<String>::new(), "it never began");
}

fn queue_limit_with_time_to_spare(subject: &Subject) {
    let stage = Stage::new(subject);
    let (gate, options) = (stage.gate("inside"), TaskOptions::new().queue_timeout(LONG));
    gate.open();
    let future = stage.pool().submit_with(options, tasks::pass_then, (gate, 3)).unwrap();
    assert_eq!(future.result().unwrap(), 3);
}
