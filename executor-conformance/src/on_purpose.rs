//! Panics that tests cause on purpose are not printed, in whichever process they happen: a panic that is printed is a fault.
//!
//! The test harness captures what a test's own threads print, but not what worker processes print. On Linux the hook is
//! installed before `main`, so worker processes of a test executable have it as well; and it lies below the library's own
//! hook, so errors still tell where a panic happened.

use parking_lot::Mutex;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;
use std::thread;

/// A panic's payload that is no text, thrown on purpose.
#[derive(Debug)]
pub struct OnPurpose;

/// Texts of panics on purpose. The second is that of the README's example, which does not say so.
const TEXTS: [&str; 2] = ["on purpose", "a number: ParseIntError"];

/// The other panics of this process.
static OTHERS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Silences panics on purpose from now on: those whose text is empty or contains "on purpose", and those without a text.
pub fn silence_panics_on_purpose() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !is_on_purpose(info) {
                let thread = thread::current();
                OTHERS.lock().push(format!("thread {} {info}\n", thread.name().unwrap_or("?")));
                report(info);
            }
        }));
    });
}

/// Returns the panics of this process that were not on purpose.
pub fn other_panics() -> String {
    OTHERS.lock().concat()
}

/// Run by the loader before `main` and before the constructor that makes a worker of the process.
#[cfg(target_os = "linux")]
#[used]
// SAFETY: the section holds pointers to functions of this kind, which the loader calls once, on the main thread.
#[unsafe(link_section = ".init_array.00100")]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn before_main() {
        silence_panics_on_purpose();
    }
    before_main
};

fn is_on_purpose(info: &PanicHookInfo<'_>) -> bool {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    // A payload that is no text, or an empty one, is never that of an assertion.
    text.is_none_or(|text| text.is_empty() || TEXTS.iter().any(|expected| text.contains(expected)))
}
