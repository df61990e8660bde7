//! What the fuzzer has found, and more of the kind.

use super::memory::Counting;
use super::replay::replay;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn bytes_of_values() {
    replay("codec", 1000, 30_000, super::codec);
}
