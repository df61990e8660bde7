//! What every contender must be able to do, so that one generic workload times them all.

pub(crate) mod crossbeam_workers;
pub(crate) mod ipc_memory;
pub(crate) mod our_processes;
pub(crate) mod ours;
pub(crate) mod ping_pong;
pub(crate) mod procspawn_pool;
pub(crate) mod python;
pub(crate) mod rayon_spawn;
pub(crate) mod rusty_pool;
pub(crate) mod spinning;
pub(crate) mod threadpool;
pub(crate) mod tokio_blocking;
pub(crate) mod tokio_spawn;

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Workers of every pool in every row.
pub(crate) const WORKERS: usize = 2;

/// A pool that runs [`noop`] and hands back something to wait on.
pub(crate) trait Peer: Send + Sync {
    /// What one submit returns.
    type Handle: Send;

    /// Hands one [`noop`] to the pool.
    fn submit(&self, input: u64) -> Self::Handle;

    /// Waits for one result.
    fn wait(&self, handle: Self::Handle) -> u64;

    /// Waits for all results and sums them; a peer overrides it where it has a cheaper way than one wait each.
    fn collect(&self, handles: Vec<Self::Handle>) -> u64 {
        handles.into_iter().map(|handle| self.wait(handle)).fold(0, u64::wrapping_add)
    }
}

/// The task of all rows that time the executor alone; opaque, so that no contender's copy is optimized away.
pub(crate) fn noop(input: u64) -> u64 {
    black_box(input)
}

/// The sum of the results of [`noop`] over `0..count`, which every row compares with what it collected.
pub(crate) fn expected_sum(count: u64) -> u64 {
    (0..count).fold(0, u64::wrapping_add)
}

/// The work of all rows about large arguments: reads one byte a page, which costs the same in every language and is
/// little beside a copy, but finds every page that did not arrive.
pub(crate) fn page_sum(bytes: &[u8]) -> u64 {
    bytes.iter().step_by(4096).copied().map(u64::from).sum()
}

/// How long it takes to do something so many times, one after the other.
pub(crate) fn each(count: u64, one: impl FnMut(u64)) -> Duration {
    let start = Instant::now();
    (0..count).for_each(one);
    start.elapsed()
}
