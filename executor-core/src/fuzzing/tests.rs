//! What the fuzzer has found, and more of the kind.

use executor_wire::fuzzing::memory::Counting;
use executor_wire::fuzzing::replay::replay;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn any_bytes_may_be_a_reply() {
    replay("reply", 1000, 30_000, super::reply);
}
