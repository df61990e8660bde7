//! Several values in one message: each has its length in front, and one that could not be encoded keeps its place.
//!
//! ```text
//!  input of a chunk:   count (u64, little-endian) │ item │ item │ ..
//!  its outcomes:                                    item │ item │ ..
//!  item:               head (u32): twice the length, plus one if it failed │ bytes
//! ```

use crate::codec;
use crate::codec_phase::CodecPhase;
use crate::output::Output;
use crate::reply;
use serde::Serialize;

/// An item, as far as this module knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// The bytes of its encoding.
    Encoded(&'a [u8]),
    /// It could not be encoded: the reason, as text.
    Failed(&'a [u8]),
}

/// Bytes of the head in front of an item.
const HEAD: usize = size_of::<u32>();

/// Bytes of the count in front of a chunk's input.
pub(crate) const COUNT: usize = size_of::<u64>();

/// The reason given for an item that is too large.
pub(crate) const TOO_LARGE: &str =
    "an input or a result of map is larger than 2 GiB when encoded; submit it as a task of its own";

/// Begins an item at the end of `out`, and returns where its bytes start: [`end_item`] fills in its head.
#[inline]
pub(crate) fn begin_item(out: &mut Output<'_>) -> usize {
    out.extend(&[0; HEAD]);
    out.len()
}

/// Ends the item that began at `start`, which is still in the window. Returns false if it is too large and was taken away.
#[inline]
pub(crate) fn end_item(out: &mut Output<'_>, start: usize, failed: bool) -> bool {
    let length = out.len() - start;
    let fits = length < 1 << 31;
    if !fits {
        out.truncate(start);
    }
    let head = (out.len() - start) as u32;
    out.set(start - HEAD, (head << 1 | u32::from(failed)).to_le_bytes());
    fits
}

/// Appends an item; one that cannot be encoded keeps its place. The type's `Serialize` may panic.
#[inline]
pub(crate) fn push_item<T: Serialize>(value: &T, out: &mut Output<'_>) {
    let start = begin_item(out);
    if let Err(text) = codec::encode(value, out) {
        return push_failed_item(start - HEAD, &text, out);
    }
    if !end_item(out, start, false) {
        push_failed_item(start - HEAD, TOO_LARGE, out);
    }
}

/// Replaces the item that begins at `start` by the reason why it failed.
pub(crate) fn push_failed_item(start: usize, text: &str, out: &mut Output<'_>) {
    out.truncate(start);
    let start = begin_item(out);
    out.extend(text.as_bytes());
    end_item(out, start, true);
}

/// Takes an item off the front of `bytes`; `None` if they do not begin with a whole one.
#[inline]
pub fn next_item<'a>(bytes: &mut &'a [u8]) -> Option<Item<'a>> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let head = u32::from_le_bytes(*head);
    let (item, rest) = rest.split_at_checked((head >> 1) as usize)?;
    *bytes = rest;
    Some(if head & 1 == 0 { Item::Encoded(item) } else { Item::Failed(item) })
}

/// Replaces the last item of the output, which began at `start`, by an outcome that says why the transport could not carry
/// its result. For the worker's side.
pub fn refuse_item(start: usize, phase: CodecPhase, text: &str, output: &mut Output<'_>) {
    output.truncate(start);
    let start = begin_item(output);
    reply::push_codec_error(phase, text, output);
    end_item(output, start, false);
}

/// Returns how many items a packed input has, as it says itself.
#[must_use]
pub fn count_items(input: &[u8]) -> usize {
    let count = input.first_chunk().map_or(0, |count| u64::from_le_bytes(*count));
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Takes items off the front of a packed input. Returns false if the bytes are not a chunk's, or have fewer items.
///
/// ```
/// use executor_wire::items::{count_items, skip_items};
/// use executor_wire::{Output, pack_items};
///
/// let mut input = Vec::new();
/// pack_items(u64::isqrt, vec![4, 9, 16].drain(..), &mut Output::new(&mut input));
/// assert!(skip_items(&mut input, 2));
/// assert_eq!(count_items(&input), 1);
/// assert!(!skip_items(&mut input, 2));
/// ```
#[must_use]
pub fn skip_items(input: &mut Vec<u8>, items: usize) -> bool {
    skip(input, items).is_some()
}

fn skip(input: &mut Vec<u8>, items: usize) -> Option<()> {
    let (count, mut rest) = input.split_first_chunk::<COUNT>()?;
    let left = u64::from_le_bytes(*count).checked_sub(items as u64)?;
    for _ in 0..items {
        next_item(&mut rest)?;
    }
    let start = input.len() - rest.len() - COUNT;
    input[start..start + COUNT].copy_from_slice(&left.to_le_bytes());
    input.drain(..start);
    Some(())
}

/// Cuts a packed input into pieces of `size` items, of which it keeps the first. Returns the others, each with how many items
/// come before it.
///
/// ```
/// use executor_wire::items::{count_items, cut_items};
/// use executor_wire::{Output, pack_items};
///
/// let mut input = Vec::new();
/// pack_items(u64::isqrt, vec![4, 9, 16].drain(..), &mut Output::new(&mut input));
/// let pieces = cut_items(&mut input, 2);
/// assert_eq!(count_items(&input), 2);
/// assert_eq!((pieces[0].0, count_items(&pieces[0].1)), (2, 1));
/// ```
pub fn cut_items(input: &mut Vec<u8>, size: usize) -> Vec<(usize, Vec<u8>)> {
    let total = count_items(input);
    let mut rest = input.get(COUNT..).unwrap_or_default();
    let mut pieces = Vec::new();
    let (mut before, mut end) = (0, input.len());
    while before < total {
        let (items, start) = (size.min(total - before), rest);
        if (0..items).any(|_| next_item(&mut rest).is_none()) {
            break;
        }
        let bytes = &start[..start.len() - rest.len()];
        if before == 0 {
            end = COUNT + bytes.len();
        } else {
            pieces.push((before, [&(items as u64).to_le_bytes(), bytes].concat()));
        }
        before += items;
    }
    input.truncate(end);
    if let Some(count) = input.first_chunk_mut() {
        *count = (size.min(total) as u64).to_le_bytes();
    }
    pieces
}
