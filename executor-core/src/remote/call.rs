//! A single call of `submit`, on both sides.

use super::{Cause, Function, Job, Packed, Phase, RemoteWork, Reply, Trampoline, frame};
use crate::cell::{CellRef, Outcome};
use crate::error::CodecPhase;
use crate::executor::{Call, Portable};
use crate::header::Header;
use crate::info::TaskInfo;
use crate::output::Output;
use std::any::type_name;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// The statics of calls of one type.
pub(crate) struct CallWork<A, R>(PhantomData<fn(A) -> R>);

impl<A: Portable, R: Portable> CallWork<A, R> {
    pub(crate) const REMOTE: &'static RemoteWork =
        &RemoteWork { pack: pack::<A, R>, has_items: false, split: None, finish: finish::<R> };
    pub(crate) const TRAMPOLINE: &'static Trampoline = &Trampoline::new(types::<A, R>, run::<A, R>);
}

fn types<A, R>() -> (&'static str, &'static str) {
    (type_name::<A>(), type_name::<R>())
}

/// # Safety
/// `cell` heads a live cell of a `Call<A, R>`, whose work is the caller's.
unsafe fn pack<A: Portable, R: Portable>(cell: NonNull<Header>, bytes: &mut Output<'_>) -> Packed {
    // SAFETY: by contract.
    let work = unsafe { CellRef::take_work::<R, Call<A, R>>(cell) };
    let Call { f, args } = work.ok_or_else(|| (CodecPhase::EncodeArgument, "the task was packed before".to_owned()))?;
    pack_args(f, args, bytes)
}

/// Packs a call.
pub(super) fn pack_args<A: Portable, R: Portable>(f: fn(A) -> R, args: A, bytes: &mut Output<'_>) -> Packed {
    let encoded = frame::encode(&args, bytes);
    crate::panic::contain(|| drop(args));
    encoded.map_err(|text| (CodecPhase::EncodeArgument, text))?;
    Ok(Function { trampoline: CallWork::<A, R>::TRAMPOLINE, code: f as *const () })
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

/// The outcome of a call. `None`: nobody is left to be told, and nothing was decoded for nobody.
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
        Cause::Replied => Some(frame::read_outcome(reply.bytes, info)),
        cause => Some(Err(cause.into_error(info()))),
    }
}

/// # Safety
/// `code` is the address of a `fn(A) -> R`.
unsafe fn run<A: Portable, R: Portable>(code: *const (), job: &mut Job<'_>) {
    // SAFETY: by contract.
    let f = unsafe { std::mem::transmute::<*const (), fn(A) -> R>(code) };
    job.progress.enter(Phase::Decoding);
    let args = match frame::decode::<A>(job.input) {
        Ok(args) => args,
        Err(text) => return frame::push_codec_error(CodecPhase::DecodeArgument, &text, &mut job.output),
    };
    job.progress.enter(Phase::Running);
    let outcome = frame::call(job.stop, || f(args));
    job.progress.returned();
    job.progress.enter(Phase::Encoding);
    frame::push_outcome(outcome, job.worker, &mut job.output, job.progress);
}
