//! Memory inside arguments and results: of all that a value may have attached, tasks take along what is sealed, and nothing else.

use process_core::attachments::{self, Attachment, Takes};
pub(crate) use process_core::attachments::{Source, has_noted, unpacking};
use process_core::memory::Buffer;
use std::any::Any;
use std::sync::Arc;

/// Runs `pack`, and returns the memory that it noted.
#[inline]
pub(crate) fn collecting<R>(pack: impl FnOnce() -> R) -> (R, Vec<Arc<Buffer>>) {
    let (result, noted) = attachments::collecting(Takes::SealedMemory, pack);
    (result, buffers(noted))
}

/// Takes the memory noted so far inside `collecting`.
#[inline]
pub(crate) fn take_noted() -> Vec<Arc<Buffer>> {
    buffers(attachments::take_noted())
}

#[inline]
fn buffers(noted: Vec<Arc<dyn Attachment>>) -> Vec<Arc<Buffer>> {
    if noted.is_empty() {
        return Vec::new();
    }
    let downcast = |attachment: Arc<dyn Attachment>| {
        let attachment: Arc<dyn Any + Send + Sync> = attachment;
        attachment.downcast().ok()
    };
    noted.into_iter().filter_map(downcast).collect()
}
