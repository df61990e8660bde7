//! What the fuzzer has found, and more of the kind.

#[path = "../../../fuzz/common/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn bytes_of_replies() {
    replay("reply", 1000, 30_000, super::reply);
}
