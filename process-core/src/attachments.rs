//! What a value takes along to another process beside its bytes: descriptors, and the memory behind them.
//!
//! ```text
//!  encode:  serialize ─► note: its number goes into the bytes, its descriptor beside them
//!  decode:  deserialize ◄─ find: by that number, among what came along
//! ```
//! A type that stands for a descriptor implements [`Attachment`], calls [`note`] where it is serialized and [`find`] where it is
//! deserialized; it may then lie anywhere in a value. A transport runs the encoding in [`collecting`], sends what that returns
//! along, and runs the decoding in [`unpacking`]. Outside of those, `note` and `find` fail and say why.
//!
//! What is noted, and the place to look in, lie on the stack of the thread that encodes or decodes; the thread-local values only
//! say where. So all of this also works on a thread that ends, whose local values are gone.

use rustix::fd::BorrowedFd;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

/// Something behind a descriptor that a value contains.
pub trait Attachment: Any + fmt::Debug + Send + Sync {
    /// Returns the number by which the bytes of the value name it; from [`next_id`].
    fn id(&self) -> u64;

    /// Returns the descriptor that travels.
    fn file(&self) -> BorrowedFd<'_>;

    /// Returns how many bytes it has if it is memory that is sealed against all change; `None` for every other descriptor.
    fn sealed_length(&self) -> Option<u64>;
}

/// What a transport takes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Memory that is sealed against all change, and nothing else.
    SealedMemory,
    /// Every descriptor.
    Everything,
}

/// Why an attachment does not travel with the value that is being encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The value is not on its way to another process, or by a way that takes no descriptors.
    #[error(
        "it stands for a descriptor of this process, and none travels with the bytes of a value; send it by a connection between processes"
    )]
    Nothing,
    /// The value travels in a way that takes sealed memory alone.
    #[error("it stands for a descriptor, and this way takes no other descriptors than those of sealed memory")]
    SealedMemoryAlone,
}

/// Returns a number for an attachment that this process makes. They count on from a random one, so that what comes back is not taken
/// for another process's; the number of a process would not do, since those come round again.
pub fn next_id() -> u64 {
    static NEXT: LazyLock<AtomicU64> =
        LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(std::process::id())));
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The attachments of a value that is being encoded.
struct Notes {
    takes: Takes,
    /// With their numbers: to ask for those runs the code of a type.
    attachments: RefCell<Vec<(u64, Arc<dyn Attachment>)>>,
}

executor_wire::local! {
    /// Where attachments are noted, while a value is being encoded.
    static NOTES: Cell<*const Notes> = Cell::new(ptr::null());
    /// True if there are any; to read it costs next to nothing.
    static HAS_NOTED: Cell<bool> = Cell::new(false);
    static SOURCE: Cell<*const Arc<dyn Source>> = Cell::new(ptr::null());
}

/// Where attachments that came from another process are found.
pub trait Source {
    /// Returns the attachment of that number.
    ///
    /// # Errors
    ///
    /// Says why it is not there.
    fn find(&self, id: u64) -> Result<Arc<dyn Attachment>, String>;
}

/// Puts a value of this thread back as it was when dropped, panics included.
struct Restore<T: Copy + 'static>(&'static std::thread::LocalKey<Cell<T>>, T);

impl<T: Copy> Drop for Restore<T> {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// Runs `encode`, and returns the attachments that it noted.
#[inline]
pub fn collecting<R>(takes: Takes, encode: impl FnOnce() -> R) -> (R, Vec<Arc<dyn Attachment>>) {
    let notes = Notes { takes, attachments: RefCell::default() };
    // A value whose own serde code submits a task is encoded around that task's.
    let _outer = (Restore(&NOTES, NOTES.replace(&raw const notes)), Restore(&HAS_NOTED, HAS_NOTED.replace(false)));
    let result = encode();
    (result, without_numbers(notes.attachments.take()))
}

/// Returns whether any were noted so far inside [`collecting`].
#[inline]
#[must_use]
pub fn has_noted() -> bool {
    HAS_NOTED.get()
}

/// Runs `f` with the notes of this thread, if a value is being encoded.
fn with_notes<R>(f: impl FnOnce(Takes, &mut Vec<(u64, Arc<dyn Attachment>)>) -> R) -> Option<R> {
    // SAFETY: `collecting` is still on this thread's stack, below us, and takes the pointer away before it returns.
    let notes = unsafe { NOTES.get().as_ref() }?;
    Some(f(notes.takes, &mut notes.attachments.borrow_mut()))
}

/// Takes the attachments noted so far inside [`collecting`].
#[inline]
#[must_use]
pub fn take_noted() -> Vec<Arc<dyn Attachment>> {
    if !HAS_NOTED.replace(false) {
        return Vec::new();
    }
    without_numbers(with_notes(|_, noted| std::mem::take(noted)).unwrap_or_default())
}

fn without_numbers(noted: Vec<(u64, Arc<dyn Attachment>)>) -> Vec<Arc<dyn Attachment>> {
    noted.into_iter().map(|(_, attachment)| attachment).collect()
}

/// Notes an attachment of the value that is being encoded, once.
///
/// # Errors
///
/// No transport collects attachments, or it does not take this one. The value then has to be encoded in another way, or not at all.
pub fn note<A: Attachment>(attachment: &Arc<A>) -> Result<(), NotTaken> {
    let (id, is_sealed) = (attachment.id(), attachment.sealed_length().is_some());
    let noted = with_notes(|takes, noted| {
        if takes == Takes::SealedMemory && !is_sealed {
            return Err(NotTaken::SealedMemoryAlone);
        }
        if !noted.iter().any(|(known, _)| *known == id) {
            noted.push((id, attachment.clone()));
        }
        Ok(())
    });
    noted.unwrap_or(Err(NotTaken::Nothing))?;
    HAS_NOTED.set(true);
    Ok(())
}

/// Runs `decode`, in which attachments come from `source`.
#[inline]
pub fn unpacking<R>(source: &Arc<dyn Source>, decode: impl FnOnce() -> R) -> R {
    let _outer = Restore(&SOURCE, SOURCE.replace(source));
    decode()
}

/// Returns an attachment of the value that is being decoded.
///
/// # Errors
///
/// Says why it is not there, or that it is of another kind than an `A`.
pub fn find<A: Attachment>(id: u64) -> Result<Arc<A>, String> {
    const ELSEWHERE: &str = "it comes from another process, and is read elsewhere";
    // SAFETY: `unpacking` is still on this thread's stack, below us, and keeps the source borrowed.
    let source = unsafe { SOURCE.get().as_ref() }.ok_or(ELSEWHERE)?.clone();
    let found: Arc<dyn Any + Send + Sync> = source.find(id)?;
    found.downcast().map_err(|_| "what came is another kind of descriptor than the value names".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{NotTaken, Source, Takes, collecting, find, has_noted, note, take_noted, unpacking};
    use crate::attachments::Attachment;
    use crate::memory::Buffer;
    use std::sync::Arc;

    fn buffer() -> Arc<Buffer> {
        Arc::new(Buffer::copy_of(b"contents").unwrap())
    }

    struct One(Arc<Buffer>);

    impl Source for One {
        fn find(&self, id: u64) -> Result<Arc<dyn Attachment>, String> {
            if id == self.0.id() { Ok(self.0.clone()) } else { Err("it did not come".to_owned()) }
        }
    }

    #[test]
    fn each_attachment_is_noted_once_and_by_the_innermost_encoding() {
        let (one, other) = (buffer(), buffer());
        let ((), outer) = collecting(Takes::Everything, || {
            note(&one).unwrap();
            note(&one).unwrap();
            let ((), inner) = collecting(Takes::Everything, || {
                assert!(!has_noted());
                note(&other).unwrap();
                assert!(has_noted());
                assert_eq!(take_noted().len(), 1);
                assert!(!has_noted() && take_noted().is_empty());
            });
            assert!(inner.is_empty() && has_noted());
        });
        assert_eq!(outer.iter().map(|attachment| attachment.id()).collect::<Vec<_>>(), [one.id()]);
        assert_eq!(note(&one), Err(NotTaken::Nothing));
    }

    #[test]
    fn notes_are_put_away_when_encoding_panics() {
        let caught =
            std::panic::catch_unwind(|| collecting(Takes::Everything, || std::panic::resume_unwind(Box::new(()))));
        let caught: Result<((), _), _> = caught;
        assert!(caught.is_err());
        assert_eq!(note(&buffer()), Err(NotTaken::Nothing));
    }

    #[test]
    fn attachments_are_found_only_while_a_value_is_decoded() {
        let buffer = buffer();
        let source: Arc<dyn Source> = Arc::new(One(buffer.clone()));
        let found = unpacking(&source, || find::<Buffer>(buffer.id()));
        assert!(Arc::ptr_eq(&found.unwrap(), &buffer));
        assert_eq!(unpacking(&source, || find::<Buffer>(7)).unwrap_err(), "it did not come");
        assert!(find::<Buffer>(buffer.id()).unwrap_err().contains("read elsewhere"));
    }
}
