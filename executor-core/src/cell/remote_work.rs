//! How the work of a task crosses to another process, types erased: [`RemoteWork`]; and what comes back: [`Reply`], [`Cause`].

use crate::cell::CellRef;
use crate::cell::header::Header;
use crate::cell::outcome::Outcome;
use crate::cell::owner::Ended;
use crate::cell::task::Task;
use crate::cell::transition::Reclaim;
use crate::error::{BrokenExecutor, CodecError, CodecPhase, Death, Expired, TaskError, WorkerDeath};
use crate::info::{Remains, TaskInfo};
use executor_wire::reply::is_value;
use executor_wire::{Output, Packed, Portable};
use std::ptr::NonNull;
use std::time::Duration;

/// Makes a task of all items that come after so many more.
type Split = unsafe fn(NonNull<Header>, usize) -> Option<Task>;

/// Takes a reply in, and tells how the task ended unless a rest of it is to run again.
type Finish = unsafe fn(CellRef, Reply<'_>, Cause, &dyn Fn(Ended)) -> Option<(CellRef, usize)>;

/// How the work of a cell crosses, types erased: part of the cell's vtable.
pub(crate) struct RemoteWork {
    /// Appends the encoding of the input, and drops the input.
    pub(crate) pack: unsafe fn(NonNull<Header>, &mut Output<'_>) -> Packed,
    /// True for a chunk of `map`.
    pub(crate) has_items: bool,
    /// For a chunk of which items are over: keeps so many more, and makes a task of those that come after.
    pub(crate) split: Option<Split>,
    /// Takes a reply in. Returns the cell if the rest is to run again, with how many items of the input are over. Else the
    /// function hears how the task ended.
    pub(crate) finish: Finish,
}

/// The reply of a worker to a task, whole or as far as it came.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The bytes, which are not trusted.
    pub bytes: &'a [u8],
    /// For a chunk: how many items have their outcome in them.
    pub items: usize,
    /// For a chunk: how long it ran.
    pub elapsed: Duration,
    /// Decode it even if nobody wants it any more, since something else came along with it.
    pub attached: bool,
}

impl Reply<'_> {
    /// The reply of a worker that sent nothing.
    pub const NONE: Self = Self { bytes: &[], items: 0, elapsed: Duration::ZERO, attached: false };
}

/// Why a task, or its worker, has ended.
#[derive(Clone, Debug)]
pub enum Cause {
    /// The worker replied.
    Replied,
    /// Workers died while they ran it.
    Died(Vec<Death>),
    /// It ran longer than its limit.
    TimedOut(Duration, Remains),
    /// The holder of its future stopped it.
    Stopped(Remains),
    /// The transport could not carry the input, for the reason given.
    Codec(CodecPhase, String),
    /// The executor broke, or has no worker for it.
    Broken(BrokenExecutor),
    /// Nothing: take in the items that came back; what was running runs again.
    Retry,
}

impl Cause {
    /// Returns how a task has ended for this cause, with a value or without.
    pub(crate) fn ended(&self, has_value: bool) -> Ended {
        match self {
            Self::Stopped(_) => Ended::Cancelled,
            Self::Replied | Self::Retry if has_value => Ended::Completed,
            _ => Ended::Failed,
        }
    }

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

/// Reads the outcome of a call, and says how it ended. Returns `None` if nobody is left to be told; then nothing was decoded, and
/// `on_end` has heard of it.
pub(crate) fn read<R: Portable>(
    cell: &CellRef,
    reply: Reply<'_>,
    cause: Cause,
    info: impl Fn() -> TaskInfo,
    on_end: &dyn Fn(Ended),
) -> Option<(Outcome<R>, Ended)> {
    let outcome = match &cause {
        Cause::Replied if !reply.attached && cell.is_unwanted() => {
            // What was to be dropped with it goes with this reference.
            if cell.header().state.reclaim() == Reclaim::Running {
                cell.tell_end(cause.ended(is_value(reply.bytes)), on_end);
            }
            return None;
        }
        Cause::Replied => executor_wire::read(reply.bytes).map_err(|failure| TaskError::from_failure(failure, info())),
        cause => Err(cause.clone().into_error(info())),
    };
    let ended = cause.ended(outcome.is_ok());
    Some((outcome, ended))
}
