//! [`WorkerInfo`]: a worker process, seen from outside.

use crate::dispatch::seat::{Seat, SeatState};
use process_core::system;

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerState {
    /// Its process was started and has not said yet that it is ready.
    Starting,
    /// It has no task.
    Idle,
    /// It has a task, or several.
    Busy,
    /// It gets no more tasks and ends.
    Stopping,
}

/// A worker process at one moment, as [`ProcessPoolExecutor::worker_infos`](crate::ProcessPoolExecutor::worker_infos) lists it.
///
/// ```
/// use executor_core::ExecutorExt;
///
/// let pool = process_executor::ProcessPoolExecutor::with_workers(1)?;
/// pool.submit(|()| (), ())?.result()?;
/// for worker in pool.worker_infos() {
///     println!("{} {:?}: {} tasks, {:?} bytes", worker.pid(), worker.state(), worker.tasks_done(), worker.memory());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct WorkerInfo {
    index: usize,
    pid: u32,
    state: WorkerState,
    tasks_done: u64,
}

impl WorkerInfo {
    pub(crate) fn of(index: usize, seat: &Seat) -> Self {
        let state = match seat.state {
            SeatState::Starting => WorkerState::Starting,
            SeatState::Leaving => WorkerState::Stopping,
            SeatState::Ready if seat.ring.depth() > 0 => WorkerState::Busy,
            SeatState::Ready => WorkerState::Idle,
        };
        Self { index, pid: seat.pid, state, tasks_done: seat.done }
    }

    /// Returns its place in the pool, counted from 0; a replacement has the place of the worker before it.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns what it is doing.
    #[must_use]
    pub fn state(&self) -> WorkerState {
        self.state
    }

    /// Returns how many tasks it has finished. Of a chunk of `map` that workers share, what each of them ran is one here, though the
    /// chunk is one task of the pool.
    #[must_use]
    pub fn tasks_done(&self) -> u64 {
        self.tasks_done
    }

    /// Returns its resident memory in bytes, read now, or `None` once the process has ended.
    #[must_use]
    pub fn memory(&self) -> Option<u64> {
        system::resident_memory(self.pid)
    }
}
