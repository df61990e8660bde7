//! Numbers of varying length as postcard has them: seven bits a byte, the least first, and the eighth where more follow.
//!
//! Most numbers are small. Those of one and two bytes are cases of their own here, compiled into what uses them; the
//! others go to postcard, or its way.

/// Set in a byte that others of the same number follow.
const MORE: u8 = 1 << 7;

/// Small numbers for small magnitudes of either sign.
#[inline]
pub(super) fn zigzag(value: impl Into<i64>) -> u64 {
    let value = value.into();
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Back from [`zigzag`].
#[inline]
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Appends a number.
#[inline]
pub(super) fn push_varint(bytes: &mut Vec<u8>, value: u64) {
    if value < 1 << 7 {
        bytes.push(value as u8);
    } else if value < 1 << 14 {
        bytes.extend_from_slice(&[value as u8 | MORE, (value >> 7) as u8]);
    } else {
        push_long(bytes, value);
    }
}

fn push_long(bytes: &mut Vec<u8>, mut value: u64) {
    // Put together apart, so that the vector asks for room once and not for each byte.
    let mut number = [0; LONGEST];
    let mut length = 0;
    while value >= 1 << 7 {
        number[length] = value as u8 | MORE;
        length += 1;
        value >>= 7;
    }
    number[length] = value as u8;
    bytes.extend_from_slice(&number[..=length]);
}

/// Bytes of the longest number.
const LONGEST: usize = 10;

/// Takes a number of one or two bytes off the front. `None`: it is another, if any, and nothing was taken.
#[inline]
pub(super) fn take_short(bytes: &mut &[u8]) -> Option<u64> {
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
