//! Panics of tasks: caught, described, and handed to whoever asks for the result.
//!
//! A payload alone does not tell where the panic happened; only a panic hook hears that. One is installed, once, in front
//! of the hook that was there, which it always calls. A program that sets its own hook later loses location and
//! backtrace in our errors, nothing else.

use crate::info::TaskInfo;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

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
    /// In a lock only because a payload is `Send` but not `Sync`; it is reached by value alone.
    payload: Mutex<Box<dyn Any + Send>>,
}

impl Panic {
    /// A panic that was caught on this thread.
    pub(crate) fn new(info: TaskInfo, caught: CaughtPanic) -> Self {
        let CaughtPanic { payload, heard } = caught;
        let message = payload_text(payload.as_ref());
        let Heard { location, backtrace } = heard.unwrap_or_default();
        let worker = std::thread::current().name().map(str::to_owned);
        let payload = Mutex::new(payload);
        Self(Box::new(Inner { info, message, location, backtrace, worker, pid: None, payload }))
    }

    /// A panic of another process: the payload there is only its text.
    pub(crate) fn from_record(info: TaskInfo, record: PanicRecord) -> Self {
        let PanicRecord { message, location, backtrace, worker, pid } = record;
        let payload = Mutex::new(Box::new(message.clone()) as Box<dyn Any + Send>);
        Self(Box::new(Inner { info, message, location, backtrace, worker: Some(worker), pid: Some(pid), payload }))
    }

    /// The panic's text; for a payload that is not text, a sentence that says so.
    ///
    /// ```
    /// # use executor_core::{ExecutorExt, SerialExecutor, TaskError};
    /// # let future = SerialExecutor::new().submit(|(): ()| -> () { panic!("no more ink") }, ())?;
    /// # let Err(TaskError::Panicked(panic)) = future.result() else { unreachable!() };
    /// assert_eq!(panic.message(), "no more ink");
    /// # Ok::<(), executor_core::SubmitError>(())
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Source file, line and column of the panic; `None` if the program replaced the panic hook meanwhile.
    ///
    /// ```
    /// # use executor_core::{ExecutorExt, SerialExecutor, TaskError};
    /// # let future = SerialExecutor::new().submit(|(): ()| -> () { panic!("no more ink") }, ())?;
    /// # let Err(TaskError::Panicked(panic)) = future.result() else { unreachable!() };
    /// assert!(panic.location().is_some_and(|location| location.contains(':')));
    /// # Ok::<(), executor_core::SubmitError>(())
    /// ```
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    /// The backtrace's text, when `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE` asked for one.
    ///
    /// ```
    /// # use executor_core::{ExecutorExt, SerialExecutor, TaskError};
    /// # let future = SerialExecutor::new().submit(|(): ()| -> () { panic!("no more ink") }, ())?;
    /// # let Err(TaskError::Panicked(panic)) = future.result() else { unreachable!() };
    /// if let Some(trace) = panic.backtrace() {
    ///     assert!(!trace.is_empty());
    /// }
    /// # Ok::<(), executor_core::SubmitError>(())
    /// ```
    #[must_use]
    pub fn backtrace(&self) -> Option<&str> {
        self.0.backtrace.as_deref()
    }

    /// The worker in which it happened: the name of the thread, as the panic's own message on standard error has it, or of
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

    /// The worker's process, if that is another than this one. The number may belong to another process by now.
    ///
    /// ```
    /// # use executor_core::{ExecutorExt, SerialExecutor, TaskError};
    /// # let future = SerialExecutor::new().submit(|(): ()| -> () { panic!("no more ink") }, ())?;
    /// # let Err(TaskError::Panicked(panic)) = future.result() else { unreachable!() };
    /// assert_eq!(panic.pid(), None);
    /// # Ok::<(), executor_core::SubmitError>(())
    /// ```
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.0.pid
    }

    /// The task that panicked.
    ///
    /// ```
    /// # use executor_core::{ExecutorExt, SerialExecutor, TaskError};
    /// # let future = SerialExecutor::new().submit(|(): ()| -> () { panic!("no more ink") }, ())?;
    /// # let id = future.id();
    /// # let Err(TaskError::Panicked(panic)) = future.result() else { unreachable!() };
    /// assert_eq!(panic.info().id(), id);
    /// # Ok::<(), executor_core::SubmitError>(())
    /// ```
    #[must_use]
    pub fn info(&self) -> &TaskInfo {
        &self.0.info
    }

    /// The payload itself, as `std::panic::catch_unwind` would have given it. Of a panic in another process it is the
    /// message, a `String`.
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

    /// Goes on panicking in the calling thread, with the same payload and without calling the panic hook again.
    ///
    /// # Panics
    ///
    /// Always: that is its job.
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

/// What `catch` brings back of a panic.
pub(crate) struct CaughtPanic {
    payload: Box<dyn Any + Send>,
    heard: Option<Heard>,
}

impl CaughtPanic {
    /// What of it can cross to another process, this one being the worker of that name.
    pub(crate) fn into_record(self, worker: &str) -> PanicRecord {
        let message = payload_text(self.payload.as_ref());
        let Heard { location, backtrace } = self.heard.unwrap_or_default();
        discard(self.payload);
        PanicRecord { message, location, backtrace, worker: worker.to_owned(), pid: std::process::id() }
    }
}

/// A panic as it crosses.
#[derive(Serialize, Deserialize)]
pub(crate) struct PanicRecord {
    pub(crate) message: String,
    location: Option<String>,
    backtrace: Option<String>,
    worker: String,
    pid: u32,
}

/// What the hook heard on this thread.
#[derive(Default)]
struct Heard {
    location: Option<String>,
    backtrace: Option<String>,
}

crate::kept! {
    /// `Some` while this thread runs user code of ours: the hook then notes what it hears here.
    static LISTENING: Option<Option<Heard>> = None;
}

/// Runs user code and brings its panic back as a value.
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, CaughtPanic> {
    install_hook();
    let outer = LISTENING.replace(Some(None)).flatten();
    // Unwind safety: a panicking task's captures are gone with it, and our own state is not touched by its code.
    let result = catch_unwind(AssertUnwindSafe(f));
    let heard = LISTENING.replace(outer).flatten().flatten();
    result.map_err(|payload| CaughtPanic { payload, heard })
}

/// Runs user code whose panic concerns nobody any more: a callback, a waker, a destructor. The panic hook has already
/// reported it. A payload whose own destructor panics is leaked rather than let loose.
pub(crate) fn contain(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        discard(payload);
    }
}

/// As `contain`, for those who want to tell of it: the panic's text.
pub(crate) fn contain_with_text<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let text = payload_text(payload.as_ref());
        discard(payload);
        text
    })
}

/// Drops a payload; should its destructor panic, the second payload is leaked: there is no end to that otherwise.
#[expect(clippy::mem_forget, reason = "the destructor of a payload's payload is not run, on purpose")]
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}

fn install_hook() {
    static INSTALL: Once = Once::new();
    if INSTALL.is_completed() || std::thread::panicking() {
        // While this thread unwinds the hook cannot be changed; a later task installs it.
        return;
    }
    INSTALL.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |hook_info| {
            listen(hook_info);
            previous(hook_info);
        }));
    });
}

fn listen(hook_info: &PanicHookInfo<'_>) {
    // It may be gone while a thread ends; then the panic is caught all the same.
    LISTENING.with(|listening| {
        let Some(heard) = listening.as_mut() else { return };
        let backtrace = Backtrace::capture();
        *heard = Some(Heard {
            location: hook_info.location().map(ToString::to_string),
            backtrace: (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string()),
        });
    });
}

fn payload_text(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a payload that is not text (see Panic::into_payload)".to_owned()
    }
}
