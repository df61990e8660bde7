//! What a worker answers to a call: a value, a panic, or why there is no value. The first byte says which.

use crate::codec;
use crate::codec_phase::CodecPhase;
use crate::job::{Phase, Progress};
use crate::output::Output;
use crate::panic::{CaughtPanic, PanicRecord, catch, contain, contain_with_text};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What kind of outcome follows.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Value = 0,
    Panic = 1,
    Codec = 2,
    Cancelled = 3,
}

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

/// Why a reply has no value.
#[derive(Debug)]
pub enum Failure {
    /// The function panicked. Boxed, so that an outcome of a small value is small.
    Panicked(Box<PanicRecord>),
    /// A value could not be encoded or decoded, for the reason given.
    Codec(CodecPhase, String),
    /// The call was stopped before this item of it began.
    Cancelled,
}

/// Returns whether a reply says that the function returned and its result was encoded.
#[must_use]
pub fn is_value(reply: &[u8]) -> bool {
    reply.first() == Some(&(Kind::Value as u8))
}

/// Appends an outcome to the reply of the worker of that name.
pub(crate) fn push_outcome<R: Serialize + 'static>(
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
            if !std::mem::needs_drop::<R>() {
                return;
            }
            if progress.sends_later() {
                return progress.drop_later(Box::new(result));
            }
            progress.begin_drop(out);
            // The result's destructor is user code, whose panic concerns nobody any more.
            contain(|| drop(result));
        }
        Err(caught) => push_panic(Phase::Running, caught, worker, out),
    }
}

/// Appends what a task returned, or that it cannot be encoded; its `Serialize` may panic.
#[inline]
pub(crate) fn push_value<R: Serialize + 'static>(result: &R, out: &mut Output<'_>) {
    let start = out.len();
    out.push(Kind::Value as u8);
    if let Err(text) = codec::encode_whole(result, out) {
        out.truncate(start);
        push_codec_error(CodecPhase::EncodeResult, &text, out);
    }
}

/// Appends a panic: of the function, or of the serde code around it.
pub(crate) fn push_panic(phase: Phase, caught: CaughtPanic, worker: &str, out: &mut Output<'_>) {
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

/// Appends the reply of a call whose input or result the transport could not carry. For the worker's side.
pub fn push_codec_error(phase: CodecPhase, text: &str, out: &mut Output<'_>) {
    push_record(Kind::Codec, &(phase.number(), text), out);
}

/// Appends the outcome of an item that was not begun, since its call was stopped.
pub(crate) fn push_cancelled(out: &mut Output<'_>) {
    out.push(Kind::Cancelled as u8);
}

fn push_record<T: Serialize>(kind: Kind, record: &T, out: &mut Output<'_>) {
    out.push(kind as u8);
    // Strings and numbers always have an encoding; the caller takes what is missing for a broken reply.
    let _ = codec::encode(record, out);
}

/// Returns what the transport said in place of a reply, if it did.
#[must_use]
pub fn read_codec_error(bytes: &[u8]) -> Option<(CodecPhase, String)> {
    let (&kind, bytes) = bytes.split_first()?;
    if Kind::from_number(kind) != Some(Kind::Codec) {
        return None;
    }
    let (phase, text) = codec::decode::<(u8, String)>(bytes).ok()?;
    Some((CodecPhase::from_number(phase), text))
}

/// Reads the reply of a call. A panic of the type's `Deserialize` becomes part of the failure.
///
/// # Errors
///
/// Why there is no value; also if the bytes are no reply.
///
/// ```
/// use executor_wire::{Failure, read};
///
/// assert!(matches!(read::<u8>(&[]), Err(Failure::Codec(_, text)) if text.contains("is empty")));
/// ```
pub fn read<R: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<R, Failure> {
    contain_with_text(|| read_bare(bytes))
        .unwrap_or_else(|panic| Err(broken(format!("its Deserialize panicked: {panic}"))))
}

/// Like [`read`], but the type's `Deserialize` may panic: for many outcomes under one catch.
///
/// # Errors
///
/// As for [`read`].
#[inline]
pub fn read_bare<R: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<R, Failure> {
    let Some((&kind, bytes)) = bytes.split_first() else {
        return Err(broken("the worker's reply is empty".to_owned()));
    };
    match Kind::from_number(kind) {
        Some(Kind::Value) => codec::decode(bytes).map_err(broken),
        other => Err(read_failure(other, bytes)),
    }
}

/// Reads what follows the first byte of a reply without a value.
#[cold]
fn read_failure(kind: Option<Kind>, bytes: &[u8]) -> Failure {
    match kind {
        Some(Kind::Panic) => match codec::decode::<PanicRecord>(bytes) {
            Ok(record) => Failure::Panicked(Box::new(record)),
            Err(text) => broken(text),
        },
        Some(Kind::Codec) => match codec::decode::<(u8, String)>(bytes) {
            Ok((phase, text)) => Failure::Codec(CodecPhase::from_number(phase), text),
            Err(text) => broken(text),
        },
        Some(Kind::Cancelled) => Failure::Cancelled,
        Some(Kind::Value) | None => broken("the worker's reply is of no known kind".to_owned()),
    }
}

#[cold]
fn broken(text: String) -> Failure {
    Failure::Codec(CodecPhase::DecodeResult, text)
}
