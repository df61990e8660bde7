//! `busy_1ms`: tasks of one millisecond of processor time, where processes should cost no more than threads.
//!
//! The work is a fixed number of steps, for the reasons that `map_100us` gives; the number crosses as the argument.

use std::hint::black_box;
use std::time::Duration;

use executor_core::{Executor, ExecutorExt, Future};
use rustix::time::{ClockId, clock_gettime};

use super::{OUR_THREADS, Row, Target};
use crate::peers::{WORKERS, our_processes, ours};
use crate::rounds::Contender;
use crate::rows::{churn, scaled, timed};

/// Of processor time, not of the clock's.
const TASK: Duration = Duration::from_millis(1);

pub(super) const TARGETS: &[Target] = &[Target::new(OUR_THREADS, 1.03)];

pub(super) fn build(scale: f64) -> Row {
    let (count, steps) = (scaled(1_000, scale), calibrate());
    let ours = |name, transport| {
        let pool = our_processes::pool(WORKERS, transport);
        Contender::new(name, move || submit_then_collect(&pool, count, steps))
    };
    let threads = ours::pool(WORKERS);
    Row::new(count, ours).with(Contender::new(OUR_THREADS, move || submit_then_collect(&threads, count, steps)))
}

fn burn(steps: u64) -> u64 {
    churn(black_box(1), steps)
}

fn submit_then_collect(pool: &impl Executor, count: u64, steps: u64) -> Duration {
    let expected = burn(steps);
    let (elapsed, results) = timed(|| {
        let submitted = (0..count).map(|_| pool.submit(burn, steps).expect("the pool is open"));
        let futures: Vec<Future<u64>> = submitted.collect();
        let results = futures.into_iter().map(|future| future.result().expect("the task returns"));
        results.collect::<Vec<_>>()
    });
    assert!(results.into_iter().all(|result| result == expected));
    elapsed
}

/// The least of many samples: the one whose caches and clock were disturbed least.
fn calibrate() -> u64 {
    const SAMPLE: u64 = 500_000;
    let one = |_| {
        let start = thread_time();
        black_box(burn(black_box(SAMPLE)));
        thread_time() - start
    };
    let fastest = (0..50).map(one).min().expect("there are samples");
    (SAMPLE as f64 * TASK.as_secs_f64() / fastest.as_secs_f64()) as u64
}

fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("processor time is not negative")
}
