//! [`Padded`]: a value on a cache line of its own.

/// Aligned to two cache lines, since processors fetch them in pairs. What different threads write in a hurry stands apart.
#[repr(align(128))]
pub(super) struct Padded<T>(pub(super) T);
