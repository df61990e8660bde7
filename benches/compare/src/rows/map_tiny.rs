//! `map_tiny`: a lazy input of tiny items; rayon takes an iterator the same way with `par_bridge`.

use std::time::Duration;

use executor_core::ExecutorExt;
use rayon::ThreadPool;
use rayon::iter::{ParallelBridge, ParallelIterator};
use thread_executor::ThreadPoolExecutor;

use super::{Row, scaled, timed};
use crate::peers::{WORKERS, expected_sum, ours, rayon_spawn};
use crate::rounds::Contender;

pub(super) fn build(scale: f64) -> Row {
    let count = scaled(10_000_000, scale);
    let (pool, peer) = (ours::pool(WORKERS), rayon_spawn::pool());
    Row {
        tasks: count,
        contenders: vec![
            Contender::new("ours", move || ours_map(&pool, count)),
            Contender::new("rayon par_bridge", move || par_bridge(&peer, count)),
        ],
    }
}

/// Overflow wraps, so that the loop has no panicking branch that one side might pay for and the other not.
fn add_one(input: u64) -> u64 {
    input.wrapping_add(1)
}

fn ours_map(pool: &ThreadPoolExecutor, count: u64) -> Duration {
    let (elapsed, sum) = timed(|| {
        pool.map(add_one, 0..count).map(|result| result.expect("the task returns")).fold(0, u64::wrapping_add)
    });
    check(sum, count);
    elapsed
}

fn par_bridge(pool: &ThreadPool, count: u64) -> Duration {
    let (elapsed, sum) =
        timed(|| pool.install(|| (0..count).par_bridge().map(add_one).reduce(|| 0, u64::wrapping_add)));
    check(sum, count);
    elapsed
}

fn check(sum: u64, count: u64) {
    assert_eq!(sum, expected_sum(count).wrapping_add(count));
}
