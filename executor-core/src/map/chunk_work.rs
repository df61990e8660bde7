//! [`Chunk`] as the work of a task, here or in another process; `executor_wire::items` has the bytes.

use crate::cell::CellRef;
use crate::cell::header::Header;
use crate::cell::owner::Ended;
use crate::cell::remote_work::{Cause, RemoteWork, Reply};
use crate::cell::task::Task;
use crate::cell::work::Work;
use crate::error::{CodecError, CodecPhase, TaskError};
use crate::info::TaskInfo;
use crate::map::buffers::{Buffers, Done, Span};
use crate::map::chunk::Chunk;
use executor_wire::items::{Item, next_item};
use executor_wire::panic::contain_with_text;
use executor_wire::reply::{read_bare, read_codec_error};
use executor_wire::{Output, Packed, Portable};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

/// The statics of chunks of one type.
pub(crate) struct ChunkWork<A, R>(PhantomData<fn(A) -> R>);

impl<A: Portable, R: Portable> ChunkWork<A, R> {
    pub(crate) const REMOTE: &'static RemoteWork =
        &RemoteWork { pack: pack::<A, R>, has_items: true, split: Some(split::<A, R>), finish: finish::<A, R> };
}

impl<A: Portable, R: Portable> Work<Done<A, R>> for Chunk<A, R> {
    const REMOTE: Option<&'static RemoteWork> = Some(ChunkWork::<A, R>::REMOTE);

    fn call(self) -> Done<A, R> {
        self.run()
    }
}

/// # Safety
/// `cell` heads a live cell of a `Chunk<A, R>`, whose work is the caller's.
unsafe fn pack<A: Portable, R: Portable>(cell: NonNull<Header>, bytes: &mut Output<'_>) -> Packed {
    // SAFETY: by contract.
    let chunk = unsafe { CellRef::work::<Done<A, R>, Chunk<A, R>>(cell) };
    let Some(chunk) = chunk else { return Err((CodecPhase::EncodeArgument, "the task was packed before".to_owned())) };
    let inputs = &mut chunk.buffers.inputs;
    chunk.count = inputs.len();
    Ok(executor_wire::pack_items(chunk.f, inputs.drain(..), bytes))
}

/// # Safety
/// `cell` heads a live cell of a `Chunk<A, R>`, whose work is the caller's.
unsafe fn split<A: Portable, R: Portable>(cell: NonNull<Header>, kept: usize) -> Option<Task> {
    // SAFETY: by contract.
    let (header, chunk) = unsafe { (cell.as_ref(), CellRef::work::<Done<A, R>, Chunk<A, R>>(cell)?) };
    let end = chunk.buffers.outcomes.len() + kept;
    let count = chunk.count.checked_sub(end)?;
    chunk.count = end;
    let span = Span { first: chunk.first + end as u64, count };
    let part = Chunk { count, ..Chunk::new(chunk.f, span.first, Buffers::new(), chunk.parts.clone()) };
    let (task, future) = Task::from_work(part, header.options().cloned(), header.location());
    task.cell().header().state.mark_part();
    // SAFETY: the owner lives as long as the executor has tasks, of which the chunk is one, and the part will be.
    let is_remote = unsafe { task.set_remote_owner(header.owner.load(Ordering::Relaxed)) };
    debug_assert!(is_remote, "nobody can have cancelled it");
    task.token().set(header.token.get());
    chunk.parts.give(vec![(span, future)]);
    Some(task)
}

/// # Safety
/// The cell is one of a `Chunk<A, R>`, and its task is the caller's.
unsafe fn finish<A: Portable, R: Portable>(
    cell: CellRef,
    reply: Reply<'_>,
    cause: Cause,
    on_end: &dyn Fn(Ended),
) -> Option<(CellRef, usize)> {
    let info = cell.header().info();
    // SAFETY: by contract.
    let chunk = unsafe { CellRef::work::<Done<A, R>, Chunk<A, R>>(cell.pointer()) }?;
    if !chunk.buffers.inputs.is_empty() {
        // It was never packed: no item has begun, and all end for one reason.
        // SAFETY: the types are the cell's; the inputs are dropped with it.
        unsafe { cell.end_remote::<Done<A, R>>(Err(cause.clone().into_error(info)), cause.ended(false), on_end) };
        return None;
    }
    let before = chunk.buffers.outcomes.len();
    chunk.elapsed = chunk.elapsed.saturating_add(reply.elapsed);
    chunk.bytes += reply.bytes.len();
    chunk.take_in(reply, &info);
    let come = chunk.buffers.outcomes.len() - before;
    let stuck = come == 0 && matches!(cause, Cause::Replied);
    let cause = if stuck {
        read_codec_error(reply.bytes).map_or(cause, |(phase, text)| Cause::Codec(phase, text))
    } else {
        cause
    };
    // One item was running; or these are over, and the reply with their outcomes could not be read.
    let lost = match &cause {
        Cause::Replied if !stuck => 0,
        Cause::Retry => 0,
        Cause::Codec(..) => reply.items.saturating_sub(come).max(1),
        _ => 1,
    };
    for _ in 0..lost.min(chunk.count - chunk.buffers.outcomes.len()) {
        let item = info.for_input(chunk.first + chunk.buffers.outcomes.len() as u64);
        chunk.buffers.outcomes.push_error(cause.clone().into_error(item));
    }
    let over = chunk.buffers.outcomes.len() - before;
    if chunk.buffers.outcomes.len() < chunk.count {
        return Some((cell, over));
    }
    // SAFETY: as above; all that was borrowed from the work is gone.
    let chunk = unsafe { CellRef::take_work::<Done<A, R>, Chunk<A, R>>(cell.pointer()) }?;
    // SAFETY: the types are the cell's.
    unsafe {
        let done = Done { buffers: chunk.buffers, elapsed: chunk.elapsed, bytes: Some(chunk.bytes) };
        cell.end_remote(Ok(done), cause.ended(!stuck), on_end);
    }
    None
}

impl<A, R: Portable> Chunk<A, R> {
    /// Reads the outcomes that came back.
    fn take_in(&mut self, reply: Reply<'_>, info: &TaskInfo) {
        let Self { first, count, buffers, .. } = self;
        let outcomes = &mut buffers.outcomes;
        outcomes.reserve(reply.items.min(*count - outcomes.len()));
        let mut bytes = reply.bytes;
        let mut left = reply.items.min(*count - outcomes.len());
        // One catch serves until a result's `Deserialize` panics; the results after it get another.
        while let Err(panic) = contain_with_text(|| {
            while left > 0 {
                let Some(Item::Encoded(outcome)) = next_item(&mut bytes) else {
                    left = 0;
                    return;
                };
                left -= 1;
                let index = *first + outcomes.len() as u64;
                match read_bare(outcome) {
                    Ok(value) => outcomes.push_value(value),
                    Err(failure) => outcomes.push_error(TaskError::from_failure(failure, info.for_input(index))),
                }
            }
        }) {
            let item = info.for_input(*first + outcomes.len() as u64);
            let text = format!("its Deserialize panicked: {panic}");
            outcomes.push_error(TaskError::Codec(CodecError::new(item, CodecPhase::DecodeResult, text)));
        }
    }
}
