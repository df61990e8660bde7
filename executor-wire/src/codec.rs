//! How values become bytes, and values again.
//!
//! The format is postcard's: compact, without names, the same types on both sides. Around it are the bounds that
//! postcard leaves to its callers, because types may be recursive and bytes may be anything:
//!
//! - values are nested at most 256 deep, in both directions, so that no stack overflows;
//! - elements without bytes of their own, `()` for instance, are at most 1,048,576 in one value, so that a few
//!   bytes cannot ask for endless work;
//! - room is reserved for no more than the bytes that are there can need;
//! - what a type's own serde code says of an error is kept.
//!
//! The functions of this module do not catch panics of a type's serde code.

mod bytes;
mod decode;
mod encode;
mod error;
mod limits;
mod varint;

use crate::output::Output;
use encode::Writer;
pub use encode::serializing_once;
use error::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::{Any, TypeId};

/// Appends the encoding of `value`. After an error, and after a panic of the type's serde code, `out` is as before.
///
/// # Errors
///
/// What the type's `Serialize` said, or which limit the value exceeds.
///
/// ```
/// use executor_wire::Output;
/// use executor_wire::codec::{decode, encode};
///
/// let mut bytes = Vec::new();
/// encode(&(1_u8, "two"), &mut Output::new(&mut bytes))?;
/// assert_eq!(bytes, [1, 3, b't', b'w', b'o']);
/// assert_eq!(decode::<(u8, String)>(&bytes)?, (1, "two".to_owned()));
/// # Ok::<(), String>(())
/// ```
#[inline]
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Output<'_>) -> Result<(), String> {
    Writer::new(out).write(value).map_err(Error::into_text)
}

/// Like `encode`; but the bytes of a `Vec<u8>` go to the output as they are, and a large one is not copied on its way to
/// memory that takes bytes over.
///
/// # Errors
///
/// As for [`encode`].
#[inline]
pub fn encode_whole<T: Serialize + 'static>(value: &T, out: &mut Output<'_>) -> Result<(), String> {
    match (value as &dyn Any).downcast_ref::<Vec<u8>>() {
        Some(value) => encode::whole(value, out).map_err(Error::into_text),
        None => encode(value, out),
    }
}

/// Decodes a value that fills `bytes` exactly.
///
/// # Errors
///
/// Why the bytes are not such a value: what the format or the type's `Deserialize` said, or which limit they exceed.
#[inline]
pub fn decode<T: DeserializeOwned + 'static>(mut bytes: &[u8]) -> Result<T, String> {
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
