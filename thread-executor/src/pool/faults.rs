//! Where unit tests have a worker panic outside of user code, as only a fault of this crate could.

use super::Pool;

/// A place in a worker's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultPoint {
    /// It has taken a task off the queue.
    Task,
    /// It is about to sleep.
    Sleep,
    /// It takes no more tasks, since its idle time is over.
    Retired,
}

impl Pool {
    /// Panics there if a unit test has asked for it.
    #[inline]
    pub(crate) fn may_panic_at(&self, point: FaultPoint) {
        #[cfg(test)]
        assert_ne!(*self.panics_at.lock(), Some(point), "on purpose");
        let _ = point;
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::FaultPoint;
    use crate::ThreadPoolExecutor;
    use executor_conformance::silence_panics_on_purpose;
    use executor_core::{ExecutorExt, Shutdown, SubmitError, TaskError};
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::{Duration, Instant};

    /// Far beyond what anything here takes on a loaded machine.
    const LIMIT: Duration = Duration::from_secs(60);

    /// Returns a pool whose workers panic at that point.
    fn pool(point: FaultPoint, keep_alive: Duration) -> ThreadPoolExecutor {
        silence_panics_on_purpose();
        let executor = ThreadPoolExecutor::builder().workers(2).keep_alive(keep_alive).build().unwrap();
        *executor.pool().panics_at.lock() = Some(point);
        executor
    }

    /// Asserts that the pool takes no task, says why, and ends.
    fn assert_breaks(executor: ThreadPoolExecutor) {
        let start = Instant::now();
        let broken = loop {
            // A worker that has retired no longer counts, also before it panics. It retires if nothing more is submitted.
            if executor.stats().workers == 0 {
                match executor.submit(u64::isqrt, 4) {
                    Err(SubmitError::Broken(broken)) => break broken.to_string(),
                    Ok(future) => drop(future),
                    Err(other) => panic!("{other:?}"),
                }
            }
            assert!(start.elapsed() < LIMIT, "its workers have not ended");
            thread::yield_now();
        };
        assert!(broken.contains("worker") && broken.contains("on purpose"), "{broken}");
        let (sender, ended) = channel();
        let end = move || {
            drop(executor);
            sender.send(()).unwrap();
        };
        thread::Builder::new().spawn(end).unwrap();
        ended.recv_timeout(LIMIT).expect("the pool ends");
    }

    #[test]
    fn a_worker_that_panics_with_a_task_breaks_the_pool() {
        let executor = pool(FaultPoint::Task, LIMIT);
        let futures: Vec<_> = (0..100).map_while(|number| executor.submit(u64::isqrt, number).ok()).collect();
        for future in futures {
            let Ok(outcome) = future.result_timeout(LIMIT) else { panic!("it is not over") };
            assert!(matches!(outcome, Err(TaskError::Abandoned(_) | TaskError::Broken(..))), "{outcome:?}");
        }
        assert_breaks(executor);
    }

    #[test]
    fn a_worker_that_panics_before_it_sleeps_breaks_the_pool() {
        assert_breaks(pool(FaultPoint::Sleep, LIMIT));
    }

    #[test]
    fn a_worker_that_panics_when_it_has_retired_breaks_the_pool() {
        assert_breaks(pool(FaultPoint::Retired, Duration::from_millis(1)));
    }

    /// A task that the panic ends has a callback, which runs in the worker and must not wait for it.
    #[test]
    fn a_callback_may_shut_down_a_pool_that_breaks() {
        let executor = Arc::new(pool(FaultPoint::Sleep, LIMIT));
        let (sender, called) = channel();
        let own = executor.clone();
        let start = Instant::now();
        while let Ok(future) = executor.submit(u64::isqrt, 4) {
            let (own, sender) = (own.clone(), sender.clone());
            future.add_done_callback(move |_| {
                use executor_core::Executor;
                own.shutdown(Shutdown::wait());
                let _ = sender.send(());
            });
            called.recv_timeout(LIMIT).expect("the callback ends");
            assert!(start.elapsed() < LIMIT, "it takes tasks");
        }
    }
}
