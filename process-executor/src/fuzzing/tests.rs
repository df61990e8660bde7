//! What the fuzzers have found, and more of the kind.

#[path = "../../../fuzz/common/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn what_a_worker_says() {
    replay("message", 20_000, super::message);
}

#[test]
fn what_a_worker_writes() {
    replay("lane", 10_000, super::lane);
}
