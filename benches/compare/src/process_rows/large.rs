//! Large arguments, one task at a time. The work is [`page_sum`] everywhere.
//!
//! `large_argument`: memory that is made for sharing and filled before the clock starts, the same for every task; of
//! CPython a `bytes`, which it has to copy. `large_fresh`: that memory is made and filled anew for every task, inside
//! the timed part, from bytes that are there already. `large_vec`: a `Vec<u8>` of its own for every task, filled before
//! the clock starts.

use std::time::{Duration, Instant};

use executor_core::ExecutorExt;
use ipc_channel::ipc::IpcSharedMemory;
use process_executor::{ProcessPoolExecutor, SharedBuffer, TransportKind};

use super::{PYTHON_EXECUTOR, Row, Target};
use crate::peers::{WORKERS, ipc_memory::IpcMemory, our_processes, page_sum, python};
use crate::rounds::Contender;
use crate::rows::scaled;

const IPC_MEMORY: &str = "ipc-channel IpcSharedMemory";

pub(super) const SHARED_TARGETS: &[Target] = &[Target::new(PYTHON_EXECUTOR, 0.1), Target::new(IPC_MEMORY, 0.25)];
pub(super) const VEC_TARGETS: &[Target] = &[Target::new(PYTHON_EXECUTOR, 0.4)];

/// A size and how many tasks of it one run does: more than a few, because the first finds caches that others have filled,
/// and, in a virtual machine, memory that its host has taken back since.
#[derive(Clone, Copy)]
struct Size {
    bytes: usize,
    tasks: u64,
}

const SMALLER: Size = Size { bytes: 16 << 20, tasks: 20 };
const LARGER: Size = Size { bytes: 256 << 20, tasks: 5 };

impl Size {
    /// What every task's argument holds; a period that does not divide a page, so that pages differ.
    fn data(self) -> Vec<u8> {
        (0..=250).cycle().take(self.bytes).collect()
    }

    fn row(self, scale: f64, ours: impl Fn(TransportKind) -> Run) -> Row {
        let tasks = scaled(self.tasks, scale);
        let row = Row::new(tasks, |name, transport| contender(name, tasks, ours(transport)));
        row.with_python(PYTHON_EXECUTOR, python::LARGE, vec![tasks, self.bytes as u64])
    }
}

/// One task: makes what is not timed, then says how long the rest took, and the sum.
type Run = Box<dyn FnMut() -> (Duration, u64)>;

fn contender(name: &'static str, tasks: u64, mut run: Run) -> Contender {
    let (_, expected) = run();
    Contender::with_tasks(name, tasks, move |tasks| {
        let one = |_| {
            let (elapsed, sum) = run();
            assert_eq!(sum, expected);
            elapsed
        };
        (0..tasks).map(one).sum()
    })
}

pub(super) fn shared_16(scale: f64) -> Row {
    shared(SMALLER, scale)
}

pub(super) fn shared_256(scale: f64) -> Row {
    shared(LARGER, scale)
}

fn shared(size: Size, scale: f64) -> Row {
    let data = size.data();
    let ours = |transport| -> Run {
        let (pool, buffer) = (our_processes::pool(WORKERS, transport), share(&data));
        Box::new(move || sum_elsewhere(|| buffer.clone(), |buffer| on_pool(&pool, shared_sum, buffer)))
    };
    let (peer, memory) = (IpcMemory::new(), IpcSharedMemory::from_bytes(&data));
    let theirs: Run = Box::new(move || sum_elsewhere(|| memory.clone(), |memory| peer.page_sum(memory)));
    let row = size.row(scale, ours);
    let peer = contender(IPC_MEMORY, row.tasks, theirs);
    row.with(peer)
}

pub(super) fn fresh_16(scale: f64) -> Row {
    fresh(SMALLER, scale)
}

pub(super) fn fresh_256(scale: f64) -> Row {
    fresh(LARGER, scale)
}

fn fresh(size: Size, scale: f64) -> Row {
    let ours = |transport| -> Run {
        let (pool, data) = (our_processes::pool(WORKERS, transport), size.data());
        Box::new(move || sum_elsewhere(|| (), |()| on_pool(&pool, shared_sum, share(&data))))
    };
    let (peer, data) = (IpcMemory::new(), size.data());
    let theirs: Run = Box::new(move || sum_elsewhere(|| (), |()| peer.page_sum(IpcSharedMemory::from_bytes(&data))));
    let row = size.row(scale, ours);
    let peer = contender(IPC_MEMORY, row.tasks, theirs);
    row.with(peer)
}

pub(super) fn vec_16(scale: f64) -> Row {
    vec(SMALLER, scale)
}

pub(super) fn vec_256(scale: f64) -> Row {
    vec(LARGER, scale)
}

fn vec(size: Size, scale: f64) -> Row {
    let ours = |transport| -> Run {
        let (pool, data) = (our_processes::pool(WORKERS, transport), size.data());
        Box::new(move || sum_elsewhere(|| data.clone(), |data| on_pool(&pool, vec_sum, data)))
    };
    size.row(scale, ours)
}

fn share(data: &[u8]) -> SharedBuffer {
    SharedBuffer::from_slice(data).expect("memory can be shared")
}

fn shared_sum(buffer: SharedBuffer) -> u64 {
    page_sum(&buffer)
}

fn vec_sum(bytes: Vec<u8>) -> u64 {
    page_sum(&bytes)
}

fn on_pool<A: executor_core::Portable>(pool: &ProcessPoolExecutor, task: fn(A) -> u64, argument: A) -> u64 {
    pool.submit(task, argument).expect("the pool is open").result().expect("the task returns")
}

fn sum_elsewhere<A>(prepare: impl FnOnce() -> A, sum: impl FnOnce(A) -> u64) -> (Duration, u64) {
    let argument = prepare();
    let start = Instant::now();
    let sum = sum(argument);
    (start.elapsed(), sum)
}
