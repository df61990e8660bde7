//! What ends a wait is a type, not a text.

use concurrent_futures::{Promise, wait};

fn main() {
    let (_promise, future) = Promise::<u64>::new();
    let _ = wait([future], None, "FIRST_COMPLETED");
}
