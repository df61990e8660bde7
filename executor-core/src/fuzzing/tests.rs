//! What the fuzzers have found, and more of the kind.

#[path = "../../../fuzz/common/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn bytes_of_values() {
    replay("codec", 1000, 30_000, super::codec);
}

#[test]
fn bytes_of_replies() {
    replay("reply", 1000, 30_000, super::reply);
}
