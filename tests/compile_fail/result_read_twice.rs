//! The value is handed over, once; `share` lends it many times.

use concurrent_futures::{ExecutorExt, SerialExecutor};

fn main() {
    let future = SerialExecutor::new().submit(|number: u64| number, 7).unwrap();
    let _ = future.result();
    let _ = future.result();
}
