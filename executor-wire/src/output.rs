//! [`Output`]: where values are encoded, a window of memory at a time.
//!
//! Bytes go straight to where they are needed: into memory shared with another process, into a vector, or through a small
//! window into memory that takes them over bit by bit. The kind is up to the [`Memory`], which is asked only when a window is
//! full.

use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// A stretch of memory that is being written, from its front.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Where it begins.
    pub start: NonNull<u8>,
    /// How many of its bytes are written.
    pub used: usize,
    /// How many there are.
    pub capacity: usize,
}

/// The source of an [`Output`]'s windows.
///
/// # Safety
/// The `Output`, and nothing else, may write to a window until the next call of any of these methods. The first `used` bytes of
/// a window are those that the output has already.
pub unsafe trait Memory {
    /// Returns the first window.
    fn open(&mut self) -> Window;

    /// Returns a window with room for `least` bytes more. The present one has `used` bytes; the new one begins with them, or, if
    /// they `may_go`, without any: then they were taken over, and come before all that follows. `None`: there is no memory.
    fn grow(&mut self, used: usize, least: usize, may_go: bool) -> Option<Window>;

    /// Takes over the `used` bytes of the window, and then `bytes`, and returns a window for what follows, with none used. `None`:
    /// this memory does not do that; the bytes go through windows.
    fn take(&mut self, used: usize, bytes: &[u8]) -> Option<Window> {
        let _ = (used, bytes);
        None
    }

    /// Forgets all bytes, and returns the first window.
    fn restart(&mut self) -> Window;

    /// Ends the last window, which has `used` bytes.
    fn close(&mut self, used: usize);
}

// SAFETY: the window is the vector's own memory, which stays where it is until the vector is asked for more.
unsafe impl Memory for Vec<u8> {
    fn open(&mut self) -> Window {
        let start = NonNull::new(self.as_mut_ptr()).unwrap_or(NonNull::dangling());
        Window { start, used: self.len(), capacity: self.capacity() }
    }

    fn grow(&mut self, used: usize, least: usize, _may_go: bool) -> Option<Window> {
        self.close(used);
        self.try_reserve(least).ok()?;
        Some(self.open())
    }

    fn restart(&mut self) -> Window {
        self.clear();
        self.open()
    }

    fn close(&mut self, used: usize) {
        debug_assert!(used <= self.capacity(), "it was written");
        // SAFETY: so many bytes of the window, which is the vector's memory, were written.
        unsafe { self.set_len(used) };
    }
}

/// Slices from this length on are offered to the memory as they are.
const LARGE: usize = 64 * 1024;

/// The bytes of an encoding, as far as it has come.
///
/// ```
/// use executor_wire::Output;
///
/// let mut bytes = vec![1, 2];
/// let mut output = Output::new(&mut bytes);
/// output.extend(&[3, 4]);
/// assert_eq!(output.len(), 4);
/// drop(output);
/// assert_eq!(bytes, [1, 2, 3, 4]);
/// ```
pub struct Output<'m> {
    window: Window,
    /// Bytes before the window's, which the memory has taken over.
    taken: usize,
    /// More than 0 while bytes in the window may still change, and must not be taken over.
    held: usize,
    /// There was no memory for some of the bytes.
    failed: bool,
    memory: &'m mut dyn Memory,
}

impl<'m> Output<'m> {
    /// Returns an output that appends to what the memory has.
    pub fn new(memory: &'m mut dyn Memory) -> Self {
        Self { window: memory.open(), taken: 0, held: 0, failed: false, memory }
    }

    /// Returns how many bytes the output has.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.taken + self.window.used
    }

    /// Returns whether the output has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether there was no memory for all that was appended. The bytes are worth nothing then, until they are cut back.
    #[must_use]
    #[inline]
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    #[inline]
    fn free(&self) -> usize {
        self.window.capacity - self.window.used
    }

    /// Appends a byte.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        if self.free() == 0 && !self.grow(1) {
            return;
        }
        // SAFETY: there is a free byte in the window.
        unsafe { self.window.start.add(self.window.used).write(byte) };
        self.window.used += 1;
    }

    /// Appends bytes.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.free() < bytes.len() && !self.make_room_for(bytes) {
            return;
        }
        // SAFETY: as many bytes of the window are free; nobody else has a reference to them.
        unsafe {
            let end = self.window.start.add(self.window.used);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), end.as_ptr(), bytes.len());
        }
        self.window.used += bytes.len();
    }

    /// Appends the first `length` bytes of eight, as they lie in memory.
    #[inline]
    pub(crate) fn extend_from_word(&mut self, word: u64, length: usize) {
        let bytes = word.to_le_bytes();
        if self.free() < bytes.len() {
            return self.extend(&bytes[..length]);
        }
        debug_assert!(length <= bytes.len(), "there are no more");
        // SAFETY: eight bytes of the window are free; those behind `length` are overwritten by what follows.
        unsafe { self.window.start.add(self.window.used).cast::<[u8; 8]>().write_unaligned(bytes) };
        self.window.used += length;
    }

    /// Appends the bytes of an iterator that knows how many it has. Returns how many were appended.
    #[inline]
    pub(crate) fn extend_exactly(&mut self, bytes: impl Iterator<Item = u8>) -> usize {
        let count = bytes.size_hint().0;
        if self.free() < count && !self.grow(count) {
            return bytes.count();
        }
        // SAFETY: as many bytes of the window are free; nobody else has a reference to them.
        let free = unsafe {
            let end = self.window.start.add(self.window.used).cast::<MaybeUninit<u8>>();
            std::slice::from_raw_parts_mut(end.as_ptr(), count)
        };
        let mut written = 0;
        // The compiler makes one copy of memory of this.
        free.iter_mut().zip(bytes).for_each(|(place, byte)| {
            place.write(byte);
            written += 1;
        });
        self.window.used += written;
        written
    }

    /// Leaves no more than the first `length` bytes. If the memory has taken over more than that, nothing is left.
    pub fn truncate(&mut self, length: usize) {
        self.failed = false;
        if let Some(used) = length.checked_sub(self.taken) {
            self.window.used = self.window.used.min(used);
        } else {
            self.restart();
            self.failed = length > 0;
        }
    }

    /// Keeps all bytes where they can be changed, until the returned value is [put back](Self::set_held).
    pub(crate) fn hold(&mut self) -> usize {
        self.held += 1;
        self.held - 1
    }

    pub(crate) fn held(&self) -> usize {
        self.held
    }

    pub(crate) fn set_held(&mut self, held: usize) {
        self.held = held;
    }

    /// Overwrites bytes that are held, from `place` on.
    #[inline]
    pub(crate) fn set<const N: usize>(&mut self, place: usize, bytes: [u8; N]) {
        let Some(place) = place.checked_sub(self.taken).filter(|place| place + N <= self.window.used) else {
            self.failed = true;
            return;
        };
        // SAFETY: inside of the window.
        unsafe { self.window.start.add(place).cast::<[u8; N]>().write_unaligned(bytes) };
    }

    /// Takes away the held bytes from `place` on, and returns them.
    #[cold]
    pub(crate) fn split_off(&mut self, place: usize) -> Vec<u8> {
        let Some(place) = place.checked_sub(self.taken).filter(|place| *place <= self.window.used) else {
            self.failed = true;
            return Vec::new();
        };
        // SAFETY: bytes of the window that were written.
        let end = unsafe {
            let start = self.window.start.add(place);
            std::slice::from_raw_parts(start.as_ptr(), self.window.used - place).to_vec()
        };
        self.window.used = place;
        end
    }

    #[cold]
    fn make_room_for(&mut self, bytes: &[u8]) -> bool {
        let may_go = !self.failed && self.held == 0 && bytes.len() >= LARGE;
        if may_go && let Some(new) = self.memory.take(self.window.used, bytes) {
            self.taken += self.window.used + bytes.len();
            self.window = new;
            return false;
        }
        self.grow(bytes.len())
    }

    #[cold]
    fn grow(&mut self, least: usize) -> bool {
        if self.failed {
            return false;
        }
        let Some(new) = self.memory.grow(self.window.used, least, self.held == 0) else {
            self.failed = true;
            return false;
        };
        debug_assert!(new.capacity - new.used >= least, "as was asked for");
        self.taken += self.window.used - new.used;
        self.window = new;
        true
    }

    /// Begins anew in another window of the memory.
    pub(crate) fn restart(&mut self) {
        self.window = self.memory.restart();
        self.taken = 0;
        self.failed = false;
    }
}

impl Output<'_> {
    /// Leaves the bytes written so far with the memory, as at the end.
    pub fn settle(&mut self) {
        self.memory.close(self.window.used);
    }
}

impl Drop for Output<'_> {
    #[inline]
    fn drop(&mut self) {
        self.memory.close(self.window.used);
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("length", &self.len()).field("failed", &self.failed).finish_non_exhaustive()
    }
}
