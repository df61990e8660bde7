//! A map borrows its executor.

use concurrent_futures::{ExecutorExt, SerialExecutor};

fn main() {
    let map = {
        let executor = SerialExecutor::new();
        executor.map(|number: u64| number * 2, 0..10)
    };
    assert_eq!(map.count(), 10);
}
