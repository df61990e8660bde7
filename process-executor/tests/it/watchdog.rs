//! Ends the process when a test hangs, naming the test and the last step it took: a hang must never be silent.

use parking_lot::Mutex;
use std::any::type_name_of_val;
use std::cell::RefCell;
use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Once};
use std::time::Duration;
use std::{env, process, thread};

/// Far beyond what any test takes on a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A child speaks before its parent gives up.
const LIMIT_OF_CHILD: Duration = Duration::from_secs(40);

type LastStep = Arc<Mutex<String>>;

thread_local! {
    static LAST_STEP: RefCell<Option<LastStep>> = const { RefCell::new(None) };
}

/// A panic's payload that is no text, thrown on purpose.
pub(crate) struct OnPurpose;

/// Notes what the test is about to wait for; shown if it never comes.
pub(crate) fn step(text: impl Into<String>) {
    LAST_STEP.with_borrow(|last| {
        if let Some(last) = last {
            *last.lock() = text.into();
        }
    });
}

/// Runs a test's body on this thread and aborts the process if it takes longer than the limit. The test is known by the
/// path of the function that the body stands in.
pub(crate) fn watched<R>(body: impl FnOnce() -> R) -> R {
    silence_panics_on_purpose();
    let test = type_name_of_val(&body).trim_end_matches("::{{closure}}").to_owned();
    let last: LastStep = Arc::new(Mutex::new("the start".to_owned()));
    LAST_STEP.set(Some(Arc::clone(&last)));
    let (alive, ended) = channel::<()>();
    let watch = thread::spawn(move || watch(&ended, &test, &last));
    let _cleanup = Cleanup { alive: Some(alive), watch: Some(watch) };
    body()
}

/// Ends the watch when the test ends, however it ends.
struct Cleanup {
    alive: Option<Sender<()>>,
    watch: Option<thread::JoinHandle<()>>,
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        LAST_STEP.set(None);
        drop(self.alive.take());
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
    }
}

fn watch(ended: &Receiver<()>, test: &str, last: &LastStep) {
    let limit = if env::var_os(crate::child::VARIABLE).is_some() { LIMIT_OF_CHILD } else { LIMIT };
    if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
        let text = last.lock().clone();
        // Not a macro of std: the test harness would capture those, and the process is about to end.
        let _ = writeln!(io::stderr(), "\n{test} did not end within {limit:?}; its last step: {text}");
        process::abort();
    }
}

/// Before any pool of this process puts its own hook on top.
fn silence_panics_on_purpose() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !is_on_purpose(info) {
                report(info);
            }
        }));
    });
}

fn is_on_purpose(info: &PanicHookInfo<'_>) -> bool {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    // A payload that is no text is never that of an assertion.
    text.is_none_or(|text| text.contains("on purpose"))
}
