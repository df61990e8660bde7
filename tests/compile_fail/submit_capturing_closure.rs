//! What is submitted may run in another process, where the captured variable is not.

use concurrent_futures::{ExecutorExt, SerialExecutor};

fn main() {
    let factor = 3;
    let executor = SerialExecutor::new();
    let _ = executor.submit(|number: u64| number * factor, 7);
}
