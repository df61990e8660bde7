//! Calls, of one input or of several: how the caller packs them, and how the worker runs them.
//!
//! Of a call with several inputs, a chunk, the outcomes come back one by one, each visible to the caller before the next item
//! begins. Whatever becomes of the worker, what is over is over, and only the item that was running is lost.

use crate::codec;
use crate::codec_phase::CodecPhase;
use crate::items::{self, Item, TOO_LARGE, begin_item, end_item, next_item};
use crate::job::{Job, Phase, Progress};
use crate::output::Output;
use crate::panic::{CaughtPanic, catch, contain, contain_with_text};
use crate::portable::Portable;
use crate::reply;
use crate::stop;
use crate::trampoline::{Function, Trampoline};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};

/// The function of a packed input, or where packing failed and what was said.
pub type Packed = Result<Function, (CodecPhase, String)>;

/// The trampolines of functions of one type.
struct Types<A, R>(PhantomData<fn(A) -> R>);

impl<A: Portable, R: Portable> Types<A, R> {
    const CALL: &'static Trampoline = &Trampoline::new(|| (type_name::<A>(), type_name::<R>()), run_call::<A, R>);
    /// Has other names than a single call of the same types.
    const CHUNK: &'static Trampoline =
        &Trampoline::new(|| (type_name::<Vec<A>>(), type_name::<Vec<R>>()), run_chunk::<A, R>);
}

/// Returns what runs a function of these types on one input.
#[must_use]
pub fn call_trampoline<A: Portable, R: Portable>() -> &'static Trampoline {
    Types::<A, R>::CALL
}

/// Returns what runs a function of these types on the items of a chunk.
#[must_use]
pub fn chunk_trampoline<A: Portable, R: Portable>() -> &'static Trampoline {
    Types::<A, R>::CHUNK
}

/// Packs a call: appends the encoding of `args`, and drops them. Their panics are caught.
///
/// # Errors
///
/// What the argument's `Serialize` said.
pub fn pack<A: Portable, R: Portable>(f: fn(A) -> R, args: A, bytes: &mut Output<'_>) -> Packed {
    let encoded = encode(&args, bytes);
    contain(|| drop(args));
    encoded.map_err(|text| (CodecPhase::EncodeArgument, text))?;
    Ok(Function { trampoline: call_trampoline::<A, R>(), code: f as *const () })
}

/// Packs a call of several inputs, and drops them. One that cannot be encoded keeps its place, as an item that failed.
///
/// ```
/// use executor_wire::items::{Item, count_items, skip_items};
/// use executor_wire::{Output, pack_items};
///
/// let mut input = Vec::new();
/// pack_items(u64::isqrt, vec![4, 9, 16].drain(..), &mut Output::new(&mut input));
/// assert_eq!(count_items(&input), 3);
/// ```
pub fn pack_items<A: Portable, R: Portable>(
    f: fn(A) -> R,
    mut inputs: impl ExactSizeIterator<Item = A>,
    bytes: &mut Output<'_>,
) -> Function {
    // Each item may still be taken back.
    let held = bytes.hold();
    bytes.extend(&(inputs.len() as u64).to_le_bytes());
    // One catch serves until an input's serde code or destructor panics; the inputs after it get another.
    let start = Cell::new(bytes.len());
    while let Err(panic) = contain_with_text(|| {
        for input in inputs.by_ref() {
            start.set(bytes.len());
            items::push_item(&input, bytes);
            // From here on the item stands, whatever its destructor does.
            start.set(bytes.len());
        }
    }) {
        if bytes.len() > start.get() {
            items::push_failed_item(start.get(), &format!("its Serialize panicked: {panic}"), bytes);
        }
    }
    drop(inputs);
    bytes.set_held(held);
    Function { trampoline: chunk_trampoline::<A, R>(), code: f as *const () }
}

/// Encodes, with the type's own panics as text.
pub(crate) fn encode<T: Serialize + 'static>(value: &T, out: &mut Output<'_>) -> Result<(), String> {
    let start = out.len();
    contain_with_text(|| codec::encode_whole(value, out)).unwrap_or_else(|panic| {
        out.truncate(start);
        Err(format!("its Serialize panicked: {panic}"))
    })
}

/// Decodes what another process encoded; the type's own panics become text.
pub(crate) fn decode<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, String> {
    contain_with_text(|| codec::decode(bytes)).unwrap_or_else(|panic| Err(format!("its Deserialize panicked: {panic}")))
}

/// Runs the user's function as the call whose stop flag this is.
pub(crate) fn call<R>(flag: &AtomicU32, f: impl FnOnce() -> R) -> Result<R, CaughtPanic> {
    stop::with_flag(flag, || catch(f))
}

/// # Safety
/// `code` is the address of a `fn(A) -> R`.
unsafe fn run_call<A: Portable, R: Portable>(code: *const (), job: &mut Job<'_>) {
    // SAFETY: by contract.
    let f = unsafe { std::mem::transmute::<*const (), fn(A) -> R>(code) };
    job.progress.enter(Phase::Decoding);
    let args = match decode::<A>(job.input) {
        Ok(args) => args,
        Err(text) => return reply::push_codec_error(CodecPhase::DecodeArgument, &text, &mut job.output),
    };
    job.progress.enter(Phase::Running);
    let outcome = call(job.stop, || f(args));
    job.progress.returned();
    job.progress.enter(Phase::Encoding);
    reply::push_outcome(outcome, job.worker, &mut job.output, job.progress);
}

/// # Safety
/// `code` is the address of a `fn(A) -> R`.
unsafe fn run_chunk<A: Portable, R: Portable>(code: *const (), job: &mut Job<'_>) {
    // SAFETY: by contract.
    let f = unsafe { std::mem::transmute::<*const (), fn(A) -> R>(code) };
    let Some((count, mut items)) = job.input.split_first_chunk::<{ items::COUNT }>() else { return };
    let Job { output, stop, timed, worker, progress, .. } = job;
    progress.enter(Phase::Running);
    progress.begin_items();
    output.restart();
    let mut left = u64::from_le_bytes(*count);
    let start = Cell::new(output.len());
    let phase = Cell::new(Phase::Decoding);
    // One catch serves until an item panics; the items after it get another.
    while left > 0 {
        phase.set(Phase::Decoding);
        let caught = call(stop, || {
            while left > 0 {
                let Some(item) = next_item(&mut items) else {
                    left = 0;
                    return;
                };
                left -= 1;
                if *timed {
                    progress.begin_item();
                }
                start.set(begin_item(output));
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
            reply::push_panic(phase.get(), caught, worker, output);
            if !end_outcome(output, start.get(), *progress) {
                return;
            }
        }
    }
}

/// Publishes the outcome that began at `start`. Returns false if no more items are to run.
#[inline]
fn end_outcome(output: &mut Output<'_>, start: usize, progress: &mut dyn Progress) -> bool {
    if !end_item(output, start, false) {
        reply::push_codec_error(CodecPhase::EncodeResult, TOO_LARGE, output);
        end_item(output, start, false);
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
    // ORDERING: Acquire, with the Release of the process that sets `Job::stop`: the item sees what the stopper did before.
    if stop.load(Ordering::Acquire) != 0 {
        reply::push_cancelled(out);
        return None;
    }
    let bytes = match item {
        Item::Encoded(bytes) => bytes,
        Item::Failed(text) => {
            let text = String::from_utf8_lossy(text);
            reply::push_codec_error(CodecPhase::EncodeArgument, &text, out);
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
            reply::push_value(&result, out);
            Some(result)
        }
        Err(text) => {
            reply::push_codec_error(CodecPhase::DecodeArgument, &text, out);
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
        contain(|| drop(result));
        progress.end_drop();
    }
}
