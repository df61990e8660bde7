//! Sequences of bytes. Serde hands over their elements one by one; a `Vec<u8>` should cost no more than a copy of memory.
//!
//! No type says that it is a `u8`, but its serde code does when it is asked to serialize itself: what calls
//! `serialize_u8` is one byte. For types that do so always, the compiler makes the question disappear, and of the loop
//! it makes a copy.

use super::varint::take_varint;
use crate::large_pages::prefer_large_pages;
use crate::output::Output;
use serde::Serialize;
use serde::ser::{Impossible, Serializer};
use std::fmt;

/// Appends the bytes of the elements, and tells how many there were. For elements that are not bytes, appends a byte
/// nonetheless, and returns them with their places.
#[inline]
pub(super) fn extend<T: Serialize>(bytes: &mut Output<'_>, items: impl Iterator<Item = T>) -> (usize, Vec<(usize, T)>) {
    let mut others = Vec::new();
    let mut place = 0;
    let count = bytes.extend_exactly(items.map(|item| {
        let byte = item.serialize(OneByte).unwrap_or_else(|NotOneByte| {
            others.push((place, item));
            0
        });
        place += 1;
        byte
    }));
    (count, others)
}

/// Returns the bytes of a sequence that fills `bytes` exactly; `None` if it does not.
pub(super) fn whole(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut value = bytes;
    let length = take_varint(&mut value, u64::BITS).ok()?;
    if value.len() as u64 != length {
        return None;
    }
    let mut copy = Vec::with_capacity(value.len());
    prefer_large_pages(copy.spare_capacity_mut());
    copy.extend_from_slice(value);
    Some(copy)
}

/// Serializes what is one byte in postcard's format.
pub(super) struct OneByte;

/// What was to be serialized is something else, or not sure to be one byte.
#[derive(Debug)]
pub(super) struct NotOneByte;

impl fmt::Display for NotOneByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not one byte")
    }
}

impl std::error::Error for NotOneByte {}

impl serde::ser::Error for NotOneByte {
    fn custom<T: fmt::Display>(_text: T) -> Self {
        Self
    }
}

type Never = Impossible<u8, NotOneByte>;

macro_rules! refuse {
    ($($method:ident($($type:ty),*) -> $ok:ty;)*) => {$(
        #[inline]
        fn $method(self, $(_: $type),*) -> Result<$ok, NotOneByte> {
            Err(NotOneByte)
        }
    )*};
}

impl Serializer for OneByte {
    type Ok = u8;
    type Error = NotOneByte;
    type SerializeSeq = Never;
    type SerializeMap = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<u8, NotOneByte> {
        Ok(value)
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Result<u8, NotOneByte> {
        Ok(value.cast_unsigned())
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<u8, NotOneByte> {
        Ok(u8::from(value))
    }

    refuse! {
        serialize_i16(i16) -> u8;
        serialize_i32(i32) -> u8;
        serialize_i64(i64) -> u8;
        serialize_i128(i128) -> u8;
        serialize_u16(u16) -> u8;
        serialize_u32(u32) -> u8;
        serialize_u64(u64) -> u8;
        serialize_u128(u128) -> u8;
        serialize_f32(f32) -> u8;
        serialize_f64(f64) -> u8;
        serialize_char(char) -> u8;
        serialize_str(&str) -> u8;
        serialize_bytes(&[u8]) -> u8;
        serialize_none() -> u8;
        serialize_unit() -> u8;
        serialize_unit_struct(&'static str) -> u8;
        serialize_unit_variant(&'static str, u32, &'static str) -> u8;
        serialize_seq(Option<usize>) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_struct(&'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, _value: &T) -> Result<u8, NotOneByte> {
        Err(NotOneByte)
    }

    /// Not even of a byte: an element may hold others, as deep as it likes, and this asks without counting the levels.
    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _value: &T) -> Result<u8, NotOneByte> {
        Err(NotOneByte)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _value: &T,
    ) -> Result<u8, NotOneByte> {
        Err(NotOneByte)
    }

    #[inline]
    fn collect_seq<I>(self, _items: I) -> Result<u8, NotOneByte>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        Err(NotOneByte)
    }

    #[inline]
    fn collect_str<T: fmt::Display + ?Sized>(self, _value: &T) -> Result<u8, NotOneByte> {
        Err(NotOneByte)
    }
}
