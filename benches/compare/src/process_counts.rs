//! The counted rows of process pools, and how long a worker's death takes to be noticed and made good.

use std::hint::black_box;
use std::time::{Duration, Instant};
use std::{fs, thread};

use executor_core::{ExecutorExt, Future, TaskError};
use process_executor::{ProcessPoolExecutor, TransportKind};
use rustix::process::{Pid, Signal, kill_process};

use crate::allocator;
use crate::counted::{Counted, Spec, cpu_nanoseconds};
use crate::peers::{WORKERS, noop, our_processes};
use crate::rounds::median;
use crate::rows::scaled;

/// All counted rows, in the order in which they run.
pub(crate) const COUNTS: &[Spec] = &[
    Spec { name: "process_idle_cpu_ms", target: Some(10.0), what: Counted::ProcessIdleCpuMs },
    Spec { name: "descriptors_of_pending_tasks", target: Some(0.0), what: Counted::DescriptorsOfPendingTasks },
    Spec { name: "process_bytes_per_pending_task", target: Some(256.0), what: Counted::ProcessBytesPerPendingTask },
    Spec { name: "kill_to_error_ms", target: None, what: Counted::KillToErrorMs },
    Spec { name: "kill_to_replacement_ms", target: None, what: Counted::KillToReplacementMs },
];

fn pool(workers: usize) -> ProcessPoolExecutor {
    our_processes::pool(workers, TransportKind::SharedMemory)
}

/// Parent and workers together, after they have worked: all have to find out that there is nothing left to do.
pub(crate) fn idle_cpu_ms() -> f64 {
    const IDLE: Duration = Duration::from_secs(5);
    let pool = pool(WORKERS);
    for input in 0..1_000 {
        assert_eq!(pool.submit(noop, input).expect("the pool is open").result().expect("the task returns"), input);
    }
    let spent = || {
        let workers = pool.worker_infos().iter().map(|worker| cpu_nanoseconds(&worker.pid().to_string())).sum::<u64>();
        cpu_nanoseconds("self") + workers
    };
    let before = spent();
    thread::sleep(IDLE);
    (spent() - before) as f64 / 1e6
}

/// A pool of one worker that is busy for longer than anything here takes.
fn blocked_pool() -> (ProcessPoolExecutor, Future<()>) {
    fn sleep((): ()) {
        thread::sleep(Duration::from_secs(600));
    }
    let pool = pool(1);
    let blocker = pool.submit(sleep, ()).expect("the pool is open");
    while !blocker.is_running() {
        thread::yield_now();
    }
    (pool, blocker)
}

/// How many descriptors the parent has more with many pending tasks than with few.
pub(crate) fn descriptors_of_pending_tasks(scale: f64) -> f64 {
    const FEW: u64 = 10;
    let (pool, _blocker) = blocked_pool();
    let submit = |input| pool.submit(noop, input).expect("the pool is open");
    let mut futures: Vec<Future<u64>> = (0..FEW).map(submit).collect();
    let with_few = descriptors();
    futures.extend((FEW..scaled(100_000, scale)).map(submit));
    let with_many = descriptors();
    pool.kill_workers();
    with_many as f64 - with_few as f64
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("this row needs Linux").count()
}

/// Heap of the parent; the list of handles is the caller's own and allocated before.
pub(crate) fn bytes_per_pending_task(scale: f64) -> f64 {
    let count = scaled(100_000, scale);
    let (pool, _blocker) = blocked_pool();
    let mut futures: Vec<Future<u64>> = Vec::with_capacity(count as usize);
    let tally = allocator::count(|| {
        futures.extend((0..count).map(|input| pool.submit(noop, black_box(input)).expect("the pool is open")));
    });
    pool.kill_workers();
    tally.live_bytes as f64 / count as f64 - size_of::<u64>() as f64
}

/// From the signal to the error that the task's future holds.
pub(crate) fn kill_to_error_ms() -> f64 {
    median_of_kills(|_pool, blocker| {
        let error = blocker.result().expect_err("the worker was killed");
        assert!(matches!(error, TaskError::WorkerDied(_)), "{error}");
    })
}

/// From the signal to the result of the task that was queued behind the one that died.
pub(crate) fn kill_to_replacement_ms() -> f64 {
    median_of_kills(|next, _blocker| assert_eq!(next.result().expect("another worker runs it"), 7))
}

/// A new pool for each kill: a pool limits how often it replaces workers.
fn median_of_kills(until: impl Fn(Future<u64>, Future<()>)) -> f64 {
    const KILLS: usize = 50;
    // The worker is to be asleep in its task and the parent in nothing but the wait.
    const SETTLE: Duration = Duration::from_millis(5);
    let one = |_| {
        let (pool, blocker) = blocked_pool();
        let next = pool.submit(noop, 7).expect("the pool is open");
        let worker = pool.worker_infos()[0].pid();
        thread::sleep(SETTLE);
        let start = Instant::now();
        kill(worker);
        until(next, blocker);
        start.elapsed().as_secs_f64() * 1e3
    };
    let mut milliseconds: Vec<f64> = (0..KILLS).map(one).collect();
    milliseconds.sort_by(f64::total_cmp);
    median(&milliseconds)
}

fn kill(worker: u32) {
    let pid = i32::try_from(worker).ok().and_then(Pid::from_raw).expect("a process has a positive number");
    kill_process(pid, Signal::KILL).expect("the worker lives");
}
