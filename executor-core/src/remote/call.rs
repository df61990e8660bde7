//! A single call of `submit`, in the parent.

use super::{Cause, RemoteWork, Reply};
use crate::cell::{CellRef, Outcome};
use crate::error::{CodecPhase, TaskError};
use crate::executor::Call;
use crate::header::Header;
use crate::info::TaskInfo;
use executor_wire::{Output, Packed, Portable};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// The statics of calls of one type.
pub(crate) struct CallWork<A, R>(PhantomData<fn(A) -> R>);

impl<A: Portable, R: Portable> CallWork<A, R> {
    pub(crate) const REMOTE: &'static RemoteWork =
        &RemoteWork { pack: pack::<A, R>, has_items: false, split: None, finish: finish::<R> };
}

/// # Safety
/// `cell` heads a live cell of a `Call<A, R>`, whose work is the caller's.
unsafe fn pack<A: Portable, R: Portable>(cell: NonNull<Header>, bytes: &mut Output<'_>) -> Packed {
    // SAFETY: by contract.
    let work = unsafe { CellRef::take_work::<R, Call<A, R>>(cell) };
    let Call { f, args } = work.ok_or_else(|| (CodecPhase::EncodeArgument, "the task was packed before".to_owned()))?;
    executor_wire::pack(f, args, bytes)
}

/// # Safety
/// The cell is one whose result is an `R`, and its task is the caller's.
unsafe fn finish<R: Portable>(cell: CellRef, reply: Reply<'_>, cause: Cause) -> Option<(CellRef, usize)> {
    if matches!(cause, Cause::Retry) {
        return Some((cell, 0));
    }
    let outcome = read::<R>(&cell, reply, cause, || cell.header().info())?;
    // SAFETY: the types are the cell's, by contract.
    unsafe { cell.end_remote(outcome) };
    None
}

/// Reads the outcome of a call. `None`: nobody is left to be told, and nothing was decoded for nobody.
pub(super) fn read<R: Portable>(
    cell: &CellRef,
    reply: Reply<'_>,
    cause: Cause,
    info: impl Fn() -> TaskInfo,
) -> Option<Outcome<R>> {
    match cause {
        Cause::Replied if !reply.attached && cell.is_unwanted() => {
            cell.header().reclaim();
            None
        }
        Cause::Replied => {
            Some(executor_wire::read(reply.bytes).map_err(|failure| TaskError::from_failure(failure, info())))
        }
        cause => Some(Err(cause.into_error(info()))),
    }
}
