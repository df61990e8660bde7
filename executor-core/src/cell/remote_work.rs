//! How the work of a task crosses to another process, types erased: [`RemoteWork`]; and what comes back: [`Reply`], [`Cause`].

use crate::cell::CellRef;
use crate::cell::header::Header;
use crate::cell::outcome::Outcome;
use crate::cell::task::Task;
use crate::error::{BrokenExecutor, CodecError, CodecPhase, Death, Expired, TaskError, WorkerDeath};
use crate::info::{Remains, TaskInfo};
use executor_wire::{Output, Packed, Portable};
use std::ptr::NonNull;
use std::time::Duration;

/// Makes a task of the items that come after so many more.
type Split = unsafe fn(NonNull<Header>, usize) -> Option<Task>;

/// How the work of a cell crosses, types erased: part of the cell's vtable.
pub(crate) struct RemoteWork {
    /// Appends the input's encoding and drops the input.
    pub(crate) pack: unsafe fn(NonNull<Header>, &mut Output<'_>) -> Packed,
    /// Whether it is a chunk of `map`.
    pub(crate) has_items: bool,
    /// For a chunk of which items are over: makes a task of those that come after so many more, which stay with it.
    pub(crate) split: Option<Split>,
    /// Takes a reply in. `Some`: so many items of the input are over, and the rest is to run again.
    pub(crate) finish: unsafe fn(CellRef, Reply<'_>, Cause) -> Option<(CellRef, usize)>,
}

/// What a worker sent back for a task, whole or as far as it came.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The bytes, from wherever: they are checked.
    pub bytes: &'a [u8],
    /// For a chunk: how many items have their outcome in them.
    pub items: usize,
    /// For a chunk: how long it ran.
    pub elapsed: Duration,
    /// It is to be decoded even if nobody is left who wants it: something else came along with it.
    pub attached: bool,
}

impl Reply<'_> {
    /// Nothing came back.
    pub const NONE: Self = Self { bytes: &[], items: 0, elapsed: Duration::ZERO, attached: false };
}

/// Why a task is over, or its worker.
#[derive(Clone, Debug)]
pub enum Cause {
    /// The worker replied.
    Replied,
    /// Workers died of it.
    Died(Vec<Death>),
    /// It ran longer than its limit.
    TimedOut(Duration, Remains),
    /// Its holder stopped it.
    Stopped(Remains),
    /// The input could not be carried, as said by the transport.
    Codec(CodecPhase, String),
    /// The executor broke, or has no worker for it.
    Broken(BrokenExecutor),
    /// Only take in what came back; what was running is to run again.
    Retry,
}

impl Cause {
    /// Returns the error of the task, or of the item that was running.
    pub(crate) fn into_error(self, info: TaskInfo) -> TaskError {
        match self {
            Self::Died(deaths) => TaskError::WorkerDied(WorkerDeath::new(info, deaths)),
            Self::TimedOut(limit, remains) => TaskError::TimedOut(Expired::with_its_worker(info, limit, remains)),
            Self::Stopped(remains) => TaskError::Cancelled(info.stopped(remains)),
            Self::Codec(phase, message) => TaskError::Codec(CodecError::new(info, phase, message)),
            Self::Broken(broken) => TaskError::Broken(info, broken),
            Self::Replied | Self::Retry => TaskError::Codec(CodecError::new(
                info,
                CodecPhase::DecodeResult,
                "the worker's reply is incomplete".to_owned(),
            )),
        }
    }
}

/// Reads the outcome of a call. `None`: nobody is left to be told, and nothing was decoded for nobody.
pub(crate) fn read<R: Portable>(
    cell: &CellRef,
    reply: Reply<'_>,
    cause: Cause,
    info: impl Fn() -> TaskInfo,
) -> Option<Outcome<R>> {
    match cause {
        Cause::Replied if !reply.attached && cell.is_unwanted() => {
            // What was to be dropped with it goes with this reference.
            let _ = cell.header().state.reclaim();
            None
        }
        Cause::Replied => {
            Some(executor_wire::read(reply.bytes).map_err(|failure| TaskError::from_failure(failure, info())))
        }
        cause => Some(Err(cause.into_error(info()))),
    }
}
