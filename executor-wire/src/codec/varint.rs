//! Numbers of varying length in postcard's format: seven bits a byte, the least first, and the eighth set where more follow.
//!
//! Most numbers are small. Those of up to eight bytes are put together in a register.

use super::error::Error;
use crate::output::Output;

/// Set in a byte that others of the same number follow.
const MORE: u8 = 1 << 7;

/// Returns small numbers for small magnitudes of either sign.
#[inline]
pub(super) fn zigzag(value: impl Into<i64>) -> u64 {
    let value = value.into();
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Undoes [`zigzag`].
#[inline]
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// As [`zigzag`], for numbers of twice the size.
pub(super) fn zigzag_128(value: i128) -> u128 {
    ((value << 1) ^ (value >> 127)).cast_unsigned()
}

/// Back from [`zigzag_128`].
pub(super) fn unzigzag_128(value: u128) -> i128 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Appends a number.
#[inline]
pub(super) fn push_varint(out: &mut Output<'_>, value: u64) {
    if value < 1 << 7 {
        out.push(value as u8);
    } else if value < 1 << 56 {
        let length = (u64::BITS - value.leading_zeros()).div_ceil(7);
        let all_but_the_last = (1 << (8 * (length - 1))) - 1;
        out.extend_from_word(spread(value) | (EACH_MORE & all_but_the_last), length as usize);
    } else {
        push_long(out, value);
    }
}

/// `MORE` in each byte.
const EACH_MORE: u64 = u64::from_ne_bytes([MORE; 8]);

/// Moves each seven bits of 56 to a byte of their own: first the upper half by as many bits as it lacks, then of each half
/// the upper quarter, and so on.
#[inline]
fn spread(value: u64) -> u64 {
    let halves = (value & 0x0fff_ffff) | ((value & 0x00ff_ffff_f000_0000) << 4);
    let quarters = (halves & 0x0000_3fff_0000_3fff) | ((halves & 0x0fff_c000_0fff_c000) << 2);
    (quarters & 0x007f_007f_007f_007f) | ((quarters & 0x3f80_3f80_3f80_3f80) << 1)
}

/// Appends a number of any length, byte by byte.
#[cold]
pub(super) fn push_long(out: &mut Output<'_>, value: impl Into<u128>) {
    let mut value = value.into();
    let mut number = [0; LONGEST];
    let mut length = 0;
    while value >= 1 << 7 {
        number[length] = value as u8 | MORE;
        length += 1;
        value >>= 7;
    }
    number[length] = value as u8;
    out.extend(&number[..=length]);
}

/// Bytes of the longest number.
const LONGEST: usize = u128::BITS.div_ceil(7) as usize;

/// Takes a number of one or two bytes off the front. `None`: it is longer or missing, and nothing was taken.
#[inline]
fn take_short(bytes: &mut &[u8]) -> Option<u64> {
    match **bytes {
        [first, ref rest @ ..] if first < MORE => {
            *bytes = rest;
            Some(u64::from(first))
        }
        [first, second, ref rest @ ..] if second < MORE => {
            *bytes = rest;
            Some(u64::from(first & !MORE) | u64::from(second) << 7)
        }
        _ => None,
    }
}

/// Takes a number off the front, if it has no more than so many bits, at most 64 and no multiple of seven.
///
/// Byte by byte: numbers of a sequence are mostly of one length, which the processor foresees.
#[inline]
pub(super) fn take_varint(bytes: &mut &[u8], bits: u32) -> Result<u64, Error> {
    if let Some(number) = take_short(bytes) {
        return Ok(number);
    }
    let (mut number, mut shift, mut rest) = (0, 0, *bytes);
    while shift < bits {
        let Some((&byte, behind)) = rest.split_first() else { return Err(Error::ended()) };
        rest = behind;
        number |= u64::from(byte & !MORE) << shift;
        if byte < MORE {
            // The last byte that the number can have holds the rest of its bits.
            if bits - shift < 7 && byte >> (bits - shift) != 0 {
                break;
            }
            *bytes = rest;
            return Ok(number);
        }
        shift += 7;
    }
    Err(Error::number_too_large())
}

/// The same for numbers of up to 128 bits.
pub(super) fn take_bytewise(bytes: &mut &[u8], bits: u32) -> Result<u128, Error> {
    let mut value = 0;
    let mut shift = 0;
    loop {
        let (&byte, rest) = bytes.split_first().ok_or_else(Error::ended)?;
        *bytes = rest;
        // The last byte that a number of so many bits can have holds the rest of them, and no byte follows it.
        if bits - shift < 7 && byte >> (bits - shift) != 0 {
            return Err(Error::number_too_large());
        }
        value |= u128::from(byte & !MORE) << shift;
        if byte < MORE {
            return Ok(value);
        }
        shift += 7;
    }
}
