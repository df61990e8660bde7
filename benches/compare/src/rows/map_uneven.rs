//! `map_uneven`: many inputs that cost nothing, then some that cost a millisecond each, as of a cache that holds the first
//! ones: what the cheap ones taught must not give all the dear ones to one worker.
//!
//! The work is a fixed number of steps, for the reasons that `map_100us` gives. The number of steps is the input, so that it
//! crosses to a process as well.

use std::hint::black_box;
use std::time::Duration;

use executor_core::{Executor, ExecutorExt};
use rayon::ThreadPool;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::map_work::{calibrate, churn};
use super::{Row, scaled, timed};
use crate::peers::{WORKERS, ours, rayon_spawn};
use crate::rounds::Contender;

/// How many times 100 microseconds a dear input takes.
const DEAR: u64 = 10;

pub(super) fn build(scale: f64) -> Row {
    let inputs = inputs(scale);
    let (pool, peer) = (ours::pool(WORKERS), rayon_spawn::pool());
    Row {
        tasks: inputs.len() as u64,
        contenders: vec![
            {
                let inputs = inputs.clone();
                Contender::new("ours", move || ours_map(&pool, &inputs))
            },
            Contender::new("rayon par_iter", move || par_iter(&peer, &inputs)),
        ],
    }
}

/// How many steps each input is.
pub(crate) fn inputs(scale: f64) -> Vec<u64> {
    let (cheap, dear) = (scaled(50_000, scale), scaled(500, scale));
    let steps = DEAR * calibrate();
    (0..cheap + dear).map(|input| if input < cheap { 0 } else { steps }).collect()
}

fn work(steps: u64) -> u64 {
    churn(black_box(1), steps)
}

pub(crate) fn ours_map(pool: &impl Executor, inputs: &[u64]) -> Duration {
    let inputs = inputs.to_vec();
    let (count, last) = (inputs.len(), inputs[inputs.len() - 1]);
    let (elapsed, results) =
        timed(|| pool.map(work, inputs).map(|result| result.expect("the task returns")).collect::<Vec<_>>());
    check(&results, count, last);
    elapsed
}

pub(crate) fn par_iter(pool: &ThreadPool, inputs: &[u64]) -> Duration {
    let inputs = inputs.to_vec();
    let (count, last) = (inputs.len(), inputs[inputs.len() - 1]);
    let (elapsed, results) = timed(|| pool.install(|| inputs.into_par_iter().map(work).collect::<Vec<_>>()));
    check(&results, count, last);
    elapsed
}

fn check(results: &[u64], count: usize, last: u64) {
    assert_eq!(results.len(), count);
    assert!(results.first() == Some(&1) && results.last() == Some(&work(last)));
}
