//! How a `SharedBuffer` inside an argument or a result crosses: while a value is packed, the buffers in it are noted; while
//! one is unpacked, they are looked up by number.

use crate::buffer::Buffer;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

thread_local! {
    /// Whether buffers are noted: a value is being packed.
    static COLLECTS: Cell<bool> = const { Cell::new(false) };
    /// Whether there are any; a look at this costs next to nothing.
    static HAS_NOTED: Cell<bool> = const { Cell::new(false) };
    static NOTED: RefCell<Vec<Arc<Buffer>>> = const { RefCell::new(Vec::new()) };
    static SOURCE: RefCell<Option<Arc<dyn Source>>> = const { RefCell::new(None) };
}

/// Where buffers that came from another process are found.
pub(crate) trait Source {
    /// The buffer of that number, if it came.
    fn find(&self, id: u64) -> Option<Arc<Buffer>>;
}

/// Runs `pack`, and gives the buffers it noted.
pub(crate) fn collecting<R>(pack: impl FnOnce() -> R) -> (R, Vec<Arc<Buffer>>) {
    // A value whose own serde code submits a task is packed around that task's.
    let outer = COLLECTS.replace(true).then(take_noted);
    let result = pack();
    let noted = take_noted();
    COLLECTS.set(outer.is_some());
    if let Some(outer) = outer.filter(|outer| !outer.is_empty()) {
        HAS_NOTED.set(true);
        NOTED.set(outer);
    }
    (result, noted)
}

/// Whether any were noted so far inside `collecting`.
#[inline]
pub(crate) fn has_noted() -> bool {
    HAS_NOTED.get()
}

/// The buffers noted so far inside `collecting`.
#[inline]
pub(crate) fn take_noted() -> Vec<Arc<Buffer>> {
    if HAS_NOTED.replace(false) { NOTED.take() } else { Vec::new() }
}

/// Notes a buffer of a value that is being packed. False: nobody collects, the value goes elsewhere.
pub(crate) fn note(buffer: &Arc<Buffer>) -> bool {
    if !COLLECTS.get() {
        return false;
    }
    NOTED.with_borrow_mut(|noted| {
        if !noted.iter().any(|known| known.id() == buffer.id()) {
            noted.push(buffer.clone());
        }
    });
    HAS_NOTED.set(true);
    true
}

/// Runs `unpack`, in which buffers come from `source`.
pub(crate) fn unpacking<R>(source: Arc<dyn Source>, unpack: impl FnOnce() -> R) -> R {
    let outer = SOURCE.replace(Some(source));
    let result = unpack();
    SOURCE.set(outer);
    result
}

/// A buffer of the value that is being unpacked.
pub(crate) fn find(id: u64) -> Option<Arc<Buffer>> {
    let source = SOURCE.with_borrow(Clone::clone)?;
    source.find(id)
}
