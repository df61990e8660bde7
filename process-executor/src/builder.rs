//! [`ProcessPoolBuilder`]: every setting of a pool.

use crate::executor::ProcessPoolExecutor;
use crate::settings::{Settings, TransportKind, WorkerOutput};
use executor_core::remote::Initializer;
use executor_core::{BuildError, Portable, WorkerCount};
use std::error::Error;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Settings of a [`ProcessPoolExecutor`].
///
/// ```
/// use executor_core::ExecutorExt;
/// use process_executor::ProcessPoolExecutor;
/// use std::time::Duration;
///
/// let pool = ProcessPoolExecutor::builder()
///     .workers(2)
///     .run_timeout(Duration::from_secs(10))
///     .hard_memory_limit(1 << 30)
///     .build()?;
/// assert_eq!(pool.submit(|n: u32| n + 1, 1)?.result()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct ProcessPoolBuilder {
    workers: Option<WorkerCount>,
    initializer: Option<Result<Initializer, String>>,
    max_tasks_per_child: Option<u64>,
    run_timeout: Option<Duration>,
    queue_capacity: Option<usize>,
    environment: Vec<(OsString, OsString)>,
    current_dir: Option<PathBuf>,
    keep_alive: Option<Duration>,
    transport: TransportKind,
    stdout: WorkerOutput,
    stderr: WorkerOutput,
    nice: i32,
    soft_memory_limit: Option<u64>,
    hard_memory_limit: Option<u64>,
    stop_grace: Duration,
    start_timeout: Duration,
    worker_name_prefix: Option<String>,
    restart_intensity: (usize, Duration),
}

impl ProcessPoolExecutor {
    /// Returns a pool with as many workers as the environment variable `CONCURRENT_FUTURES_WORKERS` says, or else the machine
    /// has processors.
    ///
    /// # Errors
    ///
    /// A value of the variable that makes no sense; a system or a program that has no worker processes: one with rights of its
    /// file (set-user-ID, capabilities), or one that was started by way of the dynamic loader.
    pub fn new() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// Returns a pool with at most this many workers.
    ///
    /// # Errors
    ///
    /// A count of 0, and as for [`new`](Self::new).
    pub fn with_workers(count: impl Into<WorkerCount>) -> Result<Self, BuildError> {
        Self::builder().workers(count).build()
    }

    /// Returns a builder, for all other settings.
    pub fn builder() -> ProcessPoolBuilder {
        ProcessPoolBuilder::new()
    }
}

/// How long a stopped task may take to end on SIGTERM.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// How many starts may fail within which time, as for systemd: enough for what passes within a moment. With the pauses
/// between starts, a program whose workers never start learns it after a sixth of a second.
const RESTART_INTENSITY: (usize, Duration) = (5, Duration::from_secs(10));
/// How long a worker may take to be ready, its initializer included.
const START_TIMEOUT: Duration = Duration::from_secs(60);

impl ProcessPoolBuilder {
    pub(crate) fn new() -> Self {
        Self {
            workers: None,
            initializer: None,
            max_tasks_per_child: None,
            run_timeout: None,
            queue_capacity: None,
            environment: Vec::new(),
            current_dir: None,
            keep_alive: None,
            transport: TransportKind::default(),
            stdout: WorkerOutput::default(),
            stderr: WorkerOutput::default(),
            nice: 0,
            soft_memory_limit: None,
            hard_memory_limit: None,
            stop_grace: STOP_GRACE,
            start_timeout: START_TIMEOUT,
            worker_name_prefix: None,
            restart_intensity: RESTART_INTENSITY,
        }
    }

    /// Sets the most workers there may be. Default: the environment variable `CONCURRENT_FUTURES_WORKERS`, or else the processors
    /// this process may use.
    pub fn workers(mut self, count: impl Into<WorkerCount>) -> Self {
        self.workers = Some(count.into());
        self
    }

    /// Sets a function that runs in each worker, once, before its first task. If it fails or panics, the pool is broken: queued tasks end with
    /// [`TaskError::Broken`](executor_core::TaskError::Broken), later submits with
    /// [`SubmitError::Broken`](executor_core::SubmitError::Broken), both carrying its error. No worker is started again.
    ///
    /// ```
    /// # use process_executor::ProcessPoolExecutor;
    /// use executor_core::ExecutorExt;
    /// use std::sync::OnceLock;
    ///
    /// static TABLE: OnceLock<Vec<u64>> = OnceLock::new();
    ///
    /// fn prepare() -> Result<(), String> {
    ///     TABLE.set((0..100).map(|n| n * n).collect()).map_err(|_| "prepared twice".to_owned())
    /// }
    ///
    /// let pool = ProcessPoolExecutor::builder().workers(1).initializer(prepare).build()?;
    /// let square = pool.submit(|n: usize| TABLE.get().map(|table| table[n]), 9)?;
    /// assert_eq!(square.result()?, Some(81));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn initializer<E>(mut self, initializer: fn() -> Result<(), E>) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.initializer = Some(Ok(Initializer::new(initializer)));
        self
    }

    /// Sets an [`initializer`](Self::initializer) with an argument, of which each worker gets a copy.
    ///
    /// ```
    /// # use process_executor::ProcessPoolExecutor;
    /// fn seed(seed: u64) -> Result<(), String> {
    ///     if seed == 0 { Err("the seed must not be 0".to_owned()) } else { Ok(()) }
    /// }
    ///
    /// let pool = ProcessPoolExecutor::builder().initializer_with(seed, 42).build()?;
    /// # drop(pool);
    /// # Ok::<(), executor_core::BuildError>(())
    /// ```
    pub fn initializer_with<A: Portable, E>(mut self, initializer: fn(A) -> Result<(), E>, args: A) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.initializer = Some(Initializer::with(initializer, &args));
        self
    }

    /// Sets after how many tasks, from 1 up, a worker is replaced, against libraries that leak. A chunk of `map` is one task.
    /// Default: workers stay.
    pub fn max_tasks_per_child(mut self, tasks: u64) -> Self {
        self.max_tasks_per_child = Some(tasks);
        self
    }

    /// Sets how long a task may run, counted from its start; for `map`, each input. The
    /// [`run_timeout` of the task](executor_core::TaskOptions::run_timeout) or
    /// [of the map](executor_core::MapOptions::run_timeout) takes the place of this one. When the limit passes, the worker is
    /// ended, that task or input resolves with
    /// [`TaskError::TimedOut`](executor_core::TaskError::TimedOut), and the rest of a chunk runs elsewhere. Default: no limit.
    ///
    /// Time is that of the machine's monotonic clock: it stands still while the machine sleeps, but goes on while this program or
    /// the worker is stopped, by SIGSTOP, a debugger or a frozen control group.
    pub fn run_timeout(mut self, limit: Duration) -> Self {
        self.run_timeout = Some(limit);
        self
    }

    /// Sets how many tasks may wait in the queue, from 1 up. When it is full, `submit` waits, `try_submit` hands the arguments
    /// back, and `submit_async` waits without blocking the thread. Default: no bound.
    pub fn queue_capacity(mut self, tasks: usize) -> Self {
        self.queue_capacity = Some(tasks);
        self
    }

    /// Sets an environment variable of the workers, beside those of this process.
    ///
    /// ```
    /// # use process_executor::ProcessPoolExecutor;
    /// use executor_core::ExecutorExt;
    ///
    /// let pool = ProcessPoolExecutor::builder().workers(1).env("LANGUAGE", "eo").build()?;
    /// let language = pool.submit(|()| std::env::var("LANGUAGE").ok(), ())?;
    /// assert_eq!(language.result()?.as_deref(), Some("eo"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets the workers' working directory. Default: that of this process as a worker is started.
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(folder.into());
        self
    }

    /// Sets after how long without a task a worker ends; another starts when it is needed. Default: workers stay as long as
    /// the pool.
    pub fn keep_alive(mut self, idle: Duration) -> Self {
        self.keep_alive = Some(idle);
        self
    }

    /// Sets how tasks and results travel.
    pub fn transport(mut self, transport: TransportKind) -> Self {
        self.transport = transport;
        self
    }

    /// Sets where the workers' standard output goes.
    pub fn stdout(mut self, output: WorkerOutput) -> Self {
        self.stdout = output;
        self
    }

    /// Sets where the workers' standard error goes, panic messages included.
    pub fn stderr(mut self, output: WorkerOutput) -> Self {
        self.stderr = output;
        self
    }

    /// Sets what is added to the workers' nice value: from 1 up they give way to other programs; below 0 takes privileges.
    pub fn nice(mut self, increment: i32) -> Self {
        self.nice = increment;
        self
    }

    /// Sets the resident memory in bytes above which a worker is replaced after the task that it runs. What it shares with others, such as the contents of a [`SharedBuffer`](crate::SharedBuffer), does not count.
    pub fn soft_memory_limit(mut self, bytes: u64) -> Self {
        self.soft_memory_limit = Some(bytes);
        self
    }

    /// Sets the resident memory in bytes above which a worker is ended at once; its task resolves with
    /// [`TaskError::WorkerDied`](executor_core::TaskError::WorkerDied), which says so. Checked every 20 ms: a limit, not a
    /// wall. What it shares with others, such as the contents of a [`SharedBuffer`](crate::SharedBuffer), does not count.
    pub fn hard_memory_limit(mut self, bytes: u64) -> Self {
        self.hard_memory_limit = Some(bytes);
        self
    }

    /// Sets how long a stopped task may take to end on SIGTERM before SIGKILL. What it has started gets SIGTERM, too, and SIGKILL
    /// as soon as its worker has ended. Default: 3 seconds.
    pub fn stop_grace(mut self, grace: Duration) -> Self {
        self.stop_grace = grace;
        self
    }

    /// Sets how long a worker may take to be ready, its initializer included. Default: a minute.
    pub fn start_timeout(mut self, limit: Duration) -> Self {
        self.start_timeout = limit;
        self
    }

    /// Names the workers `<prefix>_<n>`, n from 0: in `ps`, in messages of panics, and as the thread on which tasks run, of
    /// whose name the system keeps 15 bytes. Default: `ProcessPoolExecutor-<k>`, where k counts the pools.
    pub fn worker_name_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.worker_name_prefix = Some(prefix.into());
        self
    }

    /// Sets how many workers may end before they are ready, within which time (not counting what the starts themselves take),
    /// while no other worker is ready. If more do, or if starts fail for longer than that time and none succeeds, the pool is
    /// broken for as long: queued tasks end with
    /// [`TaskError::Broken`](executor_core::TaskError::Broken), submits are refused with
    /// [`SubmitError::Broken`](executor_core::SubmitError::Broken), both saying how the workers ended. The first task that is
    /// submitted after that time is tried as if nothing had happened.
    ///
    /// Between starts that fail there are pauses from 10 ms to a second. Workers that another process kills (SIGKILL) do not count:
    /// they are started again, and the tasks that wait for them end if that goes on for longer than this time. What the
    /// system refuses for good, such as a folder or an executable that is not there, breaks the pool at once, for the same time.
    /// Default: 5 within 10 seconds.
    pub fn restart_intensity(mut self, starts: usize, within: Duration) -> Self {
        self.restart_intensity = (starts, within);
        self
    }

    /// Returns the pool. It has no worker yet.
    ///
    /// # Errors
    ///
    /// A setting that makes no sense, in code or in the environment; a system or a program that has no worker processes; a fork of a
    /// process that has used executors. The text says which and what to do.
    ///
    /// ```
    /// # use process_executor::ProcessPoolExecutor;
    /// let error = ProcessPoolExecutor::builder().queue_capacity(0).build().unwrap_err();
    /// assert!(error.to_string().contains("queue_capacity"));
    /// ```
    pub fn build(self) -> Result<ProcessPoolExecutor, BuildError> {
        let (settings, budget) = self.settings()?;
        ProcessPoolExecutor::with_settings(settings, budget)
    }

    /// Returns the settings, checked, and how many processors there are for the workers.
    pub(crate) fn settings(self) -> Result<(Settings, usize), BuildError> {
        self.check_numbers()?;
        check_environment(&self.environment)?;
        if let Some(folder) = &self.current_dir {
            check_folder(folder)?;
        }
        let prefix = self.worker_name_prefix.unwrap_or_else(default_prefix);
        if prefix.contains('\0') {
            return Err(BuildError::invalid("worker_name_prefix", prefix, "text without NUL characters"));
        }
        let initializer = self.initializer.transpose().map_err(|text| {
            BuildError::unavailable("the initializer's argument cannot be carried to a worker", text)
        })?;
        let budget = WorkerCount::from_environment().and_then(WorkerCount::resolve);
        let (workers, budget) = match self.workers {
            // The variable then only says what the workers share, so a bad one counts as none.
            Some(count) => (count.resolve()?, budget.or_else(|_| WorkerCount::Percent(100).resolve())?),
            None => budget.map(|budget| (budget, budget))?,
        };
        let settings = Settings {
            workers,
            initializer,
            transport: self.transport,
            most_tasks: self.max_tasks_per_child.unwrap_or(u64::MAX),
            run_limit: self.run_timeout,
            queue_capacity: self.queue_capacity,
            environment: self.environment,
            current_dir: self.current_dir,
            keep_alive: self.keep_alive,
            stdout: self.stdout,
            stderr: self.stderr,
            nice: self.nice,
            soft_memory_limit: self.soft_memory_limit,
            hard_memory_limit: self.hard_memory_limit,
            stop_grace: self.stop_grace,
            start_timeout: self.start_timeout,
            worker_name_prefix: prefix,
            restart_intensity: self.restart_intensity,
        };
        Ok((settings, budget))
    }

    /// Refuses limits of zero, with which no task could ever run, and priorities that do not exist.
    fn check_numbers(&self) -> Result<(), BuildError> {
        const FROM_ONE: &str = "a number from 1 up";
        const TIME: &str = "a time longer than nothing";
        let zeros = [
            ("queue_capacity", self.queue_capacity == Some(0), FROM_ONE),
            ("max_tasks_per_child", self.max_tasks_per_child == Some(0), FROM_ONE),
            ("soft_memory_limit", self.soft_memory_limit == Some(0), FROM_ONE),
            ("hard_memory_limit", self.hard_memory_limit == Some(0), FROM_ONE),
            ("restart_intensity", self.restart_intensity.0 == 0, FROM_ONE),
            ("restart_intensity", self.restart_intensity.1.is_zero(), TIME),
            ("start_timeout", self.start_timeout.is_zero(), TIME),
        ];
        if let Some((what, _, expected)) = zeros.into_iter().find(|(_, is_zero, _)| *is_zero) {
            return Err(BuildError::invalid(what, "0", expected));
        }
        if !NICE.contains(&self.nice) {
            return Err(BuildError::invalid("nice", self.nice.to_string(), "a number from -39 to 39"));
        }
        Ok(())
    }
}

/// Nice values are from -20 to 19.
const NICE: RangeInclusive<i32> = -39..=39;

/// Refuses variables that no process can have.
fn check_environment(variables: &[(OsString, OsString)]) -> Result<(), BuildError> {
    let has = |text: &OsString, byte: u8| text.as_encoded_bytes().contains(&byte);
    for (name, value) in variables {
        if name.is_empty() || has(name, b'=') || has(name, 0) {
            let expected = "names of at least one character, without \"=\" and NUL";
            return Err(BuildError::invalid("env", format!("{name:?}"), expected));
        }
        if has(value, 0) {
            let found = format!("{value:?} as the value of {name:?}");
            return Err(BuildError::invalid("env", found, "values without NUL characters"));
        }
    }
    Ok(())
}

/// Refuses a folder in which no process can begin.
fn check_folder(folder: &Path) -> Result<(), BuildError> {
    match std::fs::metadata(folder) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(BuildError::invalid("current_dir", format!("{folder:?}, which is no folder"), "a folder")),
        Err(error) => Err(BuildError::invalid("current_dir", format!("{folder:?}: {error}"), "a folder that is there")),
    }
}

fn default_prefix() -> String {
    static POOLS: AtomicUsize = AtomicUsize::new(0);
    format!("ProcessPoolExecutor-{}", POOLS.fetch_add(1, Ordering::Relaxed))
}
