//! So must a result.

use concurrent_futures::{ExecutorExt, SerialExecutor};

struct Plain(u64);

fn main() {
    let executor = SerialExecutor::new();
    let _ = executor.submit(|number: u64| Plain(number), 7);
}
