//! `as_completed` over many futures against itself over few: what one future costs must not grow with their number.
//!
//! `as_completed_100k` times the loop alone, futures submitted before the clock starts; `as_completed_whole` times
//! the submits too. The loop alone is the stricter one: its cost is small, and at 100,000 futures they no longer fit
//! into the processor's caches.

use std::hint::black_box;
use std::time::{Duration, Instant};

use executor_core::{ExecutorExt, Future, as_completed};
use thread_executor::ThreadPoolExecutor;

use super::{Row, scaled};
use crate::peers::{WORKERS, expected_sum, noop, ours};
use crate::rounds::Contender;

const FEW: u64 = 1_000;

/// Times from the call of `as_completed` to its end.
pub(super) fn loop_alone(scale: f64) -> Row {
    row(scale, false)
}

/// Times from the first submit to the end of `as_completed`.
pub(super) fn with_submits(scale: f64) -> Row {
    row(scale, true)
}

/// Both sides do the same number of futures in all: once many, or many times few.
fn row(scale: f64, submits: bool) -> Row {
    let many = scaled(100, scale) * FEW;
    let (pool, same) = (ours::pool(WORKERS), ours::pool(WORKERS));
    Row {
        tasks: many,
        contenders: vec![
            Contender::new("ours", move || batch(&pool, many, submits)),
            Contender::new("itself at 1,000", move || (0..many / FEW).map(|_| batch(&same, FEW, submits)).sum()),
        ],
    }
}

fn batch(pool: &ThreadPoolExecutor, count: u64, submits: bool) -> Duration {
    let start = Instant::now();
    let mut futures: Vec<Future<u64>> = Vec::with_capacity(count as usize);
    for input in 0..count {
        futures.push(pool.submit(noop, black_box(input)).expect("the pool is open"));
    }
    let start = if submits { start } else { Instant::now() };
    let sum = as_completed(futures).map(|future| future.result().expect("the task returns")).fold(0, u64::wrapping_add);
    let elapsed = start.elapsed();
    assert_eq!(sum, expected_sum(count));
    elapsed
}
