//! Sleeping on several words at once: one of this process, and doorbells in memory that other processes share. Linux has a call
//! for that since 5.16. Without it, threads sleep in the parking lot, and pools see to it that they are woken.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// A word that wakes a thread which sleeps for a result. The word may lie in memory that another process shares; it is changed
/// and then woken (`FUTEX_WAKE`, not private) when there is something to [fetch](crate::driver::Driver::fetch).
///
/// ```
/// use executor_core::driver::Doorbell;
/// use std::sync::Arc;
/// use std::sync::atomic::AtomicU32;
///
/// struct Line(AtomicU32);
///
/// impl AsRef<AtomicU32> for Line {
///     fn as_ref(&self) -> &AtomicU32 {
///         &self.0
///     }
/// }
///
/// // It has rung when the word is not 1 any more.
/// let doorbell = Doorbell::new(Arc::new(Line(AtomicU32::new(1))), 1);
/// # drop(doorbell);
/// ```
pub struct Doorbell {
    #[cfg_attr(
        not(all(target_os = "linux", not(any(loom, shuttle)))),
        expect(dead_code, reason = "threads sleep otherwise in a model and on another system")
    )]
    word: Arc<dyn AsRef<AtomicU32> + Send + Sync>,
    silent: u32,
}

impl Doorbell {
    /// Returns a doorbell that has not rung while the word is `silent`. A thread that listens to it keeps the word alive.
    #[must_use]
    pub fn new(word: Arc<dyn AsRef<AtomicU32> + Send + Sync>, silent: u32) -> Self {
        Self { word, silent }
    }
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorbell").field("silent", &self.silent).finish_non_exhaustive()
    }
}

/// What ended a sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(all(target_os = "linux", not(any(loom, shuttle)))),
    expect(dead_code, reason = "as for the word of a doorbell")
)]
pub(crate) enum Woken {
    /// The process's own word has changed, and no doorbell was heard.
    ByWord,
    /// Perhaps a doorbell.
    ByDoorbell,
    TimedOut,
    /// It did not sleep: the system has no such call, or does not allow it.
    NotAsleep,
}

#[cfg(all(target_os = "linux", not(any(loom, shuttle))))]
pub(crate) use linux::{Word, sleep, wake};

#[cfg(all(target_os = "linux", not(any(loom, shuttle))))]
mod linux {
    use super::{Doorbell, Woken};
    use crate::sync::{AtomicPtr, AtomicUsize};
    use std::io;
    use std::ptr;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::time::Instant;

    /// How many words the kernel takes, our own included.
    const MOST: usize = 128;

    /// The system does not have the call, or does not allow it.
    static UNAVAILABLE: AtomicBool = AtomicBool::new(false);

    /// A word of which the kernel watches the lower 32 bits.
    pub(crate) trait Word {
        fn start(&self) -> *const u8;
    }

    impl Word for AtomicUsize {
        fn start(&self) -> *const u8 {
            self.as_ptr().cast_const().cast()
        }
    }

    impl<T> Word for AtomicPtr<T> {
        fn start(&self) -> *const u8 {
            self.as_ptr().cast_const().cast()
        }
    }

    fn lower_half(word: &impl Word) -> &AtomicU32 {
        let offset = if cfg!(target_endian = "big") { size_of::<usize>() - size_of::<u32>() } else { 0 };
        // SAFETY: inside the word, which is aligned for its size. Nothing is read or written through the reference; the
        // kernel compares the bytes.
        unsafe { &*word.start().add(offset).cast() }
    }

    /// Sleeps while the lower half of `word` is that of `expected` and no doorbell rings, until `deadline`. May return early.
    pub(crate) fn sleep(word: &impl Word, expected: usize, doorbells: &[Doorbell], deadline: Option<Instant>) -> Woken {
        // A hint only: the call itself would tell.
        if UNAVAILABLE.load(Ordering::Relaxed) {
            return Woken::NotAsleep;
        }
        let own = Waiter::new(lower_half(word), expected as u32, PRIVATE);
        let doorbells = doorbells.iter().map(|doorbell| Waiter::new((*doorbell.word).as_ref(), doorbell.silent, 0));
        let words: Vec<Waiter> = std::iter::once(own).chain(doorbells).take(MOST).collect();
        let limit = deadline.map(on_the_clock);
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the words and the limit live as long as the call, which reads them in the layout that they have.
        let woken = unsafe {
            libc::syscall(libc::SYS_futex_waitv, words.as_ptr(), words.len(), 0, limit, libc::CLOCK_MONOTONIC)
        };
        if woken >= 0 {
            // The call names the last of the words that were woken.
            return if woken == 0 { Woken::ByWord } else { Woken::ByDoorbell };
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR) => Woken::ByDoorbell,
            Some(libc::ETIMEDOUT) => Woken::TimedOut,
            error => {
                let is_unknown = matches!(error, Some(libc::ENOSYS | libc::EPERM | libc::EINVAL));
                UNAVAILABLE.store(is_unknown, Ordering::Relaxed);
                Woken::NotAsleep
            }
        }
    }

    /// A word of 32 bits.
    const SIZE_U32: u32 = 2;
    /// A word that no other process sleeps on.
    const PRIVATE: u32 = 128;

    /// The kernel's `struct futex_waitv`.
    #[repr(C)]
    struct Waiter {
        expected: u64,
        address: u64,
        flags: u32,
        reserved: u32,
    }

    impl Waiter {
        fn new(word: &AtomicU32, expected: u32, flags: u32) -> Self {
            let address = word.as_ptr().addr() as u64;
            Self { expected: expected.into(), address, flags: flags | SIZE_U32, reserved: 0 }
        }
    }

    /// The kernel's `struct __kernel_timespec`.
    #[repr(C)]
    struct Moment {
        seconds: i64,
        nanoseconds: i64,
    }

    /// Returns the deadline as a moment of the kernel's clock.
    fn on_the_clock(deadline: Instant) -> Moment {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a place for the answer. The clock is there, and the call cannot fail.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
        let left = deadline.saturating_duration_since(Instant::now());
        let nanoseconds = wide(now.tv_nsec) + wide(left.subsec_nanos());
        let seconds = i64::try_from(left.as_secs()).unwrap_or(i64::MAX).saturating_add(wide(now.tv_sec));
        Moment {
            seconds: seconds.saturating_add(nanoseconds / 1_000_000_000),
            nanoseconds: nanoseconds % 1_000_000_000,
        }
    }

    /// Widens what has 64 bits on some machines only.
    fn wide(number: impl Into<i64>) -> i64 {
        number.into()
    }

    /// Wakes all threads that sleep on the word.
    pub(crate) fn wake(word: &impl Word) {
        let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: an address that the kernel looks up and does not use.
        unsafe { libc::syscall(libc::SYS_futex, lower_half(word).as_ptr(), operation, i32::MAX) };
    }
}

#[cfg(not(all(target_os = "linux", not(any(loom, shuttle)))))]
pub(crate) use elsewhere::{Word, sleep, wake};

/// Threads sleep otherwise in a model and on another system.
#[cfg(not(all(target_os = "linux", not(any(loom, shuttle)))))]
mod elsewhere {
    use super::{Doorbell, Woken};
    use std::time::Instant;

    pub(crate) trait Word {}
    impl<T> Word for T {}

    pub(crate) fn sleep(_: &impl Word, _: usize, _: &[Doorbell], _: Option<Instant>) -> Woken {
        Woken::NotAsleep
    }

    pub(crate) fn wake(_: &impl Word) {}
}
