//! How the tasks of one worker travel where the shared memory does not carry them.
//!
//! With the transport of shared memory a seat has no relay: inputs and replies lie in the memory of its [`Ring`](super::ring).
//! Another transport gives each seat a relay. It carries inputs and replies on its own, and the ring only says where each task
//! is. A relay takes one task at a time, and encodes it then: its values may be such that only the transport itself
//! can encode them.

use super::entry::Entry;
use process_core::memory::Buffer;
use std::fmt;
use std::sync::Arc;

/// Takes the bytes of a reply, or the reason why they are not there.
pub(crate) type ReadReply<'a> = dyn FnMut(Result<&[u8], String>) + 'a;

/// Finds memory that the worker has handed over, by its number.
pub(crate) type FindBuffer<'a> = dyn Fn(u64) -> Result<Arc<Buffer>, String> + 'a;

/// Carries the inputs and replies of one worker.
pub(crate) trait Relay: fmt::Debug + Send + Sync {
    /// Takes a task, to encode and send it. Called under the pool's lock, while the relay has no task.
    fn load(&self, entry: Entry);

    /// Has the task sent that was loaded.
    fn wake(&self);

    /// Ends the relay, because its worker is gone. Returns the task that was loaded and that it has not taken up.
    fn close(&self) -> Option<Entry>;

    /// Runs `read` with the reply of that number, counted from 0, if it came. `find` finds the memory that it names.
    fn read_reply(&self, number: u64, find: &FindBuffer<'_>, read: &mut ReadReply<'_>);

    /// Returns whether the calling thread can read replies.
    fn can_read_here(&self) -> bool;
}
