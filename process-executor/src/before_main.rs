//! How a process becomes a worker: the same executable, started by the pool with a marker in its environment and a socket as
//! its standard input, is taken over before its `main` begins.
//!
//! In every other process nothing happens but a look at the environment. A process that has the marker never goes on to
//! `main`: one that would, and builds a pool there, would start workers that do the same, without end.

#[cfg(feature = "before-main")]
use crate::constructors::{self, Constructor};
use crate::{entry, system};
use std::ffi::CStr;
#[cfg(feature = "before-main")]
use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicBool, Ordering};

/// In the environment of a worker, until it has been taken over.
pub(crate) const MARKER: &str = "CONCURRENT_FUTURES_WORKER_PROCESS";
const MARKER_TEXT: &CStr = c"CONCURRENT_FUTURES_WORKER_PROCESS";

/// Workers are taken over in this program: seen to happen in this very process, which is none.
static READY: AtomicBool = AtomicBool::new(false);

/// Run by the loader before `main`, among the executable's other constructors; a worker runs those that come after it itself.
#[cfg(feature = "before-main")]
#[used]
// SAFETY: the section holds pointers to functions of this kind, which the loader calls once, on the main thread.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: Constructor = {
    extern "C" fn before_main(count: c_int, arguments: *const *const c_char, environment: *const *const c_char) {
        READY.store(true, Ordering::Relaxed);
        take_over_if_worker(|| {
            let later = constructors::after(&raw const BEFORE_MAIN);
            // SAFETY: they come next on this thread, and the loader does not run them: this does not return to it.
            unsafe { constructors::run(later, count, arguments, environment) };
        });
    }
    before_main
};

/// Makes a worker of this process if a pool has started it as one, and then never returns; else does nothing.
///
/// Only needed without the feature `before-main`, as the first line of `main`: the pool's workers are processes of the same
/// program, which begin there, and would else run all that comes before it. On any other thread than the main one it makes no
/// worker, and pools cannot be built; so it is of no use in tests, which need the feature.
///
/// A process that a pool has started, or that has `CONCURRENT_FUTURES_WORKER_PROCESS` in its environment for another reason,
/// but cannot become a worker, ends here by an [exit code](crate#exit-codes-of-workers) that says why.
///
/// ```
/// // First in `main`:
/// process_executor::init();
/// ```
pub fn init() {
    if is_main_thread() {
        READY.store(true, Ordering::Relaxed);
    }
    take_over_if_worker(|| ());
}

fn is_main_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

/// Whether a worker started now would know that it is one.
pub(crate) fn is_ready() -> bool {
    READY.load(Ordering::Relaxed)
}

/// Whether the kernel has given this process rights that whoever started it may not have: then its environment, its
/// descriptors and its executable's name are that one's, and not to be trusted.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Why a process that has the marker does not become a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It was asked to by a pool, as it seems, and failed; what failed has been said, if there was a way.
    Failed,
    /// Its rights are not those of whoever started it.
    Privileged,
    /// No pool has started it.
    NotAsked,
}

impl Refusal {
    /// What the process ends with.
    pub(crate) const fn code(self) -> i32 {
        match self {
            Self::Failed => 70,
            Self::Privileged => 77,
            Self::NotAsked => 78,
        }
    }

    /// What a process that ended with that code was refused for.
    pub(crate) fn of_code(code: i32) -> Option<Self> {
        [Self::Failed, Self::Privileged, Self::NotAsked].into_iter().find(|refusal| refusal.code() == code)
    }

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Failed => "it could not begin as a worker",
            Self::Privileged => {
                "a program that is started with rights of its file (set-user-ID, set-group-ID, capabilities) or of a \
                 security module does not become a worker"
            }
            Self::NotAsked => {
                "CONCURRENT_FUTURES_WORKER_PROCESS is in the environment, but no pool of processes has started this \
                 program as a worker; take it out of the environment"
            }
        }
    }

    /// Ends the process, with these words on its standard error.
    pub(crate) fn end(self, words: &str) -> ! {
        // In one piece: nothing of std's is set up yet. If nobody hears it, there is the code.
        let _ = rustix::io::write(rustix::stdio::stderr(), format!("{words}\n").as_bytes());
        self.end_silently()
    }

    pub(crate) fn end_silently(self) -> ! {
        // SAFETY: nothing of this process is to be done any more; destructors of statics and exit handlers belong to a `main`
        // that never ran.
        unsafe { libc::_exit(self.code()) }
    }
}

/// Makes a worker of this process if it is to be one; `prepare` comes first, when no child takes itself for one any more.
fn take_over_if_worker(prepare: impl FnOnce()) {
    // SAFETY: this is the only thread of the process yet, or `main` has just begun; the pointer is only compared.
    if unsafe { libc::getenv(MARKER_TEXT.as_ptr()).is_null() } {
        return;
    }
    if let Some(refusal) = refusal() {
        refusal.end(refusal.words());
    }
    // SAFETY: as above.
    unsafe { libc::unsetenv(MARKER_TEXT.as_ptr()) };
    prepare();
    entry::become_worker();
}

/// A marker alone makes no worker: it takes a socket as standard input, too, the main thread, and a process whose privileges
/// are those of whoever set its environment.
fn refusal() -> Option<Refusal> {
    if is_privileged() {
        Some(Refusal::Privileged)
    } else if !is_main_thread() || !system::is_stream_of_a_pool(rustix::stdio::stdin()) {
        Some(Refusal::NotAsked)
    } else {
        None
    }
}
