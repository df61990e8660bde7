//! A function and its argument as the work of a task, here or in another process.

use crate::cell::CellRef;
use crate::cell::header::Header;
use crate::cell::owner::Ended;
use crate::cell::remote_work::{Cause, RemoteWork, Reply, read};
use crate::cell::work::Work;
use crate::error::CodecPhase;
use executor_wire::{Output, Packed, Portable};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// A function and its argument.
pub(super) struct Call<A, R> {
    pub(super) f: fn(A) -> R,
    pub(super) args: A,
}

impl<A: Portable, R: Portable> Work<R> for Call<A, R> {
    const REMOTE: Option<&'static RemoteWork> = Some(CallWork::<A, R>::REMOTE);

    fn call(self) -> R {
        (self.f)(self.args)
    }
}

/// The statics of calls of one type.
struct CallWork<A, R>(PhantomData<fn(A) -> R>);

impl<A: Portable, R: Portable> CallWork<A, R> {
    const REMOTE: &'static RemoteWork =
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
unsafe fn finish<R: Portable>(
    cell: CellRef,
    reply: Reply<'_>,
    cause: Cause,
    on_end: &dyn Fn(Ended),
) -> Option<(CellRef, usize)> {
    if matches!(cause, Cause::Retry) {
        return Some((cell, 0));
    }
    let (outcome, ended) = read::<R>(&cell, reply, cause, || cell.header().info(), on_end)?;
    // SAFETY: the types are the cell's, by contract.
    unsafe { cell.end_remote(outcome, ended, on_end) };
    None
}
