//! From a value to bytes.

use super::bytes::{self, OneByte};
use super::error::Error;
use super::limits::{FREE_ELEMENTS, LEVELS};
use super::varint::{push_long, push_varint, zigzag, zigzag_128};
use crate::output::Output;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant,
};
use serde::{Serialize, Serializer};
use std::cell::Cell;
use std::fmt::{self, Write};

/// One value on its way out; takes back what it wrote unless it came to the end.
pub(super) struct Writer<'o, 'm> {
    out: &'o mut Output<'m>,
    /// Where it began to write, and what was held there.
    start: usize,
    held: usize,
    /// Elements of sequences and maps so far.
    elements: usize,
    is_complete: bool,
}

impl<'o, 'm> Writer<'o, 'm> {
    #[inline]
    pub(super) fn new(out: &'o mut Output<'m>) -> Self {
        let (start, held) = (out.len(), out.held());
        Self { out, start, held, elements: 0, is_complete: false }
    }

    #[inline]
    pub(super) fn write<T: Serialize + ?Sized>(mut self, value: &T) -> Result<(), Error> {
        value.serialize(Encoder { writer: &mut self, levels: LEVELS })?;
        // No byte is the first of two elements, as an element that holds others begins with their number. So what is
        // above the number of bytes is without any.
        let bytes = self.bytes().len() - self.start;
        if self.elements.saturating_sub(bytes) > FREE_ELEMENTS {
            return Err(Error::too_many_free_elements());
        }
        if self.bytes().has_failed() {
            return Err(Error::no_memory());
        }
        self.is_complete = true;
        Ok(())
    }

    #[inline]
    fn bytes(&mut self) -> &mut Output<'m> {
        self.out
    }
}

impl Drop for Writer<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_complete {
            let (start, held) = (self.start, self.held);
            let bytes = self.bytes();
            bytes.truncate(start);
            bytes.set_held(held);
        }
    }
}

/// Writes one value into the writer, whose containers may be nested so many levels more.
///
/// Small and by value: nothing is to be undone when a level ends.
pub(super) struct Encoder<'a, 'o, 'm> {
    writer: &'a mut Writer<'o, 'm>,
    levels: u32,
}

impl<'a, 'o, 'm> Encoder<'a, 'o, 'm> {
    /// For what is inside a container.
    #[inline]
    fn inside(self) -> Result<Self, Error> {
        let levels = self.levels.checked_sub(1).ok_or_else(Error::too_deep)?;
        Ok(Self { writer: self.writer, levels })
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(Encoder { writer: self.writer, levels: self.levels })
    }

    #[inline]
    fn variant(self, index: u32) -> Result<Self, Error> {
        push_varint(self.writer.bytes(), u64::from(index));
        self.inside()
    }

    #[inline]
    fn elements(self, announced: Option<usize>) -> Result<Elements<'a, 'o, 'm>, Error> {
        let encoder = self.inside()?;
        let bytes = encoder.writer.bytes();
        let held = bytes.held();
        match announced {
            Some(count) => push_varint(bytes, count as u64),
            // It is put in front of the elements later.
            None => _ = bytes.hold(),
        }
        let start = bytes.len();
        Ok(Elements { encoder, announced, held, start, count: 0 })
    }
}

macro_rules! write_as_bytes {
    ($($method:ident($type:ty): $convert:expr)*) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<(), Error> {
            self.writer.bytes().extend(&$convert(value));
            Ok(())
        }
    )*};
}

macro_rules! write_as_varint {
    ($($method:ident($type:ty): $convert:path)*) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<(), Error> {
            push_varint(self.writer.bytes(), $convert(value));
            Ok(())
        }
    )*};
}

impl<'a, 'o, 'm> Serializer for Encoder<'a, 'o, 'm> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Elements<'a, 'o, 'm>;
    type SerializeMap = Elements<'a, 'o, 'm>;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    write_as_bytes! {
        serialize_f32(f32): f32::to_le_bytes
        serialize_f64(f64): f64::to_le_bytes
    }

    write_as_varint! {
        serialize_i16(i16): zigzag
        serialize_i32(i32): zigzag
        serialize_i64(i64): zigzag
        serialize_u16(u16): u64::from
        serialize_u32(u32): u64::from
        serialize_u64(u64): u64::from
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.serialize_u8(u8::from(value))
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.serialize_u8(value.cast_unsigned())
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.writer.bytes().push(value);
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<(), Error> {
        self.serialize_u128(zigzag_128(value))
    }

    fn serialize_u128(self, value: u128) -> Result<(), Error> {
        push_long(self.writer.bytes(), value);
        Ok(())
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.serialize_bytes(value.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        let bytes = self.writer.bytes();
        push_varint(bytes, value.len() as u64);
        bytes.extend(value);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_u8(0)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.writer.bytes().push(1);
        value.serialize(self.inside()?)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Error> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(self, _name: &'static str, index: u32, _variant: &'static str) -> Result<(), Error> {
        self.serialize_u32(index)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self.inside()?)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self.variant(index)?)
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Elements<'a, 'o, 'm>, Error> {
        self.elements(length)
    }

    #[inline]
    fn serialize_tuple(self, _length: usize) -> Result<Self, Error> {
        self.inside()
    }

    #[inline]
    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<Self, Error> {
        self.inside()
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self, Error> {
        self.variant(index)
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Elements<'a, 'o, 'm>, Error> {
        self.elements(length)
    }

    #[inline]
    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Self, Error> {
        self.inside()
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self, Error> {
        self.variant(index)
    }

    #[inline]
    fn collect_seq<I>(self, items: I) -> Result<(), Error>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        let mut items = items.into_iter();
        let length = match items.size_hint() {
            (least, Some(most)) if least == most => Some(most),
            _ => None,
        };
        let mut elements = self.elements(length)?;
        let Some(first) = items.next() else { return elements.finish() };
        let is_byte = if ONCE.get() { is_named_as_byte::<I::Item>() } else { first.serialize(OneByte).is_ok() };
        elements.element(&first)?;
        if is_byte {
            elements.write_bytes(items)?;
        } else {
            items.try_for_each(|item| elements.element(&item))?;
        }
        elements.finish()
    }

    /// Formats once. Twice, for the length and for the text, would be to trust that both texts are equally long.
    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        let mut text = String::new();
        write!(text, "{value}").map_err(|_| Error::new("the value's Display failed"))?;
        self.serialize_str(&text)
    }
}

/// Appends bytes and their number, both or none.
pub(super) fn whole(value: &[u8], out: &mut Output<'_>) -> Result<(), Error> {
    let mut writer = Writer::new(out);
    let bytes = writer.bytes();
    push_varint(bytes, value.len() as u64);
    bytes.extend(value);
    if bytes.has_failed() {
        return Err(Error::no_memory());
    }
    writer.is_complete = true;
    Ok(())
}

crate::local! {
    /// True while types may do more than write when they are serialized, so that each value is serialized once.
    static ONCE: Cell<bool> = Cell::new(false);
}

/// Runs `encode`, in which each value is serialized once and no more: for transports where types do more than write when they
/// are serialized, as ipc-channel's, which hand themselves over.
pub fn serializing_once<R>(encode: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ONCE.set(self.0);
        }
    }
    let _restore = Restore(ONCE.replace(true));
    encode()
}

/// Returns whether a type is one byte, as far as that can be told without a value of it.
fn is_named_as_byte<T>() -> bool {
    matches!(std::any::type_name::<T>(), "&u8" | "&i8" | "&bool" | "u8" | "i8" | "bool")
}

/// A sequence or map on its way out.
pub(super) struct Elements<'a, 'o, 'm> {
    encoder: Encoder<'a, 'o, 'm>,
    /// The length that was written in front, if the type knew it.
    announced: Option<usize>,
    /// What was held before.
    held: usize,
    /// Where the first element begins.
    start: usize,
    count: usize,
}

impl Elements<'_, '_, '_> {
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.count += 1;
        self.encoder.field(value)
    }

    /// Elements that are most likely bytes: a copy of memory where they are in one.
    #[inline]
    fn write_bytes<T: Serialize>(&mut self, items: impl Iterator<Item = T>) -> Result<(), Error> {
        let out = self.encoder.writer.bytes();
        let (start, held) = (out.len(), out.hold());
        let (count, others) = bytes::extend(out, items);
        if others.is_empty() {
            out.set_held(held);
            self.count += count;
            return Ok(());
        }
        self.write_others(start, held, others)
    }

    /// Puts the elements that are not bytes in their places after all.
    #[cold]
    fn write_others<T: Serialize>(&mut self, start: usize, held: usize, others: Vec<(usize, T)>) -> Result<(), Error> {
        let out = self.encoder.writer.bytes();
        let bytes = out.split_off(start);
        out.set_held(held);
        let mut others = others.into_iter().peekable();
        for (index, byte) in bytes.into_iter().enumerate() {
            match others.next_if(|(place, _)| *place == index) {
                Some((_, other)) => self.element(&other)?,
                None => self.element(&byte)?,
            }
        }
        Ok(())
    }

    #[inline]
    fn finish(self) -> Result<(), Error> {
        let writer = self.encoder.writer;
        writer.elements = writer.elements.saturating_add(self.count);
        match self.announced {
            Some(announced) if announced == self.count => Ok(()),
            Some(announced) => Err(wrong_length(announced, self.count)),
            None => insert_length(writer.bytes(), self.start, self.held, self.count),
        }
    }
}

#[cold]
fn wrong_length(announced: usize, count: usize) -> Error {
    Error::new(format!("a sequence or map has {count} elements, but its Serialize announced {announced}"))
}

/// Puts a length in front of elements that are written already.
#[cold]
fn insert_length(bytes: &mut Output<'_>, start: usize, held: usize, length: usize) -> Result<(), Error> {
    let elements = bytes.split_off(start);
    bytes.set_held(held);
    push_varint(bytes, length as u64);
    bytes.extend(&elements);
    Ok(())
}

impl SerializeSeq for Elements<'_, '_, '_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.element(value)
    }

    #[inline]
    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

impl SerializeMap for Elements<'_, '_, '_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.element(key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.encoder.field(value)
    }

    #[inline]
    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

impl SerializeTuple for Encoder<'_, '_, '_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.field(value)
    }

    #[inline]
    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

macro_rules! write_unnamed_fields {
    ($($trait:ident)*) => {$(
        impl $trait for Encoder<'_, '_, '_> {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.field(value)
            }

            #[inline]
            fn end(self) -> Result<(), Error> {
                Ok(())
            }
        }
    )*};
}

write_unnamed_fields! { SerializeTupleStruct SerializeTupleVariant }

macro_rules! write_named_fields {
    ($($trait:ident)*) => {$(
        impl $trait for Encoder<'_, '_, '_> {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, _key: &'static str, value: &T) -> Result<(), Error> {
                self.field(value)
            }

            /// Without names, the other side would take the next field for this one.
            fn skip_field(&mut self, key: &'static str) -> Result<(), Error> {
                Err(left_out(key))
            }

            #[inline]
            fn end(self) -> Result<(), Error> {
                Ok(())
            }
        }
    )*};
}

write_named_fields! { SerializeStruct SerializeStructVariant }

#[cold]
fn left_out(field: &'static str) -> Error {
    Error::new(format!(
        "the field `{field}` is left out; to cross to another process, use a type without #[serde(skip_serializing_if)]"
    ))
}
