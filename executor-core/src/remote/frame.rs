//! The few bytes around encoded values: what kind of reply it is, and how long an item of a chunk.

use super::job::{Phase, Progress};
use crate::codec;
use crate::current;
use crate::error::{CodecError, CodecPhase, TaskError};
use crate::info::TaskInfo;
use crate::output::Output;
use crate::panic::{CaughtPanic, Panic, PanicRecord, catch, contain_with_text};
use crate::remains::Remains;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::AtomicU32;

/// What kind of outcome follows.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Value = 0,
    Panic = 1,
    Codec = 2,
    Cancelled = 3,
}

pub(super) const VALUE: u8 = Kind::Value as u8;

impl Kind {
    fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Value),
            1 => Some(Self::Panic),
            2 => Some(Self::Codec),
            3 => Some(Self::Cancelled),
            _ => None,
        }
    }
}

/// A value of a chunk, in either direction.
pub(super) enum Item<'a> {
    Encoded(&'a [u8]),
    /// It could not be encoded: what was said about it.
    Failed(&'a [u8]),
}

/// In front of an item: twice its length, and one more if it failed.
const HEAD: usize = size_of::<u32>();

/// Begins an item at the end of `out`: its head is filled in by `end_item`.
#[inline]
pub(super) fn begin_item(out: &mut Output<'_>) -> usize {
    out.extend(&[0; HEAD]);
    out.len()
}

/// Ends the item that began at `start`, which is still in the window. False: it is too large, and was taken away.
#[inline]
pub(super) fn end_item(out: &mut Output<'_>, start: usize, failed: bool) -> bool {
    let length = out.len() - start;
    let fits = length < 1 << 31;
    if !fits {
        out.truncate(start);
    }
    let head = (out.len() - start) as u32;
    out.set(start - HEAD, (head << 1 | u32::from(failed)).to_le_bytes());
    fits
}

/// What is said of an item that is too large.
pub(super) const TOO_LARGE: &str =
    "an input or a result of map is larger than 2 GiB when encoded; submit it as a task of its own";

/// Appends an item; one that cannot be encoded keeps its place. The type's `Serialize` may panic.
#[inline]
pub(super) fn push_item<T: Serialize>(value: &T, out: &mut Output<'_>) {
    let start = begin_item(out);
    if let Err(text) = codec::encode(value, out) {
        return push_failed_item(start - HEAD, &text, out);
    }
    if !end_item(out, start, false) {
        push_failed_item(start - HEAD, TOO_LARGE, out);
    }
}

/// Puts what is said of an item that failed in its place, which begins at `start`.
pub(super) fn push_failed_item(start: usize, text: &str, out: &mut Output<'_>) {
    out.truncate(start);
    let start = begin_item(out);
    out.extend(text.as_bytes());
    end_item(out, start, true);
}

/// Takes an item off the front of `bytes`.
#[inline]
pub(super) fn next_item<'a>(bytes: &mut &'a [u8]) -> Option<Item<'a>> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let head = u32::from_le_bytes(*head);
    let (item, rest) = rest.split_at_checked((head >> 1) as usize)?;
    *bytes = rest;
    Some(if head & 1 == 0 { Item::Encoded(item) } else { Item::Failed(item) })
}

/// Decodes what another process encoded; the type's own panics become text.
pub(super) fn decode<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, String> {
    contain_with_text(|| codec::decode(bytes)).unwrap_or_else(|panic| Err(format!("its Deserialize panicked: {panic}")))
}

/// Encodes, with the type's own panics as text.
pub(super) fn encode<T: Serialize + 'static>(value: &T, out: &mut Output<'_>) -> Result<(), String> {
    let start = out.len();
    contain_with_text(|| codec::encode_whole(value, out)).unwrap_or_else(|panic| {
        out.truncate(start);
        Err(format!("its Serialize panicked: {panic}"))
    })
}

/// Runs the user's function as the task whose stop flag this is.
pub(super) fn call<R>(stop: &AtomicU32, f: impl FnOnce() -> R) -> Result<R, CaughtPanic> {
    current::with_remote_task(stop, || catch(f))
}

/// Appends an outcome to the reply of the worker of that name.
pub(super) fn push_outcome<R: Serialize + 'static>(
    outcome: Result<R, CaughtPanic>,
    worker: &str,
    out: &mut Output<'_>,
    progress: &mut dyn Progress,
) {
    match outcome {
        Ok(result) => {
            let start = out.len();
            if let Err(caught) = catch(|| push_value(&result, out)) {
                out.truncate(start);
                push_panic(Phase::Encoding, caught, worker, out);
            }
            if std::mem::needs_drop::<R>() {
                progress.begin_drop(out);
                // The result's destructor is user code, whose panic concerns nobody any more.
                crate::panic::contain(|| drop(result));
            }
        }
        Err(caught) => push_panic(Phase::Running, caught, worker, out),
    }
}

/// Appends what a task returned, or that it cannot be encoded; its `Serialize` may panic.
#[inline]
pub(super) fn push_value<R: Serialize + 'static>(result: &R, out: &mut Output<'_>) {
    let start = out.len();
    out.push(Kind::Value as u8);
    if let Err(text) = codec::encode_whole(result, out) {
        out.truncate(start);
        push_codec_error(CodecPhase::EncodeResult, &text, out);
    }
}

/// Appends a panic: of the function, or of the serde code around it.
pub(super) fn push_panic(phase: Phase, caught: CaughtPanic, worker: &str, out: &mut Output<'_>) {
    let record = caught.into_record(worker);
    match phase {
        Phase::Decoding => {
            push_codec_error(CodecPhase::DecodeArgument, &format!("its Deserialize panicked: {}", record.message), out);
        }
        Phase::Encoding | Phase::Dropping => {
            push_codec_error(CodecPhase::EncodeResult, &format!("its Serialize panicked: {}", record.message), out);
        }
        Phase::Running => push_record(Kind::Panic, &record, out),
    }
}

pub(super) fn push_codec_error(phase: CodecPhase, text: &str, out: &mut Output<'_>) {
    push_record(Kind::Codec, &(phase.number(), text), out);
}

pub(super) fn push_cancelled(out: &mut Output<'_>) {
    out.push(Kind::Cancelled as u8);
}

fn push_record<T: Serialize>(kind: Kind, record: &T, out: &mut Output<'_>) {
    out.push(kind as u8);
    // Strings and numbers always have an encoding; the parent takes what is missing for a broken reply.
    let _ = codec::encode(record, out);
}

/// What the transport said in place of a reply, if it did.
pub(super) fn read_refusal(bytes: &[u8]) -> Option<(CodecPhase, String)> {
    let (&kind, bytes) = bytes.split_first()?;
    if Kind::from_number(kind) != Some(Kind::Codec) {
        return None;
    }
    let (phase, text) = codec::decode::<(u8, String)>(bytes).ok()?;
    Some((CodecPhase::from_number(phase), text))
}

/// An outcome, as the parent reads it.
pub(super) fn read_outcome<R: DeserializeOwned + 'static>(
    bytes: &[u8],
    info: impl Fn() -> TaskInfo,
) -> Result<R, TaskError> {
    contain_with_text(|| read_outcome_bare(bytes, &info)).unwrap_or_else(|panic| {
        let text = format!("its Deserialize panicked: {panic}");
        Err(TaskError::Codec(CodecError::new(info(), CodecPhase::DecodeResult, text)))
    })
}

/// As `read_outcome`, but the type's `Deserialize` may panic.
#[inline]
pub(super) fn read_outcome_bare<R: DeserializeOwned + 'static>(
    bytes: &[u8],
    info: impl FnOnce() -> TaskInfo,
) -> Result<R, TaskError> {
    let broken = |info: TaskInfo, text: &str| {
        Err(TaskError::Codec(CodecError::new(info, CodecPhase::DecodeResult, text.to_owned())))
    };
    let Some((&kind, bytes)) = bytes.split_first() else {
        return broken(info(), "the worker's reply is empty");
    };
    match Kind::from_number(kind) {
        Some(Kind::Value) => codec::decode(bytes)
            .map_err(|text| TaskError::Codec(CodecError::new(info(), CodecPhase::DecodeResult, text))),
        Some(Kind::Panic) => match codec::decode::<PanicRecord>(bytes) {
            Ok(record) => Err(TaskError::Panicked(Panic::from_record(info(), record))),
            Err(text) => broken(info(), &text),
        },
        Some(Kind::Codec) => match codec::decode::<(u8, String)>(bytes) {
            Ok((phase, text)) => Err(TaskError::Codec(CodecError::new(info(), CodecPhase::from_number(phase), text))),
            Err(text) => broken(info(), &text),
        },
        Some(Kind::Cancelled) => Err(TaskError::Cancelled(info().stopped(Remains::Nothing))),
        None => broken(info(), "the worker's reply is of no known kind"),
    }
}
