//! Where unit tests have a thread of the pool panic, as only a fault of this crate could.

/// A place in a thread of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultPoint {
    Supervisor,
    Callbacks,
    /// Where a large task is put into a buffer.
    Preparation,
    /// Under the lock, when a large task is to be prepared.
    Dealing,
    #[cfg(feature = "ipc-channel")]
    Feeder,
}

#[cfg(test)]
mod tests {
    use super::FaultPoint;
    use crate::{ProcessPoolBuilder, ProcessPoolExecutor, TransportKind, WorkerOutput};
    use executor_core::{ExecutorExt, SubmitError, TaskError};
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    /// Far beyond what anything here takes on a loaded machine.
    const LIMIT: Duration = Duration::from_secs(60);

    fn builder() -> ProcessPoolBuilder {
        ProcessPoolExecutor::builder().workers(1).stderr(WorkerOutput::Null)
    }

    fn for_ever(_: ()) {
        loop {
            std::thread::park();
        }
    }

    /// Has a thread of the pool panic as soon as it comes by there.
    fn panic_at(executor: &ProcessPoolExecutor, place: FaultPoint) {
        *executor.pool().panics_at.lock() = Some(place);
        executor.pool().call_supervisor();
    }

    /// Checks that the pool takes no task any more, says why, and ends.
    fn assert_broken(executor: ProcessPoolExecutor, thread: &str) {
        let start = Instant::now();
        let broken = loop {
            match executor.submit(|()| (), ()) {
                Err(SubmitError::Broken(broken)) => break broken.to_string(),
                Err(other) => panic!("{other}"),
                Ok(future) => drop(future),
            }
            assert!(start.elapsed() < LIMIT, "it is not broken");
        };
        assert!(broken.contains(thread) && broken.contains("panicked") && broken.contains("on purpose"), "{broken}");
        let (sender, receiver) = mpsc::channel();
        let end = move || {
            drop(executor);
            sender.send(()).unwrap();
        };
        std::thread::Builder::new().spawn(end).unwrap();
        receiver.recv_timeout(LIMIT).expect("the pool ends");
    }

    #[test]
    fn a_panic_of_the_supervisor_breaks_the_pool() {
        let executor = builder().build().unwrap();
        assert_eq!(executor.submit(|n: u8| n, 1).unwrap().result().unwrap(), 1);
        let running = executor.submit(for_ever, ()).unwrap();
        while !running.is_running() {
            std::thread::yield_now();
        }
        let queued: Vec<_> = (0..100).map(|_| executor.submit(for_ever, ()).unwrap()).collect();
        panic_at(&executor, FaultPoint::Supervisor);
        match running.result_timeout(LIMIT).map_err(drop) {
            Ok(Err(TaskError::WorkerDied(death))) => {
                assert!(death.to_string().contains("the thread that watches over it panicked"), "{death}");
            }
            // Its worker had not taken it up.
            Ok(Err(TaskError::Broken(..))) => {}
            other => panic!("it is not over: {other:?}"),
        }
        for future in queued {
            let Ok(outcome) = future.result_timeout(LIMIT) else { panic!("it is not over") };
            assert!(matches!(outcome, Err(TaskError::Broken(..) | TaskError::WorkerDied(..))), "{outcome:?}");
        }
        assert_broken(executor, "supervisor");
    }

    #[test]
    fn a_panic_of_a_thread_for_callbacks_breaks_the_pool() {
        let executor = builder().build().unwrap();
        panic_at(&executor, FaultPoint::Callbacks);
        let (sender, receiver) = mpsc::channel();
        let future = executor.submit(|n: u8| n, 1).unwrap();
        let pool = executor.pool().clone();
        future.add_done_callback(move |_| sender.send(pool.in_hand()).unwrap());
        let in_hand = receiver.recv_timeout(LIMIT).expect("it is called back");
        assert_ne!(in_hand, 0, "the pool has ended before its futures");
        let Ok(Err(TaskError::Broken(..))) = future.result_timeout(LIMIT) else { panic!("it is not over") };
        assert_broken(executor, "callbacks");
    }

    /// A large task that waits for another, and that a thread for callbacks is to put into a buffer when it is dealt at last.
    fn break_at_large_task(place: FaultPoint, thread: &str) {
        let executor = builder().build().unwrap();
        let running = executor.submit(for_ever, ()).unwrap();
        // More than its worker is given ahead.
        let queued: Vec<_> = (0..100).map(|_| executor.submit(for_ever, ()).unwrap()).collect();
        while !running.is_running() {
            std::thread::yield_now();
        }
        let future = executor.submit(|bytes: Vec<u8>| bytes.len(), vec![1; 1 << 20]).unwrap();
        panic_at(&executor, place);
        for future in queued {
            assert!(future.cancel());
        }
        running.stop();
        let start = Instant::now();
        // Whoever waits for it may prepare it.
        while !future.is_done() {
            assert!(start.elapsed() < LIMIT, "it is not over");
            std::thread::yield_now();
        }
        let outcome = future.result();
        assert!(matches!(outcome, Err(TaskError::Broken(..))), "{outcome:?}");
        assert_broken(executor, thread);
    }

    /// The task whose turn it is goes back to the queue, and ends there.
    #[test]
    fn a_panic_under_the_lock_breaks_the_pool() {
        break_at_large_task(FaultPoint::Dealing, "supervisor");
    }

    #[test]
    fn a_panic_before_a_large_task_is_prepared_breaks_the_pool() {
        break_at_large_task(FaultPoint::Callbacks, "callbacks");
    }

    #[test]
    fn a_panic_while_a_large_task_is_prepared_breaks_the_pool() {
        break_at_large_task(FaultPoint::Preparation, "callbacks");
    }

    #[test]
    fn a_panic_of_a_sender_of_tasks_breaks_the_pool() {
        let executor = builder().transport(TransportKind::IpcChannel).build().unwrap();
        panic_at(&executor, FaultPoint::Feeder);
        let future = executor.submit(|n: u8| n, 1).unwrap();
        let Ok(Err(_)) = future.result_timeout(LIMIT) else { panic!("it is not over") };
        assert_broken(executor, "sender of tasks");
    }
}
