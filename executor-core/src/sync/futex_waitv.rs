//! Sleeping on several words at once: one of this process, and bells in memory that others share. Linux has a call for that
//! since 5.16; where it is not to be had, threads sleep in the parking lot, and pools see to it that they are woken.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// What a thread that sleeps for a result listens to: a word, perhaps in memory that another process shares, that is changed
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
/// let bell = Doorbell::new(Arc::new(Line(AtomicU32::new(1))), 1);
/// # drop(bell);
/// ```
pub struct Doorbell {
    #[cfg_attr(
        not(all(target_os = "linux", not(any(loom, shuttle)))),
        expect(dead_code, reason = "nobody sleeps like that in a model, nor on another system")
    )]
    word: Arc<dyn AsRef<AtomicU32> + Send + Sync>,
    silent: u32,
}

impl Doorbell {
    /// Returns a bell that has not rung while the word is `silent`. The word is kept alive while a thread listens to it.
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
    expect(dead_code, reason = "as for the word of a bell")
)]
pub(crate) enum Woken {
    /// The process's own word has changed, and no bell was heard.
    ByWord,
    /// Perhaps a bell.
    ByBell,
    TimedOut,
    /// The system does not let threads sleep like that.
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

    /// The kernel takes so many words, our own included.
    const MOST: usize = 128;

    /// The system does not have the call, or does not allow it.
    static DEAF: AtomicBool = AtomicBool::new(false);

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

    /// Sleeps while the lower half of `word` is that of `expected` and no bell rings, until `deadline`. May return early.
    pub(crate) fn sleep(word: &impl Word, expected: usize, bells: &[Doorbell], deadline: Option<Instant>) -> Woken {
        // ORDERING: a hint only; the call itself tells.
        if DEAF.load(Ordering::Relaxed) {
            return Woken::NotAsleep;
        }
        let own = Waiter::new(lower_half(word), expected as u32, PRIVATE);
        let bells = bells.iter().map(|bell| Waiter::new((*bell.word).as_ref(), bell.silent, 0));
        let words: Vec<Waiter> = std::iter::once(own).chain(bells).take(MOST).collect();
        let limit = deadline.map(on_the_clock);
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the words and the limit live as long as the call, which reads them in the layout that they have.
        let woken = unsafe {
            libc::syscall(libc::SYS_futex_waitv, words.as_ptr(), words.len(), 0, limit, libc::CLOCK_MONOTONIC)
        };
        if woken >= 0 {
            // The last of those that were woken is named.
            return if woken == 0 { Woken::ByWord } else { Woken::ByBell };
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR) => Woken::ByBell,
            Some(libc::ETIMEDOUT) => Woken::TimedOut,
            error => {
                let is_unknown = matches!(error, Some(libc::ENOSYS | libc::EPERM | libc::EINVAL));
                DEAF.store(is_unknown, Ordering::Relaxed);
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

    /// The moment as the kernel's clock has it.
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

    /// Not all machines have 64 bits for them.
    fn wide(number: impl Into<i64>) -> i64 {
        number.into()
    }

    /// Wakes all who sleep on the word.
    pub(crate) fn wake(word: &impl Word) {
        let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: an address that the kernel looks up and does not use.
        unsafe { libc::syscall(libc::SYS_futex, lower_half(word).as_ptr(), operation, i32::MAX) };
    }
}

#[cfg(not(all(target_os = "linux", not(any(loom, shuttle)))))]
pub(crate) use elsewhere::{Word, sleep, wake};

/// Nobody sleeps like that in a model, nor on another system.
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
