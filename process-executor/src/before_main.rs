//! How a process becomes a worker: the same executable, started by the pool with a marker in its environment and a socket as
//! its standard input, is taken over before its `main` begins.
//!
//! In every other process nothing happens but a look at the environment.

use crate::worker;
use rustix::fd::BorrowedFd;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

/// In the environment of a worker, until it has been taken over.
pub(crate) const MARKER: &str = "CONCURRENT_FUTURES_WORKER_PROCESS";
const MARKER_TEXT: &CStr = c"CONCURRENT_FUTURES_WORKER_PROCESS";

/// Workers can be taken over in this program.
static READY: AtomicBool = AtomicBool::new(cfg!(feature = "before-main"));

/// Run by the loader before `main`, among the executable's other constructors; those of C++ code that come after it do not
/// run in a worker.
#[cfg(feature = "before-main")]
#[used]
// SAFETY: the section holds pointers to functions of this kind, which the loader calls once, on the main thread.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn before_main() {
        take_over_if_worker();
    }
    before_main
};

/// Makes a worker of this process if a pool has started it as one, and then never returns; else does nothing.
///
/// Only needed without the feature `before-main`, as the first line of `main`: the pool's workers are processes of the same
/// program, which begin there, and would else run all that comes before it. On any other thread than the main one it does
/// nothing, and pools cannot be built; so it is of no use in tests, which need the feature.
///
/// ```
/// // First in `main`:
/// process_executor::init();
/// ```
pub fn init() {
    if is_main_thread() {
        READY.store(true, Ordering::Relaxed);
        take_over_if_worker();
    }
}

fn is_main_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

/// Whether a worker started now would know that it is one.
pub(crate) fn is_ready() -> bool {
    READY.load(Ordering::Relaxed)
}

fn take_over_if_worker() {
    if !is_worker() {
        return;
    }
    // SAFETY: this is the only thread of the process yet, or `main` has just begun.
    unsafe { libc::unsetenv(MARKER_TEXT.as_ptr()) };
    worker::become_worker();
}

/// A marker alone makes no worker: it takes a socket as standard input, too, and a process whose privileges are those of
/// whoever set its environment.
fn is_worker() -> bool {
    // SAFETY: as in `take_over_if_worker`; the pointer is only compared.
    let marked = unsafe { !libc::getenv(MARKER_TEXT.as_ptr()).is_null() };
    // SAFETY: standard input is borrowed for one call; if it is closed, the call says so.
    marked && !is_privileged() && is_socket(unsafe { BorrowedFd::borrow_raw(0) })
}

fn is_privileged() -> bool {
    // SAFETY: reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

fn is_socket(file: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(file)
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Socket)
}
