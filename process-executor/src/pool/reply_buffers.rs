//! Memory that one reply names, from the decoding of the reply until it has been read.

use super::Pool;
use crate::buffer::Buffer;
use crate::carrier::Source;
use crate::link::Link;
use parking_lot::Mutex;
use std::sync::Arc;

/// Reads a reply, or is told why it is not there.
type ReadReply<'a> = dyn FnMut(Result<&[u8], String>) + 'a;

/// The buffers of one reply, which are given back when it has been read.
pub(crate) struct ReplyBuffers {
    pool: Arc<Pool>,
    link: Arc<Link>,
    used: Mutex<Vec<u64>>,
}

impl ReplyBuffers {
    pub(crate) fn new(pool: Arc<Pool>, link: Arc<Link>) -> Arc<Self> {
        Arc::new(Self { pool, link, used: Mutex::new(Vec::new()) })
    }

    /// Runs `read` with the reply that came as the message of that number, if it came. Channels that are in it and were not
    /// taken are closed.
    pub(crate) fn open_parcel(&self, number: u64, read: &mut ReadReply<'_>) {
        let Some(parcels) = self.link.parcels() else { return };
        parcels.open(number, &mut |contents| {
            if contents.number == number {
                match contents.buffer {
                    None => read(Ok(contents.bytes)),
                    Some(id) => {
                        let buffer = self.find(id);
                        read(buffer.as_ref().map(|buffer| buffer.bytes()).map_err(Clone::clone));
                    }
                }
            }
            contents.close_rest();
        });
    }
}

impl Source for ReplyBuffers {
    fn find(&self, id: u64) -> Result<Arc<Buffer>, String> {
        let (buffer, heard) = self.link.find(id);
        if heard {
            self.pool.call_supervisor();
        }
        let buffer = buffer?;
        let mut used = self.used.lock();
        if !used.contains(&id) {
            used.push(id);
        }
        Ok(buffer)
    }
}

impl Drop for ReplyBuffers {
    fn drop(&mut self) {
        self.link.release(self.used.get_mut());
    }
}
