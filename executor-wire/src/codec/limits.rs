//! The limits of the format, which both directions keep.

/// How deep containers may be nested in each other.
pub(super) const LEVELS: u32 = 256;

/// How many elements of sequences and maps may be without bytes of their own in one value.
pub(super) const FREE_ELEMENTS: usize = 1 << 20;
