//! How a process is taken over before its `main` begins: it is of the same executable as its parent, and has a marker in its
//! environment and a socket as its standard input.
//!
//! In every other process nothing happens but a look at the environment. A process that has the marker never goes on to
//! `main`: one that would, and starts processes there, would start some that do the same, without end.

use crate::begin;
#[cfg(feature = "before-main")]
use crate::constructors::{self, Constructor};
use crate::entry::{MARKER, marker};
use crate::refusal::Refusal;
use crate::system;
#[cfg(feature = "before-main")]
use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicBool, Ordering};

/// True once this process has looked for the marker: a child of the same program will look for it, too.
static READY: AtomicBool = AtomicBool::new(false);

/// Run by the loader before `main`, among the executable's other constructors; a process that is taken over runs those that come
/// after it itself.
#[cfg(feature = "before-main")]
#[used]
// SAFETY: the section holds pointers to functions of this kind, which the loader calls once, on the main thread.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: Constructor = {
    extern "C" fn before_main(count: c_int, arguments: *const *const c_char, environment: *const *const c_char) {
        READY.store(true, Ordering::Relaxed);
        // SAFETY: no other thread of this process has begun, so nobody changes the environment; the pointer is only compared.
        let is_marked = unsafe { !libc::getenv(MARKER.as_ptr()).is_null() };
        take_over(is_marked, || {
            let later = constructors::after(&raw const BEFORE_MAIN);
            // SAFETY: they come next on this thread, and the loader does not run them: this does not return to it.
            unsafe { constructors::run(later, count, arguments, environment) };
        });
    }
    before_main
};

/// Takes this process over if it was started by [`start`](crate::start()), and then never returns; else does nothing.
///
/// Only needed without the feature `before-main`, as the first line of `main`: the processes that a program starts are of the same
/// program, which begin there, and would else run all that comes before it. It works on the main thread alone. Tests run on other
/// threads, and need the feature.
///
/// A process that was started, or that has `CONCURRENT_FUTURES_WORKER_PROCESS` in its environment for another reason, but cannot
/// begin, ends here by an [exit code](crate#exit-codes) that says why.
///
/// ```
/// // First in `main`:
/// process_core::init();
/// ```
pub fn init() {
    if system::is_main_thread() {
        READY.store(true, Ordering::Relaxed);
    }
    take_over(std::env::var_os(marker()).is_some(), || ());
}

/// Returns whether a process that is started now would be taken over.
///
/// ```
/// // By the feature `before-main`.
/// assert!(process_core::is_ready());
/// ```
#[must_use]
pub fn is_ready() -> bool {
    READY.load(Ordering::Relaxed)
}

/// Takes this process over if it has the marker. Runs `prepare` once the marker is removed, which no child is to inherit.
fn take_over(is_marked: bool, prepare: impl FnOnce()) {
    if !is_marked {
        return;
    }
    if let Some(refusal) = refusal() {
        refusal.end(refusal.words());
    }
    // SAFETY: a process that was started for this is at the beginning of its main thread, with no other that reads the environment.
    unsafe { libc::unsetenv(MARKER.as_ptr()) };
    prepare();
    begin::become_child();
}

/// Returns why this process is not taken over: a marker alone is not enough. It takes a socket as standard input, too, the main
/// thread, and a process whose privileges are those of the one that set its environment.
fn refusal() -> Option<Refusal> {
    if system::is_privileged() {
        Some(Refusal::Privileged)
    } else if !system::is_main_thread() || !system::is_stream_socket(rustix::stdio::stdin()) {
        Some(Refusal::NotAsked)
    } else {
        None
    }
}
