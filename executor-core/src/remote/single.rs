//! An input of `map` that travels alone, in the parent; in the worker it is a call like any other.

use super::{Cause, RemoteWork, Reply, call};
use crate::cell::CellRef;
use crate::chunk::{Done, Single};
use crate::error::CodecPhase;
use crate::header::Header;
use executor_wire::{Output, Packed, Portable};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// The statics of single inputs of one type.
pub(crate) struct SingleWork<A, R>(PhantomData<fn(A) -> R>);

impl<A: Portable, R: Portable> SingleWork<A, R> {
    pub(crate) const REMOTE: &'static RemoteWork =
        &RemoteWork { pack: pack::<A, R>, has_items: false, split: None, finish: finish::<A, R> };
}

/// # Safety
/// `cell` heads a live cell of a `Single<A, R>`, whose work is the caller's.
unsafe fn pack<A: Portable, R: Portable>(cell: NonNull<Header>, bytes: &mut Output<'_>) -> Packed {
    // SAFETY: by contract.
    let single = unsafe { CellRef::work::<Done<A, R>, Single<A, R>>(cell) };
    let input = single.and_then(|Single(chunk)| Some((chunk.f, chunk.buffers.inputs.pop()?)));
    let (f, input) = input.ok_or_else(|| (CodecPhase::EncodeArgument, "the task was packed before".to_owned()))?;
    executor_wire::pack(f, input, bytes)
}

/// # Safety
/// The cell is one of a `Single<A, R>`, and its task is the caller's.
unsafe fn finish<A: Portable, R: Portable>(cell: CellRef, reply: Reply<'_>, cause: Cause) -> Option<(CellRef, usize)> {
    if matches!(cause, Cause::Retry) {
        return Some((cell, 0));
    }
    // SAFETY: by contract.
    let Single(chunk) = unsafe { CellRef::work::<Done<A, R>, Single<A, R>>(cell.pointer()) }?;
    let info = cell.header().info().for_input(chunk.first);
    match call::read(&cell, reply, cause, || info.clone())? {
        Ok(value) => chunk.buffers.outcomes.push_value(value),
        Err(error) => chunk.buffers.outcomes.push_error(error),
    }
    // SAFETY: as above; all that was borrowed from the work is gone.
    let Single(chunk) = unsafe { CellRef::take_work::<Done<A, R>, Single<A, R>>(cell.pointer()) }?;
    // SAFETY: the types are the cell's.
    unsafe {
        cell.end_remote(Ok(Done { buffers: chunk.buffers, elapsed: reply.elapsed, bytes: Some(reply.bytes.len()) }))
    };
    None
}
