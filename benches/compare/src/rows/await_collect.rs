//! `await_collect`: a tokio task submits everything, then awaits every future; tokio does so with its own tasks.
//!
//! Both sides drive the same kind of runtime; our tasks run in our pool besides it, tokio's on the runtime's workers.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::{Row, scaled, timed};
use crate::peers::{Peer, expected_sum, noop, ours::Ours, tokio_spawn};
use crate::rounds::Contender;

pub(super) fn build(scale: f64) -> Row {
    let count = scaled(100_000, scale);
    let (runtime, pool, peer) = (tokio_spawn::runtime(), Arc::new(Ours::new()), tokio_spawn::runtime());
    Row {
        tasks: count,
        contenders: vec![
            Contender::new("ours", move || ours(&runtime, &pool, count)),
            Contender::new("tokio spawn", move || tokio_tasks(&peer, count)),
        ],
    }
}

fn ours(runtime: &Runtime, pool: &Arc<Ours>, count: u64) -> Duration {
    let pool = Arc::clone(pool);
    in_a_task(runtime, count, async move {
        let mut futures = Vec::with_capacity(count as usize);
        for input in 0..count {
            futures.push(pool.submit(black_box(input)));
        }
        let mut sum = 0_u64;
        for future in futures {
            sum = sum.wrapping_add(future.await.expect("the task returns"));
        }
        sum
    })
}

fn tokio_tasks(runtime: &Runtime, count: u64) -> Duration {
    in_a_task(runtime, count, async move {
        let mut handles = Vec::with_capacity(count as usize);
        for input in 0..count {
            let input = black_box(input);
            handles.push(tokio::spawn(async move { noop(input) }));
        }
        let mut sum = 0_u64;
        for handle in handles {
            sum = sum.wrapping_add(handle.await.expect("the task returns"));
        }
        sum
    })
}

/// Runs the work as a task of the runtime and not in `block_on`, which is where an application would be.
fn in_a_task(runtime: &Runtime, count: u64, work: impl Future<Output = u64> + Send + 'static) -> Duration {
    let (elapsed, sum) = timed(|| runtime.block_on(runtime.spawn(work)).expect("the task returns"));
    assert_eq!(sum, expected_sum(count));
    elapsed
}
