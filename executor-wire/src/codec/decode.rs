//! From bytes to a value.

use super::error::Error;
use super::limits::{FREE_ELEMENTS, LEVELS};
use super::varint::{take_bytewise, take_varint, unzigzag, unzigzag_128};
use serde::de::value::U32Deserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

/// Reads one value from the front of `bytes` and moves `bytes` behind it.
#[inline]
pub(super) fn read<'de, T: Deserialize<'de>>(bytes: &mut &'de [u8]) -> Result<T, Error> {
    let budget = bytes.len().saturating_add(FREE_ELEMENTS);
    let mut reader = Reader { bytes, budget, owed: 0 };
    let value = T::deserialize(Decoder { reader: &mut reader, levels: LEVELS })?;
    *bytes = reader.bytes;
    Ok(value)
}

/// What is still to be read.
struct Reader<'de> {
    bytes: &'de [u8],
    /// How many elements sequences and maps may still have in all. Each has a byte that is no other's first, save for a
    /// number of them that may be without: a length that is more than both is a lie, found out before any work is done.
    budget: usize,
    /// How many elements, of all sequences and maps that this is inside of, are still to come: bytes that nothing between
    /// here and there can have.
    owed: usize,
}

impl<'de> Reader<'de> {
    /// So many bytes.
    #[inline]
    fn take(&mut self, length: usize) -> Result<&'de [u8], Error> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or_else(Error::ended)?;
        self.bytes = rest;
        Ok(taken)
    }

    #[inline]
    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or_else(Error::ended)?;
        self.bytes = rest;
        Ok(*taken)
    }

    #[inline]
    fn take_byte(&mut self) -> Result<u8, Error> {
        self.take_array().map(|[byte]| byte)
    }

    /// Returns a number of varying length.
    #[inline]
    fn take_number<T: TryFrom<W>, W>(&mut self, convert: impl FnOnce(u64) -> W) -> Result<T, Error> {
        let number = take_varint(&mut self.bytes, 8 * size_of::<T>() as u32)?;
        T::try_from(convert(number)).map_err(|_| Error::number_too_large())
    }

    /// Bytes with their number in front.
    #[inline]
    fn take_counted(&mut self) -> Result<&'de [u8], Error> {
        let length = self.take_number(u64::from)?;
        self.take(length)
    }

    #[inline]
    fn take_text(&mut self) -> Result<&'de str, Error> {
        str::from_utf8(self.take_counted()?).map_err(|_| Error::not_utf8())
    }

    #[inline]
    fn take_bool(&mut self) -> Result<bool, Error> {
        match self.take_byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::not_bool()),
        }
    }

    /// A text of one letter.
    fn take_char(&mut self) -> Result<char, Error> {
        let length = self.take_number(u64::from)?;
        if length > 4 {
            return Err(Error::not_char());
        }
        let text = str::from_utf8(self.take(length)?).map_err(|_| Error::not_char())?;
        text.chars().next().ok_or_else(Error::not_char)
    }

    /// The length of a sequence or map.
    #[inline]
    fn take_length(&mut self) -> Result<usize, Error> {
        let length = usize::try_from(self.take_number::<u64, _>(u64::from)?).unwrap_or(usize::MAX);
        self.budget = self.budget.checked_sub(length).ok_or_else(Error::too_many_free_elements)?;
        Ok(length)
    }
}

/// Reads one value, whose containers may be nested so many levels more.
///
/// Small and by value: nothing is to be undone when a level ends.
pub(super) struct Decoder<'a, 'de> {
    reader: &'a mut Reader<'de>,
    levels: u32,
}

impl<'a, 'de> Decoder<'a, 'de> {
    /// For what is inside a container.
    #[inline]
    fn inside(self) -> Result<Self, Error> {
        let levels = self.levels.checked_sub(1).ok_or_else(Error::too_deep)?;
        Ok(Self { reader: self.reader, levels })
    }

    /// So many elements, which `visit` is to take to the last.
    #[inline]
    fn elements<R>(self, count: usize, visit: impl FnOnce(Elements<'_, 'de>) -> Result<R, Error>) -> Result<R, Error> {
        let Self { reader, levels } = self.inside()?;
        let mut left = 0;
        let outside = reader.owed;
        // No overflow: the budget has room for all that is owed.
        let own = Reader { bytes: reader.bytes, budget: reader.budget, owed: outside + count };
        let value = visit(Elements { home: reader, left: &mut left, own, levels, outside })?;
        if left == 0 { Ok(value) } else { Err(elements_left(left)) }
    }
}

#[cold]
fn elements_left(count: usize) -> Error {
    Error::new(format!("the type's Deserialize left {count} elements of a sequence or map unread"))
}

#[cold]
fn not_self_describing() -> Error {
    Error::new(
        "the bytes do not say which type they are; to cross to another process, use a type without \
         #[serde(flatten)], #[serde(untagged)] and #[serde(tag = \"..\")]",
    )
}

macro_rules! read {
    ($($method:ident: $visit:ident($take:expr))*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit($take(self.reader)?)
        }
    )*};
}

macro_rules! read_as_varint {
    ($($method:ident($type:ty): $visit:ident via $convert:path)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.reader.take_number::<$type, _>($convert)?)
        }
    )*};
}

macro_rules! refuse_as_not_self_describing {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
            Err(not_self_describing())
        }
    )*};
}

impl<'de> Deserializer<'de> for Decoder<'_, 'de> {
    type Error = Error;

    // The values are taken first and then given to the visitor, so that it speaks with our error, which has its text.
    read! {
        deserialize_bool: visit_bool(Reader::take_bool)
        deserialize_i8: visit_i8(|reader: &mut Reader<'de>| reader.take_byte().map(u8::cast_signed))
        deserialize_i128: visit_i128(|reader: &mut Reader<'de>| take_bytewise(&mut reader.bytes, u128::BITS).map(unzigzag_128))
        deserialize_u8: visit_u8(Reader::take_byte)
        deserialize_u128: visit_u128(|reader: &mut Reader<'de>| take_bytewise(&mut reader.bytes, u128::BITS))
        deserialize_f32: visit_f32(|reader: &mut Reader<'de>| reader.take_array().map(f32::from_le_bytes))
        deserialize_f64: visit_f64(|reader: &mut Reader<'de>| reader.take_array().map(f64::from_le_bytes))
        deserialize_char: visit_char(Reader::take_char)
        deserialize_str: visit_borrowed_str(Reader::take_text)
        deserialize_string: visit_borrowed_str(Reader::take_text)
        deserialize_bytes: visit_borrowed_bytes(Reader::take_counted)
        deserialize_byte_buf: visit_borrowed_bytes(Reader::take_counted)
    }

    read_as_varint! {
        deserialize_u16(u16): visit_u16 via u64::from
        deserialize_u32(u32): visit_u32 via u64::from
        deserialize_u64(u64): visit_u64 via u64::from
        deserialize_i16(i16): visit_i16 via unzigzag
        deserialize_i32(i32): visit_i32 via unzigzag
        deserialize_i64(i64): visit_i64 via unzigzag
    }

    refuse_as_not_self_describing! { deserialize_any deserialize_identifier deserialize_ignored_any }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.reader.take_byte()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(self.inside()?),
            _ => Err(Error::new("the bytes have an Option that is neither None nor Some")),
        }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self.inside()?)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let length = self.reader.take_length()?;
        self.elements(length, |elements| visitor.visit_seq(elements))
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Fields { decoder: self.inside()?, count: length })
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(length, visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let length = self.reader.take_length()?;
        self.elements(length, |elements| visitor.visit_map(elements))
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }
}

/// The elements of a sequence, or the entries of a map.
struct Elements<'a, 'de> {
    /// Where what was read is accounted for in the end.
    home: &'a mut Reader<'de>,
    /// For the elements that are left in the end.
    left: &'a mut usize,
    /// A copy, which the compiler can keep in registers while simple elements are read. What it owes more than is owed
    /// `outside`, these elements are.
    own: Reader<'de>,
    levels: u32,
    outside: usize,
}

impl Drop for Elements<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        self.home.bytes = self.own.bytes;
        self.home.budget = self.own.budget;
        *self.left = self.count();
    }
}

impl<'de> Elements<'_, 'de> {
    /// Returns how many are still to be read.
    #[inline]
    fn count(&self) -> usize {
        self.own.owed - self.outside
    }

    #[inline]
    fn read<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(Decoder { reader: &mut self.own, levels: self.levels })
    }

    #[inline]
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if self.count() == 0 {
            return Ok(None);
        }
        self.own.owed -= 1;
        self.read(seed).map(Some)
    }

    /// Returns the count, unless there are not as many bytes, those not counted that are owed elsewhere: then it is most likely a
    /// lie. Else sequences in each other could all have room reserved for the same bytes.
    #[inline]
    fn hint(&self) -> Option<usize> {
        (self.own.owed <= self.own.bytes.len()).then_some(self.count())
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.next(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.next(seed)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        self.read(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

/// The fields of a tuple or struct, or the elements of an array.
struct Fields<'a, 'de> {
    decoder: Decoder<'a, 'de>,
    count: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if self.count == 0 {
            return Ok(None);
        }
        self.count -= 1;
        let Decoder { reader, levels } = &mut self.decoder;
        seed.deserialize(Decoder { reader, levels: *levels }).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.count)
    }
}

impl<'de> EnumAccess<'de> for Decoder<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let index: U32Deserializer<Error> = self.reader.take_number::<u32, _>(u64::from)?.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> VariantAccess<'de> for Decoder<'_, 'de> {
    type Error = Error;

    #[inline]
    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.inside()?)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_tuple(length, visitor)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.deserialize_tuple(fields.len(), visitor)
    }
}
