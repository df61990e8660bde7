//! What the fuzzers have found, and more of the kind.

use executor_wire::fuzzing::replay::replay;

// Each input is a script, and takes a socket or shared memory of its own: fewer of them than where bytes are only read.

#[test]
fn what_a_worker_says() {
    replay("message", 32, 10_000, super::message);
}

#[test]
fn what_a_worker_writes() {
    replay("ring", 16, 4_000, super::ring);
}
