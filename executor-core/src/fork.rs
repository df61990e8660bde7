//! Forks of the program. A fork has a copy of the memory of the process that made an executor, but neither its threads nor its
//! workers, and must not touch what the two processes share.
//!
//! A word says which process this is. In a fork it is empty: the kernel wipes its page in every child, or, where it cannot, a
//! handler of the C library does. So the question costs two loads and no system call.
//!
//! What was made before the fork is left as it is, for ever: other threads may have held its locks.

use crate::error::{BrokenExecutor, BuildError};
use crate::info::TaskId;
use std::fmt;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The process in which something was made.
///
/// ```
/// use executor_core::fork::Origin;
///
/// // A fork of this process would find that it is not here.
/// let origin = Origin::here();
/// assert!(origin.is_here());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    word: &'static AtomicU32,
    process: u32,
}

/// The number of this process among those that have forked from each other; 0 in one that has not asked yet.
static WORD: OnceLock<&'static AtomicU32> = OnceLock::new();
/// The last number that was given, as far as this process knows.
static LAST: AtomicU32 = AtomicU32::new(0);
/// Held while a fork takes its number.
static NUMBERING: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

impl Origin {
    /// Returns this process.
    #[must_use]
    pub fn here() -> Self {
        let word = *WORD.get_or_init(word);
        Self { word, process: number(word) }
    }

    /// Returns whether this is still that process, and not a fork of it.
    #[inline]
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.word.load(Ordering::Relaxed) == self.process
    }

    /// Returns why an executor that another process made takes no tasks here.
    #[must_use]
    pub fn elsewhere() -> BrokenExecutor {
        let advice = "its workers and its tasks are those of the process that made it";
        BrokenExecutor::new("it was made before a fork", advice)
    }
}

/// Refuses a pool in a fork of a process that has used executors: for executors whose threads sleep.
///
/// The parking lot, by which they sleep, keeps a list of all sleeping threads of a process. A fork has a copy of it, with threads that
/// are not there: new ones that sleep beside them may spin or crash.
///
/// # Errors
///
/// `what` cannot be had here.
///
/// ```
/// assert!(executor_core::fork::check_pool_can_be_built("a pool of threads").is_ok());
/// ```
pub fn check_pool_can_be_built(what: &'static str) -> Result<(), BuildError> {
    if Origin::here().process == 1 {
        return Ok(());
    }
    let advice = "it is a fork of a process that has used executors, and has a copy of what lists their sleeping threads; \
                  fork before the first executor is built, or run a program in the fork (exec)";
    Err(BuildError::unavailable(what, format!("this process cannot have one: {advice}")))
}

/// Returns whether a task was submitted by the process that this one is a fork of: nobody here ends it.
#[inline]
pub(crate) fn is_left_behind(task: TaskId) -> bool {
    let Some(word) = WORD.get() else { return false };
    // ORDERING: Acquire, with the store of `number`: the first number of the tasks of this process is seen.
    if word.load(Ordering::Acquire) == 0 {
        number(word);
    }
    task.is_from_another_process()
}

/// Returns the number of this process; a fork takes one.
fn number(word: &AtomicU32) -> u32 {
    // ORDERING: Acquire, with the store below.
    match word.load(Ordering::Acquire) {
        0 => new_number(word),
        known => known,
    }
}

#[cold]
fn new_number(word: &AtomicU32) -> u32 {
    let _one_at_a_time = NUMBERING.lock();
    let known = word.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    let new = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    if new > 1 {
        TaskId::begin_anew();
    }
    // ORDERING: Release, with the loads of `number` and `is_left_behind`.
    word.store(new, Ordering::Release);
    new
}

/// Finds a place for the word that is empty in forks.
fn word() -> &'static AtomicU32 {
    static PLAIN: AtomicU32 = AtomicU32::new(0);
    #[cfg(all(target_os = "linux", not(any(loom, shuttle))))]
    if let Some(word) = wiped_word() {
        return word;
    }
    #[cfg(all(unix, not(any(loom, shuttle))))]
    wipe_by_handler();
    return &PLAIN;

    /// Has the C library empty the word in each child that it makes.
    #[cfg(all(unix, not(any(loom, shuttle))))]
    fn wipe_by_handler() {
        type Handler = Option<extern "C" fn()>;
        unsafe extern "C" {
            fn pthread_atfork(before: Handler, parent: Handler, child: Handler) -> std::ffi::c_int;
        }
        extern "C" fn wipe() {
            PLAIN.store(0, Ordering::Relaxed);
        }
        // SAFETY: the handler does what may be done in the child of a program with threads: one store. If there is no memory
        // to note it, forks are not told apart, as without this call.
        unsafe { pthread_atfork(None, None, Some(wipe)) };
    }
}

/// Returns a word in a page that the kernel wipes in every child with memory of its own, also in one that the C library does not
/// know of. Needs Linux 4.14. The page is never given back.
#[cfg(all(target_os = "linux", not(any(loom, shuttle))))]
fn wiped_word() -> Option<&'static AtomicU32> {
    const ACCESS: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;
    const KIND: libc::c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh page, chosen by the kernel, which stays for ever; it is zero, and so is a word in it.
    unsafe {
        let length = libc::sysconf(libc::_SC_PAGESIZE).cast_unsigned() as usize;
        let page = libc::mmap(ptr::null_mut(), length, ACCESS, KIND, -1, 0);
        if page == libc::MAP_FAILED {
            return None;
        }
        if libc::madvise(page, length, libc::MADV_WIPEONFORK) != 0 {
            let _ = libc::munmap(page, length);
            return None;
        }
        page.cast::<AtomicU32>().as_ref()
    }
}

/// A static that each fork makes anew: the locks of the old one may be held by threads that the fork does not have.
///
/// ```
/// use executor_core::fork::PerProcess;
/// use std::sync::Mutex;
///
/// static NAMES: PerProcess<Mutex<Vec<&str>>> = PerProcess::new(Mutex::default);
///
/// // A fork of this process starts with an empty list, even if another thread holds the lock at that moment.
/// NAMES.get().lock().unwrap().push("first");
/// assert_eq!(*NAMES.get().lock().unwrap(), ["first"]);
/// ```
pub struct PerProcess<T: 'static> {
    current: AtomicPtr<(Origin, T)>,
    make: fn() -> T,
}

impl<T: Send + Sync> PerProcess<T> {
    /// Returns a static whose value `make` builds, once in each process that asks for it. The value is never dropped.
    #[must_use]
    pub const fn new(make: fn() -> T) -> Self {
        Self { current: AtomicPtr::new(ptr::null_mut()), make }
    }

    /// Returns the value of this process.
    #[inline]
    pub fn get(&self) -> &'static T {
        // ORDERING: Acquire, with the exchange of `renew`: the value is seen whole.
        let current = self.current.load(Ordering::Acquire);
        // SAFETY: null, or a value that was leaked below.
        match unsafe { current.as_ref() } {
            Some((origin, value)) if origin.is_here() => value,
            _ => self.renew(current),
        }
    }

    /// Returns the value of this process if it was asked for before.
    #[inline]
    pub(crate) fn get_if_made(&self) -> Option<&'static T> {
        // ORDERING: as in `get`.
        (!self.current.load(Ordering::Acquire).is_null()).then(|| self.get())
    }

    #[cold]
    fn renew(&self, mut old: *mut (Origin, T)) -> &'static T {
        let new = Box::into_raw(Box::new((Origin::here(), (self.make)())));
        loop {
            // ORDERING: Release, with the Acquire of `get`: publishes the new value. Acquire, with the Release of this exchange in
            // a thread that was faster.
            match self.current.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: leaked, so that it lives as long as the program.
                Ok(_) => return unsafe { &(*new).1 },
                Err(other) => {
                    // SAFETY: as in `get`.
                    if let Some((origin, value)) = unsafe { other.as_ref() }
                        && origin.is_here()
                    {
                        // SAFETY: made above, and given to nobody.
                        drop(unsafe { Box::from_raw(new) });
                        return value;
                    }
                    old = other;
                }
            }
        }
    }
}

impl<T> fmt::Debug for PerProcess<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerProcess").finish_non_exhaustive()
    }
}
