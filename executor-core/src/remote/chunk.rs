//! A chunk of `map`, on both sides.
//!
//! Input: the number of items (u64, little-endian), then each item with its length in front. Outcomes come back one by one,
//! framed the same way, each visible to the parent before the next item begins: whatever becomes of the worker, what is over
//! is over, and only the item that was running is lost.

use super::frame::{self, Item};
use super::{Cause, Function, Job, Packed, Phase, Progress, RemoteWork, Reply, Trampoline};
use crate::cell::CellRef;
use crate::chunk::{Buffers, Chunk, Done};
use crate::codec;
use crate::error::{CodecError, CodecPhase, TaskError};
use crate::executor::Portable;
use crate::header::Header;
use crate::output::Output;
use crate::panic::contain_with_text;
use crate::task::Task;
use crate::window::Span;
use std::any::type_name;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

const COUNT: usize = size_of::<u64>();

/// The statics of chunks of one type.
pub(crate) struct ChunkWork<A, R>(PhantomData<fn(A) -> R>);

impl<A: Portable, R: Portable> ChunkWork<A, R> {
    pub(crate) const REMOTE: &'static RemoteWork =
        &RemoteWork { pack: pack::<A, R>, has_items: true, split: Some(split::<A, R>), finish: finish::<A, R> };
    pub(crate) const TRAMPOLINE: &'static Trampoline = &Trampoline::new(types::<A, R>, run::<A, R>);
}

fn types<A, R>() -> (&'static str, &'static str) {
    // Other names than those of a single call with the same types.
    (type_name::<Vec<A>>(), type_name::<Vec<R>>())
}

/// # Safety
/// `cell` heads a live cell of a `Chunk<A, R>`, whose work is the caller's.
unsafe fn pack<A: Portable, R: Portable>(cell: NonNull<Header>, bytes: &mut Output<'_>) -> Packed {
    // SAFETY: by contract.
    let chunk = unsafe { CellRef::work::<Done<A, R>, Chunk<A, R>>(cell) };
    let Some(chunk) = chunk else { return Err((CodecPhase::EncodeArgument, "the task was packed before".to_owned())) };
    let inputs = &mut chunk.buffers.inputs;
    chunk.count = inputs.len();
    // Each item may still be taken back.
    let held = bytes.hold();
    bytes.extend(&(inputs.len() as u64).to_le_bytes());
    let mut inputs = inputs.drain(..);
    // One catch serves until an input's serde code or destructor panics; the inputs after it get another.
    let start = Cell::new(bytes.len());
    while let Err(panic) = contain_with_text(|| {
        for input in inputs.by_ref() {
            start.set(bytes.len());
            frame::push_item(&input, bytes);
            // From here on the item stands, whatever its destructor does.
            start.set(bytes.len());
        }
    }) {
        if bytes.len() > start.get() {
            frame::push_failed_item(start.get(), &format!("its Serialize panicked: {panic}"), bytes);
        }
    }
    drop(inputs);
    bytes.set_held(held);
    Ok(Function { trampoline: ChunkWork::<A, R>::TRAMPOLINE, code: chunk.f as *const () })
}

/// Takes the first items off packed input.
pub(super) fn skip(input: &mut Vec<u8>, items: usize) -> Option<()> {
    let (count, mut rest) = input.split_first_chunk::<COUNT>()?;
    let left = u64::from_le_bytes(*count).checked_sub(items as u64)?;
    for _ in 0..items {
        frame::next_item(&mut rest)?;
    }
    let start = input.len() - rest.len() - COUNT;
    input[start..start + COUNT].copy_from_slice(&left.to_le_bytes());
    input.drain(..start);
    Some(())
}

/// How many items a packed input has, as it says.
pub(super) fn count(input: &[u8]) -> usize {
    let count = input.first_chunk().map_or(0, |count| u64::from_le_bytes(*count));
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Cuts packed input into pieces of `size` items, of which it keeps the first. Gives the others, and how many items come before
/// each of them.
pub(super) fn cut(input: &mut Vec<u8>, size: usize) -> Vec<(usize, Vec<u8>)> {
    let total = count(input);
    let mut rest = input.get(COUNT..).unwrap_or_default();
    let mut pieces = Vec::new();
    let (mut before, mut end) = (0, input.len());
    while before < total {
        let (items, start) = (size.min(total - before), rest);
        if (0..items).any(|_| frame::next_item(&mut rest).is_none()) {
            break;
        }
        let bytes = &start[..start.len() - rest.len()];
        if before == 0 {
            end = COUNT + bytes.len();
        } else {
            pieces.push((before, [&(items as u64).to_le_bytes(), bytes].concat()));
        }
        before += items;
    }
    input.truncate(end);
    if let Some(count) = input.first_chunk_mut() {
        *count = (size.min(total) as u64).to_le_bytes();
    }
    pieces
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
    // SAFETY: the owner lives as long as the executor has tasks, of which the chunk is one, and the part will be.
    let is_remote = unsafe { task.set_remote_owner(header.owner.load(Ordering::Relaxed)) };
    debug_assert!(is_remote, "nobody can have cancelled it");
    task.token().set(header.token.get());
    chunk.parts.give(vec![(span, future)]);
    Some(task)
}

/// # Safety
/// The cell is one of a `Chunk<A, R>`, and its task is the caller's.
unsafe fn finish<A: Portable, R: Portable>(cell: CellRef, reply: Reply<'_>, cause: Cause) -> Option<(CellRef, usize)> {
    let info = cell.header().info();
    // SAFETY: by contract.
    let chunk = unsafe { CellRef::work::<Done<A, R>, Chunk<A, R>>(cell.pointer()) }?;
    if !chunk.buffers.inputs.is_empty() {
        // It was never packed: no item has begun, and all end for one reason.
        // SAFETY: the types are the cell's; the inputs are dropped with it.
        unsafe { cell.end_remote::<Done<A, R>>(Err(cause.into_error(info))) };
        return None;
    }
    let before = chunk.buffers.outcomes.len();
    chunk.elapsed = chunk.elapsed.saturating_add(reply.elapsed);
    chunk.bytes += reply.bytes.len();
    chunk.take_in(reply, &info);
    let come = chunk.buffers.outcomes.len() - before;
    let stuck = come == 0 && matches!(cause, Cause::Replied);
    let cause = if stuck {
        frame::read_refusal(reply.bytes).map_or(cause, |(phase, text)| Cause::Codec(phase, text))
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
    unsafe { cell.end_remote(Ok(Done { buffers: chunk.buffers, elapsed: chunk.elapsed, bytes: Some(chunk.bytes) })) };
    None
}

impl<A, R: Portable> Chunk<A, R> {
    /// Reads the outcomes that came back.
    fn take_in(&mut self, reply: Reply<'_>, info: &crate::info::TaskInfo) {
        let Self { first, count, buffers, .. } = self;
        let outcomes = &mut buffers.outcomes;
        outcomes.reserve(reply.items.min(*count - outcomes.len()));
        let mut bytes = reply.bytes;
        let mut left = reply.items.min(*count - outcomes.len());
        // One catch serves until a result's `Deserialize` panics; the results after it get another.
        while let Err(panic) = contain_with_text(|| {
            while left > 0 {
                let Some(Item::Encoded(outcome)) = frame::next_item(&mut bytes) else {
                    left = 0;
                    return;
                };
                left -= 1;
                let index = *first + outcomes.len() as u64;
                match frame::read_outcome_bare(outcome, || info.for_input(index)) {
                    Ok(value) => outcomes.push_value(value),
                    Err(error) => outcomes.push_error(error),
                }
            }
        }) {
            let item = info.for_input(*first + outcomes.len() as u64);
            let text = format!("its Deserialize panicked: {panic}");
            outcomes.push_error(TaskError::Codec(CodecError::new(item, CodecPhase::DecodeResult, text)));
        }
    }
}

/// # Safety
/// `code` is the address of a `fn(A) -> R`.
unsafe fn run<A: Portable, R: Portable>(code: *const (), job: &mut Job<'_>) {
    // SAFETY: by contract.
    let f = unsafe { std::mem::transmute::<*const (), fn(A) -> R>(code) };
    let Some((count, mut items)) = job.input.split_first_chunk::<COUNT>() else { return };
    let Job { output, stop, timed, worker, progress, .. } = job;
    progress.enter(Phase::Running);
    progress.begin_items();
    output.restart();
    let mut left = u64::from_le_bytes(*count);
    let start = Cell::new(output.len());
    // One catch serves until an item panics; the items after it get another.
    while left > 0 {
        let phase = Cell::new(Phase::Decoding);
        let caught = frame::call(stop, || {
            while left > 0 {
                let Some(item) = frame::next_item(&mut items) else {
                    left = 0;
                    return;
                };
                left -= 1;
                if *timed {
                    progress.begin_item();
                }
                start.set(frame::begin_item(output));
                let result = run_item(f, item, stop, output, *progress, &phase);
                if !end_outcome(output, start.get(), *progress) {
                    left = 0;
                }
                drop_result(result, output, *progress);
            }
        });
        if let Err(caught) = caught {
            progress.returned();
            output.truncate(start.get());
            frame::push_panic(phase.get(), caught, worker, output);
            if !end_outcome(output, start.get(), *progress) {
                return;
            }
        }
    }
}

/// Publishes the outcome that began at `start`; false: no more.
#[inline]
fn end_outcome(output: &mut Output<'_>, start: usize, progress: &mut dyn Progress) -> bool {
    if !frame::end_item(output, start, false) {
        frame::push_codec_error(CodecPhase::EncodeResult, frame::TOO_LARGE, output);
        frame::end_item(output, start, false);
    }
    progress.end_item(output)
}

/// Appends the outcome of one item, and returns the result to be dropped; or panics with whatever user code panics.
#[inline]
fn run_item<A: Portable, R: Portable>(
    f: fn(A) -> R,
    item: Item<'_>,
    stop: &AtomicU32,
    out: &mut Output<'_>,
    progress: &mut dyn Progress,
    phase: &Cell<Phase>,
) -> Option<R> {
    // ORDERING: Acquire, with the Release of whoever asks: what it did before is seen by the task.
    if stop.load(Ordering::Acquire) != 0 {
        frame::push_cancelled(out);
        return None;
    }
    let bytes = match item {
        Item::Encoded(bytes) => bytes,
        Item::Failed(text) => {
            let text = String::from_utf8_lossy(text);
            frame::push_codec_error(CodecPhase::EncodeArgument, &text, out);
            return None;
        }
    };
    phase.set(Phase::Decoding);
    match codec::decode::<A>(bytes) {
        Ok(args) => {
            phase.set(Phase::Running);
            let result = f(args);
            progress.returned();
            phase.set(Phase::Encoding);
            frame::push_value(&result, out);
            Some(result)
        }
        Err(text) => {
            frame::push_codec_error(CodecPhase::DecodeArgument, &text, out);
            None
        }
    }
}

/// Drops the result of an item whose outcome is published: a destructor that ends the worker costs no item.
#[inline]
fn drop_result<R>(result: Option<R>, output: &mut Output<'_>, progress: &mut dyn Progress) {
    if std::mem::needs_drop::<R>() {
        progress.begin_drop(output);
        // The result's destructor is user code, whose panic concerns nobody any more.
        crate::panic::contain(|| drop(result));
        progress.end_drop();
    }
}
