//! Panics of user code: caught, described, and contained.
//!
//! A payload alone does not tell where the panic happened; only a panic hook hears that. One is installed, once, in front
//! of the hook that was there, which it always calls. A program that sets its own hook later loses location and
//! backtrace in our errors, nothing else.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;
use std::task::Waker;

/// A panic that [`catch`] caught.
pub struct CaughtPanic {
    payload: Box<dyn Any + Send>,
    heard: Option<Heard>,
}

impl CaughtPanic {
    /// Returns the panic's text; for a payload that is not text, a sentence that says so.
    #[must_use]
    pub fn message(&self) -> String {
        payload_text(self.payload.as_ref())
    }

    /// Returns the payload, the place of the panic and its backtrace, as far as they are known.
    #[must_use]
    pub fn into_parts(self) -> (Box<dyn Any + Send>, Option<String>, Option<String>) {
        let Heard { location, backtrace } = self.heard.unwrap_or_default();
        (self.payload, location, backtrace)
    }

    /// Returns what of it can cross to another process, this one being the worker of that name.
    pub(crate) fn into_record(self, worker: &str) -> PanicRecord {
        let message = self.message();
        let (payload, location, backtrace) = self.into_parts();
        discard(payload);
        PanicRecord { message, location, backtrace, worker: worker.to_owned(), pid: std::process::id() }
    }
}

impl fmt::Debug for CaughtPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaughtPanic").field("message", &self.message()).finish_non_exhaustive()
    }
}

/// A panic of a worker, as it crosses.
#[derive(Debug)]
#[non_exhaustive]
pub struct PanicRecord {
    /// The panic's text.
    pub message: String,
    /// Source file, line and column.
    pub location: Option<String>,
    /// The backtrace's text, if the environment asked for one.
    pub backtrace: Option<String>,
    /// The worker's name.
    pub worker: String,
    /// The worker's process.
    pub pid: u32,
}

impl Serialize for PanicRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.message, &self.location, &self.backtrace, &self.worker, &self.pid).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PanicRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (message, location, backtrace, worker, pid) = Deserialize::deserialize(deserializer)?;
        Ok(Self { message, location, backtrace, worker, pid })
    }
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

/// Runs user code and returns its panic as a value.
///
/// # Errors
///
/// The panic, of which the panic hook has reported by then.
///
/// ```
/// let caught = executor_wire::panic::catch(|| -> u8 { panic!("no more ink") }).unwrap_err();
/// assert_eq!(caught.message(), "no more ink");
/// ```
pub fn catch<R>(f: impl FnOnce() -> R) -> Result<R, CaughtPanic> {
    install_hook();
    let outer = LISTENING.replace(Some(None)).flatten();
    // Unwind safety: a panicking task's captures are gone with it, and our own state is not touched by its code.
    let result = catch_unwind(AssertUnwindSafe(f));
    let heard = LISTENING.replace(outer).flatten().flatten();
    result.map_err(|payload| CaughtPanic { payload, heard })
}

/// Runs user code whose panic concerns nobody any more: a callback, a waker, a destructor. The panic hook has already
/// reported it. A payload whose own destructor panics is leaked rather than let loose.
pub fn contain(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        discard(payload);
    }
}

/// Like [`contain`], for a caller who tells of the panic.
///
/// # Errors
///
/// The panic's text.
pub fn contain_with_text<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let text = payload_text(payload.as_ref());
        discard(payload);
        text
    })
}

/// Wakes async waiters, which is user code: call it without a lock. If one panics, the others are woken all the same.
pub fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        contain(|| waker.wake());
    }
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
