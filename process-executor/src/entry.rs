//! Where a process that was taken over becomes a worker, with the transport of its parent.

use crate::worker::shared_memory::SharedMemory;
use crate::worker::{self, Welcome};

/// Runs the worker, and ends the process with it.
pub(crate) fn become_worker() -> ! {
    worker::become_worker(|welcome: Welcome| {
        // A transport is known by what it hands over.
        #[cfg(feature = "ipc-channel")]
        if welcome.has_ends() {
            return worker::work::<crate::ipc_channel::worker::IpcChannel>(welcome);
        }
        worker::work::<SharedMemory>(welcome)
    })
}
