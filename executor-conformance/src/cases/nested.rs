//! Tasks that wait for tasks of their own executor: it must not starve.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use executor_core::{Executor, ExecutorExt, Future, ReturnWhen, Shutdown, as_completed, is_stop_requested, wait};
use parking_lot::Mutex;

use crate::case::{Case, Needs};
use crate::gate::{Gate, Gates};
use crate::subject::{Config, Subject};
use crate::{step, tasks};

/// Finds a task's executor by number: a plain function captures nothing.
const NESTED: Needs = Needs::ANY.in_process();

pub(crate) const CASES: &[Case] = &[
    Case::new("nested.task_may_wait_for_a_result", &["T8", "H32"], NESTED, result),
    Case::new("nested.waits_may_be_deep", &["T8", "H32"], NESTED, deep),
    Case::new("nested.task_may_wait_for_a_set", &["T8", "H32"], NESTED, nested_wait),
    Case::new("nested.task_may_use_as_completed", &["T8", "H32"], NESTED, nested_as_completed),
    Case::new("nested.task_may_map", &["T8", "H32"], NESTED, nested_map),
    Case::new("nested.many_at_once_do_not_starve", &["T8", "H32"], NESTED, many_at_once),
    Case::new("nested.failure_comes_through", &["T8", "E7"], NESTED, failure_comes_through),
    Case::new("nested.shutdown_from_a_task", &["S18", "H10", "H33"], NESTED, shutdown_from_a_task),
    Case::new("nested.stop_is_for_the_asked_task", &["H4"], Needs::CONCURRENT.in_process(), stop_is_for_the_asked_task),
];

static POOLS: LazyLock<Mutex<HashMap<u64, Arc<dyn Executor>>>> = LazyLock::new(Mutex::default);

/// Lets tasks find their executor until it is dropped.
struct Registered {
    key: u64,
    pool: Arc<dyn Executor>,
}

impl Registered {
    fn new(subject: &Subject) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let key = NEXT.fetch_add(1, Relaxed);
        let pool: Arc<dyn Executor> = Arc::from(subject.build(&Config { workers: Some(1), ..Config::default() }));
        POOLS.lock().insert(key, Arc::clone(&pool));
        Self { key, pool }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        POOLS.lock().remove(&self.key);
    }
}

fn own(key: u64) -> Arc<dyn Executor> {
    Arc::clone(&POOLS.lock()[&key])
}

fn result(subject: &Subject) {
    fn outer((key, number): (u64, u64)) -> u64 {
        own(key).submit(tasks::double, number).unwrap().result().unwrap() + 1
    }
    let here = Registered::new(subject);
    step("waiting for a task that waits for another one");
    assert_eq!(here.pool.submit(outer, (here.key, 5)).unwrap().result().unwrap(), 11);
}

/// Every call waits for two more tasks of the same single worker.
fn deep(subject: &Subject) {
    fn fibonacci((key, n): (u64, u64)) -> u64 {
        if n < 2 {
            return n;
        }
        let pool = own(key);
        let (a, b) = (pool.submit(fibonacci, (key, n - 1)).unwrap(), pool.submit(fibonacci, (key, n - 2)).unwrap());
        a.result().unwrap() + b.result().unwrap()
    }
    let here = Registered::new(subject);
    step("waiting for nested tasks, ten deep");
    assert_eq!(here.pool.submit(fibonacci, (here.key, 10)).unwrap().result().unwrap(), 55);
}

/// Submits `count` doublings to the task's own executor.
fn inner((key, count): (u64, u64)) -> Vec<Future<u64>> {
    (0..count).map(|number| own(key).submit(tasks::double, number).unwrap()).collect()
}

fn sum(futures: impl IntoIterator<Item = Future<u64>>) -> u64 {
    futures.into_iter().map(|future| future.result().unwrap()).sum()
}

fn nested_wait(subject: &Subject) {
    let here = Registered::new(subject);
    step("waiting for a task that calls wait");
    let outer = |args| sum(wait(inner(args), None, ReturnWhen::AllCompleted).done);
    assert_eq!(here.pool.submit(outer, (here.key, 10)).unwrap().result().unwrap(), 90);
    let first = |args| wait(inner(args), None, ReturnWhen::FirstCompleted).done.len() as u64;
    assert!(here.pool.submit(first, (here.key, 10)).unwrap().result().unwrap() >= 1);
}

fn nested_as_completed(subject: &Subject) {
    let here = Registered::new(subject);
    step("waiting for a task that calls as_completed");
    let outer = |args| sum(as_completed(inner(args)));
    assert_eq!(here.pool.submit(outer, (here.key, 10)).unwrap().result().unwrap(), 90);
}

fn nested_map(subject: &Subject) {
    fn outer((key, count): (u64, u64)) -> u64 {
        own(key).map(tasks::double, 0..count).map(Result::unwrap).sum()
    }
    let here = Registered::new(subject);
    step("waiting for a task that maps");
    assert_eq!(here.pool.submit(outer, (here.key, 100)).unwrap().result().unwrap(), 9900);
}

fn many_at_once(subject: &Subject) {
    let here = Registered::new(subject);
    let outer = |args| sum(inner(args));
    let futures: Vec<_> = (0..8).map(|_| here.pool.submit(outer, (here.key, 2)).unwrap()).collect();
    step("waiting for eight tasks that each wait for two");
    assert_eq!(sum(futures), 16);
}

fn failure_comes_through(subject: &Subject) {
    fn outer((key, text): (u64, String)) -> String {
        own(key).submit(tasks::panic_with, text).unwrap().result().unwrap_err().to_string()
    }
    let here = Registered::new(subject);
    let text = here.pool.submit(outer, (here.key, "inner trouble".to_owned())).unwrap().result().unwrap();
    assert!(text.contains("inner trouble"), "{text}");
}

/// The thread it would wait for is its own, so the wait becomes a request.
fn shutdown_from_a_task(subject: &Subject) {
    fn outer(key: u64) -> bool {
        own(key).shutdown(Shutdown::wait());
        own(key).submit(tasks::double, 1).is_err()
    }
    let here = Registered::new(subject);
    let future = here.pool.submit(outer, here.key).unwrap();
    step("waiting for a task that shuts its executor down");
    assert!(future.result().unwrap());
    step("shutting down again, from outside");
    here.pool.shutdown(Shutdown::wait());
}

/// A worker that runs an awaited task itself runs it as that task, not as the one that waits.
fn stop_is_for_the_asked_task(subject: &Subject) {
    fn outer((key, gate): (u64, Gate)) -> (bool, bool) {
        gate.pass();
        let inner = own(key).submit(|()| is_stop_requested(), ()).unwrap();
        (inner.result().unwrap(), is_stop_requested())
    }
    let (gates, here) = (Gates::new(), Registered::new(subject));
    let gate = gates.gate("inside");
    let future = here.pool.submit(outer, (here.key, gate.clone())).unwrap();
    gate.wait_arrivals(1);
    future.stop();
    gate.open();
    assert_eq!(future.result().unwrap(), (false, true), "(the inner task, the asked one)");
}
