//! How a `SharedBuffer` inside an argument or a result crosses: while a value is packed, the buffers in it are noted; while
//! one is unpacked, they are looked up by number.
//!
//! What is noted, and where is looked, lies on the stack of whoever packs or unpacks; the thread only knows where. So it works
//! as well on a thread that ends, whose local values are gone.

use crate::buffer::Buffer;
use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::Arc;

/// The buffers of a value that is being packed.
#[derive(Default)]
struct Notes {
    buffers: RefCell<Vec<Arc<Buffer>>>,
}

executor_core::local! {
    /// Where buffers are noted, while a value is being packed.
    static NOTES: Cell<*const Notes> = Cell::new(ptr::null());
    /// Whether there are any; a look at this costs next to nothing.
    static HAS_NOTED: Cell<bool> = Cell::new(false);
    static SOURCE: Cell<*const Arc<dyn Source>> = Cell::new(ptr::null());
}

/// Where buffers that came from another process are found.
pub(crate) trait Source {
    /// The buffer of that number. The error says why it is not there.
    fn find(&self, id: u64) -> Result<Arc<Buffer>, String>;
}

/// Puts a value of this thread back as it was when dropped, panics included.
struct Restore<T: Copy + 'static>(&'static std::thread::LocalKey<Cell<T>>, T);

impl<T: Copy> Drop for Restore<T> {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// Runs `pack`, and gives the buffers it noted.
pub(crate) fn collecting<R>(pack: impl FnOnce() -> R) -> (R, Vec<Arc<Buffer>>) {
    let notes = Notes::default();
    // A value whose own serde code submits a task is packed around that task's.
    let _outer = (Restore(&NOTES, NOTES.replace(&raw const notes)), Restore(&HAS_NOTED, HAS_NOTED.replace(false)));
    let result = pack();
    (result, notes.buffers.take())
}

/// Whether any were noted so far inside `collecting`.
#[inline]
pub(crate) fn has_noted() -> bool {
    HAS_NOTED.get()
}

/// Runs `f` with the notes of this thread, if a value is being packed.
fn with_notes<R>(f: impl FnOnce(&mut Vec<Arc<Buffer>>) -> R) -> Option<R> {
    // SAFETY: `collecting` is still on this thread's stack, below us, and takes the pointer away before it returns.
    let notes = unsafe { NOTES.get().as_ref() }?;
    Some(f(&mut notes.buffers.borrow_mut()))
}

/// The buffers noted so far inside `collecting`.
#[inline]
pub(crate) fn take_noted() -> Vec<Arc<Buffer>> {
    if HAS_NOTED.replace(false) { with_notes(std::mem::take).unwrap_or_default() } else { Vec::new() }
}

/// Notes a buffer of a value that is being packed. False: nobody collects, the value goes elsewhere.
pub(crate) fn note(buffer: &Arc<Buffer>) -> bool {
    let noted = with_notes(|noted| {
        if !noted.iter().any(|known| known.id() == buffer.id()) {
            noted.push(buffer.clone());
        }
    });
    if noted.is_some() {
        HAS_NOTED.set(true);
    }
    noted.is_some()
}

/// Runs `unpack`, in which buffers come from `source`.
pub(crate) fn unpacking<R>(source: &Arc<dyn Source>, unpack: impl FnOnce() -> R) -> R {
    let _outer = Restore(&SOURCE, SOURCE.replace(source));
    unpack()
}

/// A buffer of the value that is being unpacked.
pub(crate) fn find(id: u64) -> Result<Arc<Buffer>, String> {
    const ELSEWHERE: &str = "it comes from another process, and is read elsewhere";
    // SAFETY: `unpacking` is still on this thread's stack, below us, and keeps the source borrowed.
    let source = unsafe { SOURCE.get().as_ref() }.ok_or(ELSEWHERE)?.clone();
    source.find(id)
}
