//! The executors by name, so that a test can tell its child process which one to use.

use concurrent_futures::{Executor, SerialExecutor, ThreadPoolExecutor};
use process_executor::{ProcessPoolExecutor, TransportKind, WorkerOutput};

/// The executors that have threads or worker processes.
pub(crate) const POOLS: &[&str] = &["threads", "processes", "processes over ipc-channel"];

/// Returns an executor with one worker.
pub(crate) fn executor(name: &str) -> Box<dyn Executor> {
    let processes = || ProcessPoolExecutor::builder().workers(1).stderr(WorkerOutput::Null);
    match name {
        "serial" => Box::new(SerialExecutor::new()),
        "threads" => Box::new(ThreadPoolExecutor::with_workers(1).unwrap()),
        "processes" => Box::new(processes().build().unwrap()),
        "processes over ipc-channel" => Box::new(processes().transport(TransportKind::IpcChannel).build().unwrap()),
        other => panic!("no executor is called {other:?}"),
    }
}

/// A task that any executor can run.
pub(crate) fn double(number: u64) -> u64 {
    2 * number
}
