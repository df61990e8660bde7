//! An argument must be what serde can carry.

use concurrent_futures::{ExecutorExt, SerialExecutor};

struct Plain(u64);

fn main() {
    let executor = SerialExecutor::new();
    let _ = executor.submit(|plain: Plain| plain.0, Plain(7));
}
