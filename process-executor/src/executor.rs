//! [`ProcessPoolExecutor`]: the handle of a pool.

use crate::pool::fetching::Fetcher;
use crate::pool::{Pool, Registration};
use crate::protocol::layout;
use crate::settings::{Settings, TransportKind};
use crate::supervisor::Supervisor;
use crate::supervisor::environment;
use crate::supervisor::transport::{SharedMemory, Transport};
use crate::worker_info::WorkerInfo;
use executor_core::driver;
use executor_core::fork::check_pool_can_be_built;
use executor_core::task::{Owner, Task};
use executor_core::{Admission, BuildError, Executor, Rejected, Shutdown, Stats, TimedOut};
use process_core::image::Image;
use process_core::loader;
use process_core::start_error::Calling;
use process_core::system;
use rustix::process::Signal;
use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// An executor whose workers are processes: a task that crashes, leaks, or never ends costs itself alone.
///
/// Workers are processes of the same executable, started when they are needed. `submit` and `map` accept what they accept on a
/// thread pool: a function, and an argument that serde can carry.
///
/// - A task that dies with its worker, by a signal, by `exit`, for want of memory, ends with
///   [`TaskError::WorkerDied`](executor_core::TaskError::WorkerDied), which says how. No other task notices: the worker is
///   replaced, and the tasks that lay ready for it go elsewhere.
/// - A panic is an error of its task as on threads, and the worker lives on. In a program built with `panic = "abort"` it costs
///   the worker, and is a death by SIGABRT; the program goes on.
/// - [`stop`](executor_core::Future::stop) on a running task ends its worker; so does a run limit that passes.
/// - Workers end with this process, whatever ends it, and with them what their tasks have started.
///
/// What a worker has of its parent:
///
/// - Environment, folder, user, limits, and standard output and error, unless the builder says otherwise. Standard input is empty,
///   and so is what the parent has closed of the other two. No other descriptor of the parent's is open.
/// - Signals are as at the start of any program, whatever the parent blocks or ignores; only SIGXFSZ stays ignored. A program that
///   takes signals by `signalfd` or `sigwait` blocks them before it builds a pool: the pool's own threads have the mask of the thread
///   that builds it.
/// - A process group of its own, which an interrupt from the terminal does not reach, and no controlling terminal: a task may print
///   there and set it, which never stops it, but `/dev/tty` cannot be opened. So programs that ask for a password, such as ssh and
///   sudo, fail instead of waiting for a terminal that is the parent's.
///
/// A child that a task forks, and that returns from the task, ends there with exit code 0.
///
/// Arguments are encoded in the thread that submits. Results are decoded in the thread that fetches them: one that waits for a
/// future, or one of the pool's. Callbacks and wakers run on threads of the pool. Dropping it waits for all tasks, as
/// `shutdown(Shutdown::wait())`.
///
/// If an earlier [`shutdown`](Executor::shutdown) did not wait, or stopped waiting
/// ([`shutdown_timeout`](Executor::shutdown_timeout), a dropped
/// [`shutdown_async`](executor_core::AsyncExecutor::shutdown_async)), the drop does not wait either. After the drop
/// nothing could end a stuck task, so tasks that have not ended by then are ended as by
/// [`terminate_workers`](Self::terminate_workers). Keep the pool as long as its tasks are wanted.
///
/// ```
/// use executor_core::ExecutorExt;
/// use process_executor::ProcessPoolExecutor;
///
/// fn factorial(n: u64) -> u64 {
///     (1..=n).product()
/// }
///
/// let pool = ProcessPoolExecutor::with_workers(2)?;
/// let future = pool.submit(factorial, 10)?;
/// assert_eq!(future.result()?, 3_628_800);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ProcessPoolExecutor {
    pool: Arc<Pool>,
    /// What tasks know the pool by. It outlives them, see `drop`.
    owner: Arc<Owner>,
    driver: Option<driver::Registration>,
}

impl ProcessPoolExecutor {
    /// Returns the pool itself, for unit tests.
    #[cfg(test)]
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(crate) fn with_settings(settings: Settings, budget: usize) -> Result<Self, BuildError> {
        let unavailable = |reason: String| BuildError::unavailable("a pool of processes", reason);
        check_pool_can_be_built("a pool of processes")?;
        can_start_workers().map_err(unavailable)?;
        system::check_file_size(layout::SIZE)
            .map_err(|error| unavailable(format!("no memory to share with a worker: {error}")))?;
        let image = Image::of_this_process().map_err(|error| unavailable(error.to_string()))?;
        let environment = environment::environment(settings.workers, budget, &settings.environment)?;
        let transport: &'static dyn Transport = match settings.transport {
            TransportKind::SharedMemory => &SharedMemory,
            #[cfg(feature = "ipc-channel")]
            TransportKind::IpcChannel => &crate::ipc_channel::transport::IpcChannel,
        };
        let pool = Pool::new(settings, image)
            .calling("eventfd2, epoll_create1 or epoll_ctl")
            .map_err(|error| unavailable(error.to_string()))?;
        let supervisor = Supervisor::new(pool.clone(), transport, environment).calling("fcntl(F_DUPFD_CLOEXEC)");
        let supervisor = supervisor.map_err(|error| unavailable(error.to_string()))?;
        pool.callback_threads()
            .open(&|kind| pool.start_callback_thread(kind))
            .calling("pthread_create")
            .map_err(|error| unavailable(format!("a thread for callbacks could not be started: {error}")))?;
        let thread = std::thread::Builder::new().name("process-pool".to_owned()).spawn(move || supervisor.run());
        if let Err(error) = thread.calling("pthread_create") {
            pool.callback_threads().close();
            return Err(unavailable(format!("the thread of its supervisor could not be started: {error}")));
        }
        Ok(Self {
            owner: Arc::new(Owner::new(pool.clone())),
            driver: Some(driver::Registration::new(Arc::new(Fetcher(pool.clone())))),
            pool,
        })
    }

    /// Returns the workers there are at the moment: which processes, and what they do. There are none before the first task.
    ///
    /// [`Executor::workers`] returns how many there may be.
    ///
    /// ```
    /// use executor_core::ExecutorExt;
    /// use process_executor::ProcessPoolExecutor;
    ///
    /// let pool = ProcessPoolExecutor::with_workers(1)?;
    /// let pid = pool.submit(|()| std::process::id(), ())?.result()?;
    /// assert_eq!(pool.worker_infos()[0].pid(), pid);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn worker_infos(&self) -> Vec<WorkerInfo> {
        if !self.pool.is_here() {
            return Vec::new();
        }
        self.pool.with_dispatch(|dispatch, _| {
            let seats = dispatch.seats.iter().enumerate();
            seats.filter_map(|(index, seat)| Some(WorkerInfo::of(index, seat.as_ref()?))).collect()
        })
    }

    /// Returns what the pool is doing, in numbers.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.pool.stats()
    }

    /// Ends every worker by SIGTERM, and by SIGKILL after the stop grace. Queued tasks are cancelled, and running ones end with
    /// [`TaskError::WorkerDied`](executor_core::TaskError::WorkerDied). The pool accepts no more. It does not wait.
    ///
    /// ```
    /// use executor_core::ExecutorExt;
    ///
    /// let pool = process_executor::ProcessPoolExecutor::with_workers(1)?;
    /// let future = pool.submit(|()| loop { std::thread::park() }, ())?;
    /// pool.terminate_workers();
    /// let outcome: Result<(), _> = future.result();
    /// assert!(outcome.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn terminate_workers(&self) {
        self.pool.end_workers(Signal::TERM);
    }

    /// Does what [`terminate_workers`](Self::terminate_workers) does, by SIGKILL at once.
    pub fn kill_workers(&self) {
        self.pool.end_workers(Signal::KILL);
    }
}

/// Returns why a process of this program that was started now would not become a worker, if it would not.
fn can_start_workers() -> Result<(), String> {
    if system::is_privileged() {
        return Err("the kernel has given this program rights that whoever started it may not have (set-user-ID, \
                    set-group-ID, capabilities of its file, or a security module's transition), so that a worker could \
                    not trust what it is started with; use a thread pool here, or take those rights from the file"
            .to_owned());
    }
    if let Some(loader) = loader::started_instead() {
        return Err(format!(
            "this program was started by way of the dynamic loader, so that /proc/self/exe, from which workers are \
             started, is {} and not the program; start the program itself, or use a thread pool here",
            loader.display()
        ));
    }
    if !process_core::is_ready() {
        return Err(
            "no process of this program would know that it is a worker: call init() of this crate first in main, \
                    on its thread, or enable the feature `before-main`"
                .to_owned(),
        );
    }
    Ok(())
}

impl Executor for ProcessPoolExecutor {
    fn submit_task(&self, task: Task, admission: Admission) -> Result<(), Rejected> {
        self.pool.submit(Arc::as_ptr(&self.owner), task, admission)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.pool.poll_ready(cx)
    }

    fn workers(&self) -> usize {
        self.pool.settings().workers
    }

    fn can_end_tasks(&self) -> bool {
        true
    }

    fn shutdown(&self, how: Shutdown) {
        self.pool.shutdown(how);
    }

    fn shutdown_timeout(&self, limit: Duration) -> Result<(), TimedOut> {
        self.pool.shutdown_timeout(limit)
    }

    fn poll_shutdown(&self, how: Shutdown, cx: &mut Context<'_>) -> Poll<()> {
        self.pool.poll_shutdown(how, cx)
    }
}

impl Drop for ProcessPoolExecutor {
    fn drop(&mut self) {
        if !self.pool.is_here() {
            // A fork: that process has the workers, and ends them. Here nothing is touched, and nothing given back.
            let _left = ManuallyDrop::new((self.pool.clone(), self.owner.clone(), self.driver.take()));
            return;
        }
        self.pool.end_with_handle();
        // In a callback of a task of its own, or after a shutdown that was given up, that did not wait.
        self.pool.keep_until_end(Registration { _owner: self.owner.clone(), _driver: self.driver.take() });
    }
}

impl fmt::Debug for ProcessPoolExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPoolExecutor")
            .field("workers", &self.pool.settings().workers)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
