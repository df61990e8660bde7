//! What the fuzzer has found, and more of the kind.

use super::memory::Counting;
use super::replay::replay;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn any_bytes_may_be_a_value() {
    replay("codec", 1000, 30_000, super::codec);
}
