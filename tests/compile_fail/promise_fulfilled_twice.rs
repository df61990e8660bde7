//! A promise is fulfilled at most once.

use concurrent_futures::Promise;

fn main() {
    let (promise, _future) = Promise::new();
    let _ = promise.set_result(1);
    let _ = promise.set_result(2);
}
