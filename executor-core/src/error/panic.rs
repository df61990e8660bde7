//! [`Panic`]: a panic of a task, as the reader of its result sees it.

use crate::info::TaskInfo;
use executor_wire::panic::CaughtPanic;
use executor_wire::panic::PanicRecord;
use parking_lot::Mutex;
use std::any::Any;
use std::fmt;

/// A panic of a task: its message, where it happened, in which worker, and the payload itself.
///
/// ```
/// use executor_core::{ExecutorExt, SerialExecutor, TaskError};
///
/// let future = SerialExecutor::new().submit(|n: u32| 10 / n, 0)?;
/// match future.result() {
///     Err(error @ TaskError::Panicked(_)) => {
///         // It is the source of the task's error, for those who walk through the sources of an error.
///         let panic = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<executor_core::Panic>());
///         assert!(panic.unwrap().message().contains("divide by zero"));
///     }
///     other => unreachable!("{other:?}"),
/// }
/// # Ok::<(), executor_core::SubmitError>(())
/// ```
pub struct Panic(Box<Inner>);

struct Inner {
    info: TaskInfo,
    message: String,
    location: Option<String>,
    backtrace: Option<String>,
    worker: Option<String>,
    pid: Option<u32>,
    /// In a lock only because a payload is `Send` but not `Sync`; it is only taken by value.
    payload: Mutex<Box<dyn Any + Send>>,
}

impl Panic {
    /// Describes a panic that was caught on this thread.
    pub(crate) fn new(info: TaskInfo, caught: CaughtPanic) -> Self {
        let message = caught.message();
        let (payload, location, backtrace) = caught.into_parts();
        let worker = std::thread::current().name().map(str::to_owned);
        let payload = Mutex::new(payload);
        Self(Box::new(Inner { info, message, location, backtrace, worker, pid: None, payload }))
    }

    /// Describes a panic of another process, of which the payload is only its text.
    pub(crate) fn from_record(info: TaskInfo, record: PanicRecord) -> Self {
        let PanicRecord { message, location, backtrace, worker, pid, .. } = record;
        let payload = Mutex::new(Box::new(message.clone()) as Box<dyn Any + Send>);
        Self(Box::new(Inner { info, message, location, backtrace, worker: Some(worker), pid: Some(pid), payload }))
    }

    /// Returns the panic's text; for a payload that is not text, a sentence that says so.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns source file, line and column of the panic; `None` if the program replaced the panic hook meanwhile.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    /// Returns the backtrace's text, when `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE` asked for one.
    #[must_use]
    pub fn backtrace(&self) -> Option<&str> {
        self.0.backtrace.as_deref()
    }

    /// Returns the worker in which it happened: the name of the thread, as the panic's own message on standard error has it, or of
    /// the worker process. `None` if the thread has no name.
    ///
    /// ```
    /// # use executor_core::{ExecutorExt, SerialExecutor, TaskError};
    /// let draw = || SerialExecutor::new().submit(|(): ()| -> () { panic!("no more ink") }, ());
    /// let future = std::thread::Builder::new().name("press".to_owned()).spawn(draw)?.join().unwrap()?;
    /// let Err(TaskError::Panicked(panic)) = future.result() else { unreachable!() };
    /// assert_eq!(panic.worker(), Some("press"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn worker(&self) -> Option<&str> {
        self.0.worker.as_deref()
    }

    /// Returns the worker's process, if that is another than this one. The number may belong to another process by now.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.0.pid
    }

    /// Returns the task that panicked.
    #[must_use]
    pub fn info(&self) -> &TaskInfo {
        &self.0.info
    }

    /// Returns the payload, as `std::panic::catch_unwind` would have. For a panic in another process it is the message, a `String`.
    ///
    /// ```
    /// # use executor_core::{ExecutorExt, SerialExecutor, TaskError};
    /// # let future = SerialExecutor::new().submit(|(): ()| -> () { std::panic::panic_any(7_u8) }, ())?;
    /// # let Err(TaskError::Panicked(panic)) = future.result() else { unreachable!() };
    /// assert_eq!(*panic.into_payload().downcast::<u8>().unwrap(), 7);
    /// # Ok::<(), executor_core::SubmitError>(())
    /// ```
    #[must_use]
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.0.payload.into_inner()
    }

    /// Resumes the panic in the calling thread, with the same payload and without calling the panic hook again.
    ///
    /// # Panics
    ///
    /// Always.
    ///
    /// ```should_panic
    /// # use executor_core::{ExecutorExt, SerialExecutor, TaskError};
    /// # let future = SerialExecutor::new().submit(|(): ()| -> () { panic!("no more ink") }, ()).unwrap();
    /// # let Err(TaskError::Panicked(panic)) = future.result() else { return };
    /// panic.resume();
    /// ```
    pub fn resume(self) -> ! {
        std::panic::resume_unwind(self.into_payload())
    }
}

impl std::error::Error for Panic {}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, panicked", self.0.info)?;
        match (self.worker(), self.pid()) {
            (Some(worker), Some(pid)) => write!(f, " in worker {worker} (pid {pid})")?,
            (Some(thread), None) => write!(f, " in thread {thread}")?,
            (None, _) => {}
        }
        if let Some(location) = self.location() {
            write!(f, " at {location}")?;
        }
        write!(f, ": {}", self.0.message)
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panic")
            .field("info", &self.0.info)
            .field("message", &self.0.message)
            .field("location", &self.0.location)
            .field("worker", &self.0.worker)
            .field("pid", &self.0.pid)
            .finish_non_exhaustive()
    }
}
