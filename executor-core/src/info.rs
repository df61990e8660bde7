//! [`TaskId`] and [`TaskInfo`]: the number of a task, its name, and where it was submitted.

mod remains;

pub use remains::Remains;

use crate::options::TaskOptions;
use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of a task: unique in this process and never used again.
///
/// Numbers grow with each submission of one thread. Between threads they say nothing about the order.
///
/// ```
/// use executor_core::{ExecutorExt, SerialExecutor};
/// use std::collections::HashMap;
///
/// let executor = SerialExecutor::new();
/// let mut inputs = HashMap::new();
/// let future = executor.submit(|x: u32| x + 1, 41)?;
/// inputs.insert(future.id(), 41);
/// assert_eq!(inputs[&future.id()], 41);
/// # Ok::<(), executor_core::SubmitError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u64);

/// How many numbers a thread takes at a time, so that submitting threads do not share a counter's cache line.
const BLOCK: u64 = 1024;

/// The first number of the next block. A plain counter, which no model needs to explore.
static NEXT_BLOCK: AtomicU64 = AtomicU64::new(1);
/// The first number of this process; smaller ones are of the process that it is a fork of (`fork.rs`).
static FIRST: AtomicU64 = AtomicU64::new(0);

crate::local! {
    /// The next number of this thread, and the end of its block.
    static BLOCK_LEFT: Cell<(u64, u64)> = Cell::new((0, 0));
}

impl TaskId {
    pub(crate) fn next() -> Self {
        // One access: the compiler makes a call of each.
        BLOCK_LEFT.with(|left| {
            let (mut next, mut end) = left.get();
            if next == end || next < FIRST.load(Ordering::Relaxed) {
                next = NEXT_BLOCK.fetch_add(BLOCK, Ordering::Relaxed);
                end = next + BLOCK;
            }
            left.set((next + 1, end));
            Self(next)
        })
    }

    /// Starts the numbers of this process, a fork of the one that gave those so far.
    pub(crate) fn begin_anew() {
        FIRST.store(NEXT_BLOCK.fetch_add(BLOCK, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Returns whether the number was given before the fork that this process is.
    #[inline]
    pub(crate) fn is_from_another_process(self) -> bool {
        self.0 < FIRST.load(Ordering::Relaxed)
    }

    /// Returns the number itself, for logs.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an error or a future says of its task. Cheap to clone.
///
/// Its text reads `task 17 "resize", submitted at src/main.rs:42:9`.
///
/// ```
/// use executor_core::{ExecutorExt, SerialExecutor, TaskOptions};
///
/// let executor = SerialExecutor::new();
/// let future = executor.submit_with(TaskOptions::new().name("double"), |x: u32| x * 2, 21)?;
/// assert_eq!(future.info().name(), Some("double"));
/// assert!(future.info().to_string().contains("\"double\""));
/// # Ok::<(), executor_core::SubmitError>(())
/// ```
#[derive(Clone)]
pub struct TaskInfo(Arc<Inner>);

struct Inner {
    id: TaskId,
    name: Option<Arc<str>>,
    location: &'static Location<'static>,
    input: Option<u64>,
    /// Set if it was ended while it ran: what is left of its worker.
    stopped: Option<Remains>,
}

impl TaskInfo {
    pub(crate) fn new(id: TaskId, options: Option<&TaskOptions>, location: &'static Location<'static>) -> Self {
        let name = options.and_then(TaskOptions::shared_name);
        Self(Arc::new(Inner { id, name, location, input: None, stopped: None }))
    }

    /// Returns the same task, for one input of `map`.
    pub(crate) fn for_input(&self, input: u64) -> Self {
        let Inner { id, ref name, location, stopped, .. } = *self.0;
        Self(Arc::new(Inner { id, name: name.clone(), location, input: Some(input), stopped }))
    }

    /// Returns the same task, which was ended while it ran.
    pub(crate) fn stopped(&self, remains: Remains) -> Self {
        let Inner { id, ref name, location, input, .. } = *self.0;
        Self(Arc::new(Inner { id, name: name.clone(), location, input, stopped: Some(remains) }))
    }

    pub(crate) fn was_stopped(&self) -> Option<Remains> {
        self.0.stopped
    }

    /// Returns the task's number.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.0.id
    }

    /// Returns the name given by [`TaskOptions::name`], if one was.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Returns where the task was submitted: the caller's source line.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.0.location
    }
}

impl TaskInfo {
    /// Returns, for an outcome of [`map`](crate::ExecutorExt::map), which input it belongs to, counted from 0.
    ///
    /// ```
    /// # use executor_core::{ExecutorExt, SerialExecutor};
    /// let executor = SerialExecutor::new();
    /// let outcomes: Vec<_> = executor.map(|n: u32| 100 / n, [5, 0]).collect();
    /// assert_eq!(outcomes[1].as_ref().unwrap_err().info().unwrap().input(), Some(1));
    /// ```
    #[must_use]
    pub fn input(&self) -> Option<u64> {
        self.0.input
    }
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.0.id)?;
        if let Some(name) = self.name() {
            write!(f, " {name:?}")?;
        }
        if let Some(input) = self.0.input {
            write!(f, ", input {input} of map")?;
        }
        write!(f, ", submitted at {}", self.0.location)
    }
}

impl fmt::Debug for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskInfo")
            .field("id", &self.0.id)
            .field("name", &self.name())
            .field("location", &format_args!("{}", self.0.location))
            .field("input", &self.0.input)
            .finish()
    }
}
