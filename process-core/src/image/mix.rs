//! A hash of 256 bits, quick and plain; it tells builds apart, and is no protection against anybody.

/// In the manner of Fowler, Noll and Vo, a word at a time. Each step can be undone, so that inputs which differ in one
/// word never meet.
pub(crate) struct Mix([u64; 4]);

impl Mix {
    /// Odd, and otherwise arbitrary; as the start values, binary digits of square roots.
    const FACTOR: u64 = 0x9b05_688c_2b3e_6c1f;
    const START: [u64; 4] =
        [0x6a09_e667_f3bc_c908, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1];

    pub(crate) fn new() -> Self {
        Self(Self::START)
    }

    pub(crate) fn word(&mut self, word: u64) {
        let [first, second, third, last] = self.0;
        let product = (first ^ last.rotate_left(29) ^ word).wrapping_mul(Self::FACTOR);
        // A product spreads only upwards.
        self.0 = [second, third, last, product ^ (product >> 32)];
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(word));
    }

    pub(crate) fn finish(mut self) -> [u8; 32] {
        // The last word is to reach every part, more than once.
        (0..12).for_each(|round| self.word(round));
        let mut bytes = [0; 32];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Mix;

    #[test]
    fn every_bit_changes_the_mix() {
        let mixed = |bytes: &[u8]| {
            let mut mix = Mix::new();
            mix.bytes(bytes);
            mix.finish()
        };
        let original = mixed(&[0; 64]);
        for bit in 0..512 {
            let mut bytes = [0; 64];
            bytes[bit / 8] = 1 << (bit % 8);
            let changed = mixed(&bytes);
            let same = original.chunks(8).zip(changed.chunks(8)).filter(|(one, other)| one == other);
            assert_eq!(same.count(), 0, "bit {bit}");
        }
        assert_ne!(original, mixed(&[0; 63]));
    }
}
