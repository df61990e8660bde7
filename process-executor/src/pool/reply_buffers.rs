//! Memory that came for one reply, until the reply is done with.

use super::Pool;
use crate::link::Link;
use crate::protocol::attachments::Source;
use process_core::attachments::Attachment;
use process_core::memory::Buffer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The memory that came for one reply. It is freed when this is dropped, whether or not the reply names it.
pub(crate) struct ReplyBuffers {
    pool: Arc<Pool>,
    link: Arc<Link>,
    /// The number of the reply's slot.
    reply: u64,
    /// Some of it was looked up.
    has_looked: AtomicBool,
}

impl ReplyBuffers {
    pub(crate) fn new(pool: Arc<Pool>, link: Arc<Link>, reply: u64) -> Arc<Self> {
        Arc::new(Self { pool, link, reply, has_looked: AtomicBool::new(false) })
    }

    /// Returns the memory of that number.
    pub(crate) fn buffer(&self, id: u64) -> Result<Arc<Buffer>, String> {
        let (buffer, heard) = self.link.find(id);
        if heard {
            self.pool.call_supervisor();
        }
        self.has_looked.store(true, Ordering::Relaxed);
        buffer
    }
}

impl Source for ReplyBuffers {
    fn find(&self, id: u64) -> Result<Arc<dyn Attachment>, String> {
        self.buffer(id).map(|buffer| buffer as _)
    }
}

impl Drop for ReplyBuffers {
    fn drop(&mut self) {
        if self.link.release(self.reply, *self.has_looked.get_mut()) {
            self.pool.call_supervisor();
        }
    }
}
