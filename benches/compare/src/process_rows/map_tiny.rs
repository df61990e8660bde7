//! `process_map_tiny`: a lazy input of tiny items, in chunks of each side's own choosing.

use std::time::Duration;

use executor_core::ExecutorExt;
use process_executor::ProcessPoolExecutor;

use super::{PYTHON_POOL, Row, Target};
use crate::peers::{WORKERS, expected_sum, our_processes, python};
use crate::rounds::Contender;
use crate::rows::{scaled, timed};

pub(super) const TARGETS: &[Target] = &[Target { peer: PYTHON_POOL, ratio: 0.2, aim: Some(0.1) }];

pub(super) fn build(scale: f64) -> Row {
    let count = scaled(10_000_000, scale);
    let ours = |name, transport| {
        let pool = our_processes::pool(WORKERS, transport);
        Contender::new(name, move || map(&pool, count))
    };
    Row::new(count, ours).with_python(PYTHON_POOL, python::MAP, vec![scaled(1_000_000, scale)])
}

fn add_one(input: u64) -> u64 {
    input.wrapping_add(1)
}

fn map(pool: &ProcessPoolExecutor, count: u64) -> Duration {
    let (elapsed, sum) = timed(|| {
        pool.map(add_one, 0..count).map(|result| result.expect("the task returns")).fold(0, u64::wrapping_add)
    });
    assert_eq!(sum, expected_sum(count).wrapping_add(count));
    elapsed
}
