//! `nested`: a task submits children to its own pool and waits for them; rayon does the same with `scope`.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::Duration;

use executor_core::ExecutorExt;
use rayon::ThreadPool;
use thread_executor::ThreadPoolExecutor;

use super::{Row, scaled, timed};
use crate::peers::{WORKERS, expected_sum, noop, ours, rayon_spawn};
use crate::rounds::Contender;

/// A parent is a plain function, so it finds its pool here.
static POOL: OnceLock<ThreadPoolExecutor> = OnceLock::new();

pub(super) fn build(scale: f64) -> Row {
    let (parents, children) = (scaled(1_000, scale), 1_000);
    let peer = rayon_spawn::pool();
    Row {
        tasks: parents * children,
        contenders: vec![
            Contender::new("ours", move || ours(parents, children)),
            Contender::new("rayon scope", move || rayon_scope(&peer, parents, children)),
        ],
    }
}

fn pool() -> &'static ThreadPoolExecutor {
    POOL.get_or_init(|| ours::pool(WORKERS))
}

fn ours(parents: u64, children: u64) -> Duration {
    let pool = pool();
    let (elapsed, sum) = timed(|| {
        (0..parents)
            .map(|_| pool.submit(parent, black_box(children)).expect("the pool is open"))
            .map(|future| future.result().expect("the parent returns"))
            .fold(0, u64::wrapping_add)
    });
    assert_eq!(sum, parents * expected_sum(children));
    elapsed
}

fn parent(children: u64) -> u64 {
    let pool = pool();
    let mut futures = Vec::with_capacity(children as usize);
    for input in 0..children {
        futures.push(pool.submit(noop, black_box(input)).expect("the pool is open"));
    }
    futures.into_iter().map(|future| future.result().expect("the child returns")).fold(0, u64::wrapping_add)
}

fn rayon_scope(pool: &ThreadPool, parents: u64, children: u64) -> Duration {
    let (elapsed, sum) =
        timed(|| (0..parents).map(|_| pool.install(|| rayon_parent(black_box(children)))).fold(0, u64::wrapping_add));
    assert_eq!(sum, parents * expected_sum(children));
    elapsed
}

/// A scope has no handles: each child writes its result into a slot of its own.
fn rayon_parent(children: u64) -> u64 {
    let mut results = vec![0; children as usize];
    rayon::scope(|scope| {
        for (input, result) in (0..children).zip(&mut results) {
            scope.spawn(move |_| *result = noop(black_box(input)));
        }
    });
    results.into_iter().fold(0, u64::wrapping_add)
}
