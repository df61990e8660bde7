//! Bytes as values of many types.

use super::memory::{peak_of, room_for};
use super::values::{Bush, Chain, List, Record, Tree};
use crate::codec::{decode, encode};
use crate::output::Output;
use crate::portable::Portable;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

/// The first byte chooses a type, the others are decoded as a value of it.
///
/// # Panics
///
/// If decoding takes more memory than the bytes are worth; if a value does not cross again, or a part of one passes for the
/// whole; if postcard, whose format it is, would have read something else.
pub fn codec(bytes: &[u8]) {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    KINDS[usize::from(kind) % KINDS.len()](bytes);
}

const KINDS: [fn(&[u8]); 18] = [
    as_postcard::<Vec<u8>>,
    as_postcard::<String>,
    as_postcard::<(u8, u16, u32, u64, u128, usize)>,
    as_postcard::<(i8, i16, i32, i64, i128, isize)>,
    as_postcard::<(bool, char, f32, f64, (), Option<char>)>,
    as_postcard::<Vec<String>>,
    as_postcard::<BTreeMap<u8, Vec<Option<u16>>>>,
    as_postcard::<Result<[u8; 3], Duration>>,
    as_postcard::<Vec<Option<[u64; 32]>>>,
    as_postcard::<(IpAddr, Option<NonZeroU64>, PathBuf)>,
    as_postcard::<Vec<Vec<Vec<u8>>>>,
    as_postcard::<Vec<Record>>,
    |bytes| drop(probe::<Tree>(bytes)),
    |bytes| drop(probe::<Bush>(bytes)),
    |bytes| drop(probe::<List>(bytes)),
    |bytes| drop(probe::<Chain>(bytes)),
    // Two of the same have their keys in different orders.
    |bytes| drop(probe::<HashMap<String, Vec<i32>>>(bytes)),
    |bytes| drop(read::<Vec<()>>(bytes)),
];

/// So long, and every part of a value is tried.
const SHORT: usize = 48;

/// Decodes. Enough for values with a million elements without bytes, over which more would take long.
fn read<T: Portable>(bytes: &[u8]) -> Option<T> {
    let (decoded, most) = peak_of(|| decode(bytes));
    assert!(most <= room_for(bytes.len()), "{} bytes took {most} bytes of memory", bytes.len());
    decoded.ok()
}

/// Decodes; a value must cross again. Returns its encoding.
fn probe<T: Portable>(bytes: &[u8]) -> Option<Vec<u8>> {
    let value: T = read(bytes)?;
    let mut written = Vec::new();
    encode(&value, &mut Output::new(&mut written)).expect("was decoded just now");
    assert_eq!(written, postcard::to_stdvec(&value).expect("has an encoding"));
    let again: T = decode(&written).expect("was encoded just now");
    let mut twice = Vec::new();
    encode(&again, &mut Output::new(&mut twice)).expect("was encoded just now");
    assert_eq!(twice.len(), written.len());
    for end in 0..written.len().min(SHORT) {
        assert!(decode::<T>(&written[..end]).is_err(), "the first {end} bytes pass for the whole");
    }
    Some(written)
}

/// For types that postcard can be trusted with: as `probe`, and postcard has the same opinion.
fn as_postcard<T: Portable>(bytes: &[u8]) {
    let ours = probe::<T>(bytes);
    let theirs = match postcard::take_from_bytes::<T>(bytes) {
        Ok((value, [])) => Some(postcard::to_stdvec(&value).expect("has an encoding")),
        _ => None,
    };
    assert_eq!(ours, theirs);
}
