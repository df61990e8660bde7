//! What arguments and values carry besides: bytes of any number, so that each way across is used.

use fastrand::Rng;
use process_executor::SharedBuffer;
use serde::{Deserialize, Serialize};

/// Bytes that only one task has.
#[derive(Serialize, Deserialize)]
pub(crate) enum Load {
    Bytes(Vec<u8>),
    Shared(SharedBuffer),
}

impl Load {
    pub(crate) const NONE: Self = Self::Bytes(Vec::new());

    /// Mostly none; sometimes more than a slot takes, or a block, or memory of its own.
    pub(crate) fn random(rng: &mut Rng, number: u64) -> Self {
        match rng.u8(..50) {
            0..=29 => Self::NONE,
            30..=37 => Self::bytes(number, rng.usize(..100)),
            38..=43 => Self::bytes(number, rng.usize(..10_000)),
            44..=46 => Self::bytes(number, rng.usize(250_000..300_000)),
            47 => Self::bytes(number, rng.usize(..2_000_000)),
            _ => Self::shared(number, rng.usize(..2_000_000)),
        }
    }

    fn bytes(number: u64, length: usize) -> Self {
        Self::Bytes(pattern(number, length).collect())
    }

    fn shared(number: u64, length: usize) -> Self {
        let fill = |bytes: &mut [u8]| bytes.iter_mut().zip(pattern(number, length)).for_each(|(to, from)| *to = from);
        Self::Shared(SharedBuffer::build(length, fill).expect("shared memory"))
    }

    /// As much of the same kind. What is shared goes back as it came every other time.
    pub(crate) fn answer(self, number: u64) -> Self {
        match self {
            Self::Shared(buffer) if number.is_multiple_of(2) => Self::Shared(buffer),
            Self::Shared(buffer) => Self::shared(number, buffer.len()),
            bytes @ Self::Bytes(_) => bytes,
        }
    }

    /// Returns whether it is that task's, and whole.
    pub(crate) fn is_of(&self, number: u64) -> bool {
        let bytes: &[u8] = match self {
            Self::Bytes(bytes) => bytes,
            Self::Shared(buffer) => buffer,
        };
        bytes.iter().copied().eq(pattern(number, bytes.len()))
    }
}

fn pattern(number: u64, length: usize) -> impl Iterator<Item = u8> {
    (0..length as u64).map(move |place| (number.wrapping_mul(151) ^ place.wrapping_mul(7) ^ (place >> 8)) as u8)
}
