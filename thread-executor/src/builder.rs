//! [`ThreadPoolBuilder`]: the settings of a pool, one by one, and the constructors that use it.

use crate::executor::ThreadPoolExecutor;
use crate::settings::{DEFAULT_STACK_SIZE, ExitHook, Initializer, Settings, default_prefix};
use executor_core::fork::check_pool_can_be_built;
use executor_core::{BuildError, WorkerCount};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Builds a [`ThreadPoolExecutor`].
///
/// ```
/// use std::time::Duration;
/// use thread_executor::ThreadPoolExecutor;
///
/// let pool = ThreadPoolExecutor::builder()
///     .workers(4)
///     .thread_name_prefix("hash")
///     .queue_capacity(1000)
///     .keep_alive(Duration::from_secs(10))
///     .build()?;
/// # drop(pool);
/// # Ok::<(), executor_core::BuildError>(())
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct ThreadPoolBuilder {
    workers: Option<WorkerCount>,
    thread_name_prefix: Option<String>,
    stack_size: usize,
    initializer: Option<Initializer>,
    on_worker_exit: Option<ExitHook>,
    queue_capacity: Option<usize>,
    keep_alive: Option<Duration>,
}

/// More than that overflows where std rounds a size up to whole pages.
const MOST_STACK: usize = isize::MAX.unsigned_abs();

impl ThreadPoolBuilder {
    pub(crate) fn new() -> Self {
        Self {
            workers: None,
            thread_name_prefix: None,
            stack_size: DEFAULT_STACK_SIZE,
            initializer: None,
            on_worker_exit: None,
            queue_capacity: None,
            keep_alive: None,
        }
    }

    /// Sets the most workers there may be: a number, or a [`WorkerCount`]. Default: [`WorkerCount::from_environment`].
    /// Threads start as tasks need them.
    ///
    /// ```
    /// use executor_core::WorkerCount;
    /// use thread_executor::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::builder().workers("50%".parse::<WorkerCount>()?).build()?;
    /// # drop(pool);
    /// # Ok::<(), executor_core::BuildError>(())
    /// ```
    pub fn workers(mut self, count: impl Into<WorkerCount>) -> Self {
        self.workers = Some(count.into());
        self
    }

    /// Names the threads `<prefix>_<n>`, n from 0; the system keeps the first 15 bytes of it. Default:
    /// `ThreadPoolExecutor-<k>`, where k counts the pools.
    ///
    /// ```
    /// # use thread_executor::ThreadPoolExecutor;
    /// let pool = ThreadPoolExecutor::builder().workers(1).thread_name_prefix("hash").build()?;
    /// let name = pool.spawn(|| std::thread::current().name().map(str::to_owned))?;
    /// assert_eq!(name.result()?.as_deref(), Some("hash_0"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn thread_name_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.thread_name_prefix = Some(prefix.into());
        self
    }

    /// Sets the stack size of each worker, in bytes; default 2 MiB. Tasks that wait for tasks of the same pool run on top of
    /// each other, and continue on a fresh thread when half of the stack is used.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// Sets a function that runs in each worker before its first task, and on the fresh thread to which a worker moves when
    /// tasks that wait for tasks have used half of its stack. If it fails or panics, the pool is broken: queued tasks end with
    /// [`TaskError::Broken`](executor_core::TaskError::Broken), later submits with
    /// [`SubmitError::Broken`](executor_core::SubmitError::Broken), both carrying its error.
    ///
    /// ```
    /// # use thread_executor::ThreadPoolExecutor;
    /// use std::cell::Cell;
    ///
    /// thread_local!(static SEED: Cell<u64> = const { Cell::new(0) });
    ///
    /// let pool = ThreadPoolExecutor::builder()
    ///     .initializer(|| {
    ///         SEED.set(42);
    ///         Ok::<(), std::io::Error>(())
    ///     })
    ///     .build()?;
    /// assert_eq!(pool.spawn(|| SEED.get())?.result()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn initializer<E>(mut self, initializer: impl Fn() -> Result<(), E> + Send + Sync + 'static) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.initializer = Some(Box::new(move || initializer().map_err(Into::into)));
        self
    }

    /// Sets a function that runs in each worker after its last task, before the thread ends.
    pub fn on_worker_exit(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_worker_exit = Some(Box::new(hook));
        self
    }

    /// Sets how many tasks may wait in the queue, from 1 up. When it is full, `submit` waits, `try_submit` hands the arguments
    /// back, and `submit_async` waits without blocking the thread. A worker of the pool itself may queue over the limit,
    /// since it may be the one that has to shorten the queue. Default: no bound.
    ///
    /// ```
    /// use executor_core::{ExecutorExt, TrySubmitError};
    /// # use thread_executor::ThreadPoolExecutor;
    /// use std::sync::mpsc;
    ///
    /// let pool = ThreadPoolExecutor::builder().workers(1).queue_capacity(1).build()?;
    /// let (started, has_started) = mpsc::channel();
    /// let (finish, may_finish) = mpsc::channel::<()>();
    /// let running = pool.spawn(move || {
    ///     started.send(()).unwrap();
    ///     let _ = may_finish.recv();
    /// })?;
    /// has_started.recv()?;
    /// let queued = pool.submit(|n: u32| n + 1, 1)?;
    /// assert!(matches!(pool.try_submit(|n: u32| n + 1, 2), Err(TrySubmitError::Full(_))));
    /// drop(finish);
    /// assert_eq!(queued.result()?, 2);
    /// # running.result()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn queue_capacity(mut self, tasks: usize) -> Self {
        self.queue_capacity = Some(tasks);
        self
    }

    /// Sets after how long without a task a worker ends; another starts when it is needed. Default: workers stay as long as
    /// the pool.
    pub fn keep_alive(mut self, idle: Duration) -> Self {
        self.keep_alive = Some(idle);
        self
    }

    /// Returns the pool. It has no thread yet.
    ///
    /// # Errors
    ///
    /// A setting that makes no sense, in code or in the environment; the text names it. A fork of a process that has used executors.
    ///
    /// ```
    /// # use thread_executor::ThreadPoolExecutor;
    /// let error = ThreadPoolExecutor::builder().queue_capacity(0).build().unwrap_err();
    /// assert!(error.to_string().contains("queue_capacity"));
    /// ```
    pub fn build(self) -> Result<ThreadPoolExecutor, BuildError> {
        check_pool_can_be_built("a pool of threads")?;
        if self.queue_capacity == Some(0) {
            return Err(BuildError::invalid("queue_capacity", "0", "a number from 1 up"));
        }
        if self.stack_size > MOST_STACK {
            let found = self.stack_size.to_string();
            return Err(BuildError::invalid("stack_size", found, "no more than half of the addresses there are"));
        }
        let prefix = self.thread_name_prefix;
        if let Some(name) = prefix.as_ref().filter(|name| name.contains('\0')) {
            return Err(BuildError::invalid("thread_name_prefix", name, "text without NUL characters"));
        }
        let workers = match self.workers {
            Some(count) => count,
            None => WorkerCount::from_environment()?,
        };
        Ok(ThreadPoolExecutor::with_settings(Settings {
            workers: workers.resolve()?,
            thread_name_prefix: prefix.unwrap_or_else(default_prefix),
            stack_size: self.stack_size,
            initializer: self.initializer,
            on_worker_exit: self.on_worker_exit,
            queue_capacity: self.queue_capacity,
            keep_alive: self.keep_alive,
        }))
    }
}

impl ThreadPoolExecutor {
    /// Returns a pool with the default number of workers: the environment variable `CONCURRENT_FUTURES_WORKERS`, else one for
    /// each processor that this process may use (affinity and cgroup quota are respected).
    ///
    /// # Errors
    ///
    /// A value of the variable that makes no sense.
    pub fn new() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// Returns a pool with at most `workers` threads.
    ///
    /// # Errors
    ///
    /// If `workers` is 0.
    pub fn with_workers(workers: usize) -> Result<Self, BuildError> {
        Self::builder().workers(workers).build()
    }

    /// Returns a builder, for all other settings.
    pub fn builder() -> ThreadPoolBuilder {
        ThreadPoolBuilder::new()
    }
}

impl fmt::Debug for ThreadPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolBuilder")
            .field("workers", &self.workers)
            .field("thread_name_prefix", &self.thread_name_prefix)
            .field("stack_size", &self.stack_size)
            .field("queue_capacity", &self.queue_capacity)
            .field("keep_alive", &self.keep_alive)
            .finish_non_exhaustive()
    }
}
