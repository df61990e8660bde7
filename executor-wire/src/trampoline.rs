//! [`Trampoline`]: how a worker calls a function of which it has only the address.

use crate::job::Job;
use std::fmt;

/// First word of every [`Trampoline`].
const MAGIC: u64 = 0x6578_6563_5f64_6573;

/// The worker's side of all functions of one type, a static of the executable.
///
/// Another process of the same executable finds it at the same offset. Check what you find there by
/// [`is_genuine`](Self::is_genuine) and [`fingerprint`](Self::fingerprint) before you use it.
#[repr(C)]
pub struct Trampoline {
    magic: u64,
    types: fn() -> (&'static str, &'static str),
    run: unsafe fn(*const (), &mut Job<'_>),
}

impl Trampoline {
    pub(crate) const fn new(
        types: fn() -> (&'static str, &'static str),
        run: unsafe fn(*const (), &mut Job<'_>),
    ) -> Self {
        Self { magic: MAGIC, types, run }
    }

    /// Returns whether this is a trampoline at all. Only then may anything else be asked of it.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        self.magic == MAGIC
    }

    /// Returns a number made from the names of the types; trampolines of other types most likely have another.
    ///
    /// ```
    /// use executor_wire::call_trampoline;
    ///
    /// assert_ne!(call_trampoline::<u32, u64>().fingerprint(), call_trampoline::<u64, u32>().fingerprint());
    /// ```
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let (argument, result) = (self.types)();
        let separator = [0xff];
        fnv1a(argument.bytes().chain(separator).chain(result.bytes()))
    }

    /// Decodes the job's input, calls the function, and leaves the reply in the job's output. Panics of the function and of the
    /// types' serde code become part of the reply.
    ///
    /// # Safety
    /// The trampoline is genuine, and `code` is the address of a function of its types.
    pub unsafe fn run(&self, code: *const (), job: &mut Job<'_>) {
        // SAFETY: by contract.
        unsafe { (self.run)(code, job) }
    }
}

/// Returns the 64 bits of FNV-1a. It guards against mistakes, not against an adversary.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl fmt::Debug for Trampoline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trampoline").finish_non_exhaustive()
    }
}

/// A function as this process knows it. To another process it is named by two offsets in the executable.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// How to call it.
    pub trampoline: &'static Trampoline,
    /// What to call.
    pub code: *const (),
}

// SAFETY: addresses of code and of a static.
unsafe impl Send for Function {}
// SAFETY: as above.
unsafe impl Sync for Function {}
