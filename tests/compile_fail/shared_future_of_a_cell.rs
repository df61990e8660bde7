//! A shared future lends its value to several threads, so the value must be `Sync`.

use std::cell::Cell;

use concurrent_futures::Promise;

fn main() {
    let (_promise, future) = Promise::<Cell<u64>>::new();
    let shared = future.share();
    std::thread::spawn(move || shared.wait());
}
