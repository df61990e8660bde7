//! `serial` in a program without threads and without a clock (`wasm32-unknown-unknown`): all works that needs neither, and the
//! rest is an error. `.ci/ports` builds it and has node run it.

use concurrent_futures::{ExecutorSpec, Promise, SubmitError, TaskError, prelude::*};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1);

#[link(wasm_import_module = "host")]
// SAFETY: the host has a function of this kind.
unsafe extern "C" {
    fn tell(text: *const u8, length: usize);
}

fn say(text: &str) {
    // SAFETY: the host reads the text and keeps nothing.
    unsafe { tell(text.as_ptr(), text.len()) };
}

fn double(number: u64) -> u64 {
    2 * number
}

// SAFETY: nothing else in the program has this name.
#[unsafe(no_mangle)]
extern "C" fn run() {
    // A panic ends the program in a trap that says nothing.
    std::panic::set_hook(Box::new(|panic| say(&panic.to_string())));
    let pool = "serial".parse::<ExecutorSpec>().unwrap().build().unwrap();
    what_needs_no_clock(&*pool);
    limits_of_waits(&*pool);
    limits_of_runs(&*pool);
    what_needs_threads_or_processes();
    say("serial works without threads and without a clock");
}

fn what_needs_no_clock(pool: &dyn Executor) {
    assert_eq!(pool.submit(double, 4).unwrap().result().unwrap(), 8);
    let ordered: Vec<_> = pool.map(double, 0..1000).map(Result::unwrap).collect();
    assert_eq!(ordered, (0..1000).map(double).collect::<Vec<_>>());
    let unordered = pool.map_with(MapOptions::new().unordered(), double, 0..1000).map(Result::unwrap);
    assert_eq!(unordered.sum::<u64>(), 999_000);
    let futures = [1, 2, 3].map(|number| pool.submit(double, number).unwrap());
    assert_eq!(as_completed(futures).map(|future| future.result().unwrap()).sum::<u64>(), 12);
    let options = TaskOptions::new().name("never queued").queue_timeout(LIMIT);
    assert_eq!(pool.submit_with(options, double, 4).unwrap().result().unwrap(), 8);
}

/// What is done is given, and for the rest nobody waits.
fn limits_of_waits(pool: &dyn Executor) {
    assert_eq!(pool.submit(double, 4).unwrap().result_timeout(LIMIT).unwrap().unwrap(), 8);
    let (_promise, pending) = Promise::<u64>::new();
    assert!(!pending.wait_timeout(LIMIT));
    let sets = wait([pending, pool.submit(double, 4).unwrap()], Some(LIMIT), ReturnWhen::AllCompleted);
    assert_eq!((sets.done.len(), sets.not_done.len()), (1, 1));
    let mut completed = as_completed(sets.done.into_iter().chain(sets.not_done)).timeout(LIMIT);
    assert!(completed.next().unwrap().is_ok());
    assert_eq!(completed.next().unwrap().unwrap_err().unfinished, 1);
}

/// A limit that nobody can measure is refused.
fn limits_of_runs(pool: &dyn Executor) {
    let limited = pool.submit_with(TaskOptions::new().run_timeout(LIMIT), double, 4);
    assert!(matches!(limited, Err(SubmitError::NoClock)));
    let mut outcomes = pool.map_with(MapOptions::new().run_timeout(LIMIT), double, 0..3);
    assert!(matches!(outcomes.next(), Some(Err(TaskError::Refused(SubmitError::NoClock)))));
}

fn what_needs_threads_or_processes() {
    let threads = "threads:1".parse::<ExecutorSpec>().unwrap().build();
    assert!(threads.is_err() || threads.is_ok_and(|pool| pool.submit(double, 1).is_err()));
    assert!("processes".parse::<ExecutorSpec>().unwrap().build().is_err());
}
