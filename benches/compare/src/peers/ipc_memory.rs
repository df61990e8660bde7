//! ipc-channel's shared memory, sent to a process that sums a byte of each page.

use std::ffi::OsString;

use ipc_channel::ipc::{self, IpcOneShotServer, IpcReceiver, IpcSender, IpcSharedMemory};

use super::page_sum;
use crate::helper::{self, Helper, Part};

/// What the other process hands over first: where to send memory, and where the sums come from.
type Ends = (IpcSender<IpcSharedMemory>, IpcReceiver<u64>);

/// The other process and the way to it.
pub(crate) struct IpcMemory {
    memory: IpcSender<IpcSharedMemory>,
    sums: IpcReceiver<u64>,
    _far: Helper,
}

impl IpcMemory {
    pub(crate) fn new() -> Self {
        let (server, name) = IpcOneShotServer::<Ends>::new().expect("a server can be made");
        let far = Helper::start_plain(helper::command(Part::PageSums).arg(name));
        let (_, (memory, sums)) = server.accept().expect("the other process connects");
        Self { memory, sums, _far: far }
    }

    /// Sends the memory, waits for its sum.
    pub(crate) fn page_sum(&self, memory: IpcSharedMemory) -> u64 {
        self.memory.send(memory).expect("the other process receives");
        self.sums.recv().expect("the other process answers")
    }
}

/// The other process: answers until the near end closes.
pub(crate) fn serve(mut arguments: impl Iterator<Item = OsString>) {
    let name = arguments.next().and_then(|name| name.into_string().ok()).expect("the name of the server");
    let near = IpcSender::<Ends>::connect(name).expect("the server is there");
    let (memory_sender, memory) = ipc::channel::<IpcSharedMemory>().expect("a channel can be made");
    let (sums, sums_receiver) = ipc::channel().expect("a channel can be made");
    near.send((memory_sender, sums_receiver)).expect("the server accepts");
    while let Ok(memory) = memory.recv() {
        sums.send(page_sum(&memory)).expect("the near end receives");
    }
}
