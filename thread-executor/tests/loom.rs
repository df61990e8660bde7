//! Model checks of the pool's protocols with real workers: sleep, submit, retire, shut down; every interleaving, and
//! every reordering that the memory model allows, within the bound on preemptions.
//!
//! `RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=2 cargo test --release -p concurrent-futures-threads --features loom --test loom`
//!
//! One worker, since every thread multiplies the interleavings; several consumers of a queue are a model of
//! `executor-core`. Shuttle covers pools of several workers.

#![cfg(loom)]

use executor_core::{Executor, ExecutorExt, Shutdown};
use loom::sync::Arc;
use loom::thread;
use std::time::Duration;
use thread_executor::ThreadPoolExecutor;

fn pool() -> ThreadPoolExecutor {
    ThreadPoolExecutor::with_workers(1).unwrap()
}

/// For the models with the most steps: one preemption less, which keeps them to seconds.
fn model_with_one_preemption(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(1);
    builder.check(model);
}

#[test]
fn a_submit_against_a_worker_falling_asleep() {
    model_with_one_preemption(|| {
        let pool = pool();
        let first = pool.submit(|n: u32| n, 1).unwrap();
        assert_eq!(first.result().unwrap(), 1);
        // By now the worker is anywhere between its task and its sleep.
        let second = pool.submit(|n: u32| n, 2).unwrap();
        assert_eq!(second.result().unwrap(), 2);
    });
}

#[test]
fn a_submit_against_a_shutdown() {
    loom::model(|| {
        let pool = Arc::new(pool());
        let submitter = {
            let pool = pool.clone();
            thread::spawn(move || pool.submit(|n: u32| n, 1).ok())
        };
        pool.shutdown(Shutdown::no_wait());
        if let Some(future) = submitter.join().unwrap() {
            assert_eq!(future.result().unwrap(), 1);
        }
    });
}

#[test]
fn a_submit_against_a_retiring_worker() {
    model_with_one_preemption(|| {
        let pool = ThreadPoolExecutor::builder().workers(1).keep_alive(Duration::ZERO).build().unwrap();
        for n in 1..=2 {
            assert_eq!(pool.submit(|n: u32| n, n).unwrap().result().unwrap(), n);
        }
    });
}

#[test]
fn a_cancel_against_a_worker() {
    loom::model(|| {
        let pool = pool();
        let future = pool.submit(|n: u32| n, 1).unwrap();
        let cancelled = future.cancel();
        drop(pool);
        assert_eq!(future.result().is_err(), cancelled);
    });
}

#[test]
fn a_task_that_waits_for_another() {
    loom::model(|| {
        let pool = Arc::new(pool());
        let inner = pool.clone();
        let outer = pool.spawn(move || inner.submit(|n: u32| n, 7).unwrap().result().unwrap()).unwrap();
        assert_eq!(outer.result().unwrap(), 7);
    });
}
