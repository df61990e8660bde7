//! An argument must be owned: it travels.

use concurrent_futures::{ExecutorExt, SerialExecutor};

fn main() {
    let text = String::from("borrowed");
    let executor = SerialExecutor::new();
    let _ = executor.submit(|text: &str| text.len(), text.as_str());
}
