//! [`Single`]: an input of `map` that travels alone. In a worker process it is a call like any other.

use crate::cell::CellRef;
use crate::cell::header::Header;
use crate::cell::owner::Ended;
use crate::cell::remote_work::{Cause, RemoteWork, Reply, read};
use crate::cell::work::Work;
use crate::error::CodecPhase;
use crate::map::buffers::Done;
use crate::map::chunk::Chunk;
use executor_wire::{Output, Packed, Portable};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// A chunk of one input, for a `map` that has no others: it crosses to another process as a call does.
pub(crate) struct Single<A, R>(pub(crate) Chunk<A, R>);

/// The statics of single inputs of one type.
pub(crate) struct SingleWork<A, R>(PhantomData<fn(A) -> R>);

impl<A: Portable, R: Portable> SingleWork<A, R> {
    pub(crate) const REMOTE: &'static RemoteWork =
        &RemoteWork { pack: pack::<A, R>, has_items: false, split: None, finish: finish::<A, R> };
}

impl<A: Portable, R: Portable> Work<Done<A, R>> for Single<A, R> {
    const REMOTE: Option<&'static RemoteWork> = Some(SingleWork::<A, R>::REMOTE);

    fn call(self) -> Done<A, R> {
        self.0.run()
    }
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
unsafe fn finish<A: Portable, R: Portable>(
    cell: CellRef,
    reply: Reply<'_>,
    cause: Cause,
    on_end: &dyn Fn(Ended),
) -> Option<(CellRef, usize)> {
    if matches!(cause, Cause::Retry) {
        return Some((cell, 0));
    }
    // SAFETY: by contract.
    let Single(chunk) = unsafe { CellRef::work::<Done<A, R>, Single<A, R>>(cell.pointer()) }?;
    let info = cell.header().info().for_input(chunk.first);
    let (outcome, ended) = read(&cell, reply, cause, || info.clone(), on_end)?;
    match outcome {
        Ok(value) => chunk.buffers.outcomes.push_value(value),
        Err(error) => chunk.buffers.outcomes.push_error(error),
    }
    // SAFETY: as above; all that was borrowed from the work is gone.
    let Single(chunk) = unsafe { CellRef::take_work::<Done<A, R>, Single<A, R>>(cell.pointer()) }?;
    // SAFETY: the types are the cell's.
    unsafe {
        let done = Done { buffers: chunk.buffers, elapsed: reply.elapsed, bytes: Some(reply.bytes.len()) };
        cell.end_remote(Ok(done), ended, on_end);
    }
    None
}
