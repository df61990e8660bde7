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
    /// A bell that has not rung while the word is `silent`. The word is kept alive while a thread listens to it.
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
    use crate::sync::AtomicPtr;
    use crate::sync::AtomicUsize;
    use rustix::io::Errno;
    use rustix::thread::{ClockId, futex};
    use rustix::time::Timespec;
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
        let own = watch(lower_half(word), expected as u32, futex::WaitFlags::PRIVATE);
        let bells = bells.iter().map(|bell| watch((*bell.word).as_ref(), bell.silent, futex::WaitFlags::empty()));
        let words: Vec<futex::Wait> = std::iter::once(own).chain(bells).take(MOST).collect();
        let limit = deadline.map(on_the_clock);
        match futex::waitv(&words, futex::WaitvFlags::empty(), limit.as_ref(), ClockId::Monotonic) {
            // The last of those that were woken is named.
            Ok(0) => Woken::ByWord,
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Woken::ByBell,
            Err(Errno::TIMEDOUT) => Woken::TimedOut,
            Err(error) => {
                let is_unknown = matches!(error, Errno::NOSYS | Errno::PERM | Errno::INVAL);
                DEAF.store(is_unknown, Ordering::Relaxed);
                Woken::NotAsleep
            }
        }
    }

    fn watch(word: &AtomicU32, expected: u32, flags: futex::WaitFlags) -> futex::Wait {
        let mut wait = futex::Wait::new();
        wait.val = expected.into();
        wait.uaddr = futex::WaitPtr::new(word.as_ptr().cast());
        wait.flags = flags | futex::WaitFlags::SIZE_U32;
        wait
    }

    /// The moment as the kernel's clock has it.
    fn on_the_clock(deadline: Instant) -> Timespec {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now()));
        let now = rustix::time::clock_gettime(ClockId::Monotonic);
        left.ok().and_then(|left| now.checked_add(left)).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 })
    }

    /// Wakes all who sleep on the word.
    pub(crate) fn wake(word: &impl Word) {
        let _ = futex::wake(lower_half(word), futex::Flags::PRIVATE, i32::MAX as u32);
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
