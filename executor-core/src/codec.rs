//! How the values of a task that runs in another process become bytes, and values again.
//!
//! The format is postcard's: compact, without names, the same types on both sides. Around it are the bounds that
//! postcard leaves to its callers, because types may be recursive and bytes may be anything:
//!
//! - values are nested at most [`LEVELS`] deep, in both directions, so that no stack overflows;
//! - elements without bytes of their own, `()` for instance, are at most [`FREE_ELEMENTS`] in one value, so that a few
//!   bytes cannot ask for endless work;
//! - room is reserved for no more than the bytes that are there can need;
//! - what a type's own serde code says of an error is kept.

mod bytes;
mod decode;
mod encode;
mod error;
mod varint;

use crate::output::Output;
use encode::Writer;
pub(crate) use encode::each_once;
use error::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::{Any, TypeId};

/// How deep containers may be nested in each other.
const LEVELS: u32 = 256;

/// How many elements of sequences and maps may be without bytes of their own in one value.
const FREE_ELEMENTS: usize = 1 << 20;

/// Appends the encoding of `value`. After an error, and after a panic of the type's serde code, `out` is as before.
#[inline]
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Output<'_>) -> Result<(), String> {
    Writer::new(out).write(value).map_err(Error::into_text)
}

/// As `encode`; but the bytes of a `Vec<u8>` go to the output as they are, and a large one is not copied on its way to
/// memory that takes bytes over.
#[inline]
pub(crate) fn encode_whole<T: Serialize + 'static>(value: &T, out: &mut Output<'_>) -> Result<(), String> {
    match (value as &dyn Any).downcast_ref::<Vec<u8>>() {
        Some(value) => encode::whole(value, out).map_err(Error::into_text),
        None => encode(value, out),
    }
}

/// Decodes a value that fills `bytes` exactly.
#[inline]
pub(crate) fn decode<T: DeserializeOwned + 'static>(mut bytes: &[u8]) -> Result<T, String> {
    // Byte for byte, as serde has it, a large `Vec<u8>` would take several times as long as its copy.
    if TypeId::of::<T>() == TypeId::of::<Vec<u8>>()
        && let Some(value) = bytes::whole(bytes)
        && let Ok(value) = (Box::new(value) as Box<dyn Any>).downcast::<T>()
    {
        return Ok(*value);
    }
    let value = decode::read(&mut bytes).map_err(Error::into_text)?;
    if bytes.is_empty() { Ok(value) } else { Err(format!("{} bytes are left behind the value", bytes.len())) }
}

#[cfg(test)]
mod tests;
