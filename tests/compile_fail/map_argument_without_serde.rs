//! The items of a map are arguments.

use concurrent_futures::{ExecutorExt, SerialExecutor};

struct Plain(u64);

fn main() {
    let executor = SerialExecutor::new();
    let _ = executor.map(|plain: Plain| plain.0, [Plain(1), Plain(2)]);
}
