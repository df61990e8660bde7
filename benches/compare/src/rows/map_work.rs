//! `map_100us`: items of 100 microseconds of work, where the executor should cost next to nothing.
//!
//! The work is a fixed number of multiplications, calibrated once to 100 microseconds, and not a loop until the clock
//! says so. A clock loop makes progress while its thread is off the processor: on two cores the threads that feed
//! the pool and collect from it take time from the workers, and the clock would hide exactly the overhead that this
//! row is there to show. A fixed amount of work is lengthened by every disturbance, ours or not; a neighbour's falls
//! on both sides alike, since the rounds alternate and the median counts.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use executor_core::ExecutorExt;
use rayon::ThreadPool;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use thread_executor::ThreadPoolExecutor;

use super::{Row, scaled, timed};
use crate::peers::{WORKERS, ours, rayon_spawn};
use crate::rounds::Contender;

/// How long one item should take on an idle core.
const ITEM: Duration = Duration::from_micros(100);

/// Steps of one item; set before the first item runs.
static STEPS: OnceLock<u64> = OnceLock::new();

pub(super) fn build(scale: f64) -> Row {
    let count = scaled(20_000, scale);
    STEPS.get_or_init(calibrate);
    let expected = (0..count).map(|input| if input % 2_000 == 0 { work(input) } else { 0 }).fold(0, u64::wrapping_add);
    let (pool, peer) = (ours::pool(WORKERS), rayon_spawn::pool());
    Row {
        tasks: count,
        contenders: vec![
            Contender::new("ours", move || ours_map(&pool, count, expected)),
            Contender::new("rayon par_iter", move || par_iter(&peer, count, expected)),
        ],
    }
}

/// One item.
fn work(input: u64) -> u64 {
    let steps = *STEPS.get().expect("calibrated before the first item");
    churn(input, steps)
}

/// A chain of dependent multiplications that no compiler shortens.
pub(crate) fn churn(input: u64, steps: u64) -> u64 {
    (0..steps).fold(input, |state, step| black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step)))
}

/// The least of many samples: the one that was disturbed least.
pub(super) fn calibrate() -> u64 {
    const SAMPLE: u64 = 100_000;
    let fastest = (0..50)
        .map(|input| {
            let start = Instant::now();
            black_box(churn(black_box(input), SAMPLE));
            start.elapsed()
        })
        .min()
        .expect("there are samples");
    (SAMPLE as f64 * ITEM.as_secs_f64() / fastest.as_secs_f64()) as u64
}

fn ours_map(pool: &ThreadPoolExecutor, count: u64, expected: u64) -> Duration {
    let (elapsed, sampled) = timed(|| {
        let results = pool.map(work, 0..count).map(|result| result.expect("the task returns"));
        sample(results.collect())
    });
    assert_eq!(sampled, expected);
    elapsed
}

fn par_iter(pool: &ThreadPool, count: u64, expected: u64) -> Duration {
    let (elapsed, sampled) = timed(|| sample(pool.install(|| (0..count).into_par_iter().map(work).collect())));
    assert_eq!(sampled, expected);
    elapsed
}

/// The sum of every 2,000th result: computing all expected results would take as long as the row.
fn sample(results: Vec<u64>) -> u64 {
    results.into_iter().step_by(2_000).fold(0, u64::wrapping_add)
}
