//! Functions of tasks by name: what runs them, and what it calls, as offsets in the executable.

use crate::image::Image;
use executor_wire::{Function, Trampoline};

/// A function as it crosses to another process of this executable.
///
/// ```
/// use executor_wire::{Output, pack};
/// use process_core::function::FunctionName;
/// use process_core::image::Image;
///
/// let image = Image::of_this_process()?;
/// let function = pack(u64::isqrt, 81, &mut Output::new(&mut Vec::new())).map_err(|(_, text)| text)?;
/// let name = FunctionName::of(function, image).ok_or("it is in a shared library")?;
/// // Here, or in another process of this executable:
/// let found = name.resolve(image).ok_or("it is not there")?;
/// assert_eq!(found.code, function.code);
/// // What names no such function is not followed.
/// assert!(FunctionName { fingerprint: name.fingerprint ^ 1, ..name }.resolve(image).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionName {
    /// Where the trampoline is.
    pub trampoline: u64,
    /// Where the code is.
    pub code: u64,
    /// The number that its types have, and most likely no others.
    pub fingerprint: u64,
}

impl FunctionName {
    /// Returns the name of a function; `None` if it is not part of the executable.
    #[must_use]
    pub fn of(function: Function, image: &Image) -> Option<Self> {
        Some(Self {
            trampoline: image.data_offset(function.trampoline)?,
            code: image.code_offset(function.code)?,
            fingerprint: function.trampoline.fingerprint(),
        })
    }

    /// Returns the function of that name in this process. Each step is checked before the next is taken.
    #[must_use]
    pub fn resolve(self, image: &Image) -> Option<Function> {
        let magic = image.data_at::<Trampoline>(self.trampoline)?;
        // SAFETY: as many readable bytes as a trampoline has, aligned, in memory that nobody writes. A trampoline is plain
        // words as far as `is_genuine` looks, which reads the first alone; no more is asked of one that is not.
        let trampoline = unsafe { magic.as_ref() };
        if !trampoline.is_genuine() || trampoline.fingerprint() != self.fingerprint {
            return None;
        }
        Some(Function { trampoline, code: image.code_at(self.code)? })
    }
}
