//! The rows that are counted: allocations, futex calls, idle processor time and bytes for a pending task.
//!
//! Each runs in a process of its own, this same binary with a hidden subcommand, so that the counting allocator and
//! `strace` disturb no timed row and no other pool's threads are counted.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use executor_core::{ExecutorExt, Future, MapOptions};

use crate::allocator;
use crate::counted::{Counted, Spec, cpu_nanoseconds, saturated_tasks};
use crate::peers::{WORKERS, expected_sum, noop, ours};
use crate::process_counts;
use crate::rows::scaled;

/// All counted rows of thread pools, in the order in which they run.
pub(crate) const COUNTS: &[Spec] = &[
    Spec { name: "allocations_per_submit", target: Some(1.0), what: Counted::AllocationsPerSubmit },
    Spec { name: "allocations_per_map_chunk", target: Some(2.0), what: Counted::AllocationsPerMapChunk },
    Spec { name: "futex_per_task", target: Some(0.01), what: Counted::FutexPerTask },
    Spec { name: "idle_cpu_ms", target: Some(5.0), what: Counted::IdleCpuMs },
    Spec { name: "bytes_per_pending_task", target: Some(192.0), what: Counted::BytesPerPendingTask },
];

/// What the child process does; returns what it counted.
pub(crate) fn in_child(what: Counted, scale: f64) -> f64 {
    match what {
        Counted::AllocationsPerSubmit => allocations_per_submit(scale),
        Counted::AllocationsPerMapChunk => allocations_per_map_chunk(scale),
        Counted::FutexPerTask => {
            allocator::use_one_block();
            saturated(saturated_tasks(scale))
        }
        Counted::IdleCpuMs => idle_cpu_ms(),
        Counted::BytesPerPendingTask => bytes_per_pending_task(scale),
        Counted::ProcessIdleCpuMs => process_counts::idle_cpu_ms(),
        Counted::DescriptorsOfPendingTasks => process_counts::descriptors_of_pending_tasks(scale),
        Counted::ProcessBytesPerPendingTask => process_counts::bytes_per_pending_task(scale),
        Counted::KillToErrorMs => process_counts::kill_to_error_ms(),
        Counted::KillToReplacementMs => process_counts::kill_to_replacement_ms(),
    }
}

/// The list that holds the futures is allocated before counting, and a first run as long as the counted one lets the
/// pool's queues grow to the size they then keep.
fn allocations_per_submit(scale: f64) -> f64 {
    let count = scaled(100_000, scale);
    let pool = ours::pool(WORKERS);
    let mut futures: Vec<Future<u64>> = Vec::with_capacity(count as usize);
    let mut run = || {
        futures.extend((0..count).map(|input| pool.submit(noop, black_box(input)).expect("the pool is open")));
        let results = futures.drain(..).map(|future| future.result().expect("the task returns"));
        assert_eq!(results.fold(0, u64::wrapping_add), expected_sum(count));
    };
    run();
    allocator::count(run).allocations as f64 / count as f64
}

/// The difference of a long and a short map, so that what one call of `map` allocates for itself cancels out.
fn allocations_per_map_chunk(scale: f64) -> f64 {
    const CHUNK: u64 = 1_000;
    let short = scaled(1_000, scale);
    let pool = ours::pool(WORKERS);
    let run = |chunks: u64| {
        let options = MapOptions::new().chunk_size(CHUNK as usize);
        let results = pool.map_with(options, noop, 0..chunks * CHUNK).map(|result| result.expect("the task returns"));
        assert_eq!(results.fold(0, u64::wrapping_add), expected_sum(chunks * CHUNK));
    };
    run(3 * short);
    let few = allocator::count(|| run(short)).allocations;
    let many = allocator::count(|| run(3 * short)).allocations;
    (many as f64 - few as f64) / (2 * short) as f64
}

/// Submits faster than two workers can work, so that none of them ever runs dry: a task takes some microseconds, a
/// submit much less. Nobody waits: the results are summed by the tasks, and dropping the pool runs what is queued.
fn saturated(tasks: u64) -> f64 {
    static SUM: AtomicU64 = AtomicU64::new(0);
    fn task(input: u64) {
        let steps = (0..4_000_u64).fold(0, |steps, step| black_box(steps + black_box(step) % 2));
        assert_eq!(steps, 2_000);
        SUM.fetch_add(input, Ordering::Relaxed);
    }
    let pool = ours::pool(WORKERS);
    for input in 0..tasks {
        drop(pool.submit(task, input).expect("the pool is open"));
    }
    drop(pool);
    assert_eq!(SUM.load(Ordering::Relaxed), expected_sum(tasks));
    tasks as f64
}

/// A pool that has worked before is the honest case: its workers have to find out that there is nothing left to do.
fn idle_cpu_ms() -> f64 {
    const IDLE: Duration = Duration::from_secs(5);
    let pool = ours::pool(WORKERS);
    for input in 0..1_000 {
        assert_eq!(pool.submit(noop, input).expect("the pool is open").result().expect("the task returns"), input);
    }
    let before = cpu_nanoseconds("self");
    thread::sleep(IDLE);
    let spent = cpu_nanoseconds("self") - before;
    drop(pool);
    spent as f64 / 1e6
}

/// A blocked worker keeps everything pending while it is counted. The list that holds the handles is the caller's own
/// and allocated before; what the handles point at is counted, and the queue with whatever it keeps in reserve.
fn bytes_per_pending_task(scale: f64) -> f64 {
    static GATE: Barrier = Barrier::new(2);
    fn blocker((): ()) {
        GATE.wait();
    }
    let count = scaled(100_000, scale);
    let pool = ours::pool(1);
    let blocker = pool.submit(blocker, ()).expect("the pool is open");
    while !blocker.is_running() {
        thread::yield_now();
    }
    let mut futures: Vec<Future<u64>> = Vec::with_capacity(count as usize);
    let tally = allocator::count(|| {
        futures.extend((0..count).map(|input| pool.submit(noop, black_box(input)).expect("the pool is open")));
    });
    GATE.wait();
    blocker.result().expect("the blocker returns");
    let results = futures.into_iter().map(|future| future.result().expect("the task returns"));
    assert_eq!(results.fold(0, u64::wrapping_add), expected_sum(count));
    tally.live_bytes as f64 / count as f64 - size_of::<u64>() as f64
}
