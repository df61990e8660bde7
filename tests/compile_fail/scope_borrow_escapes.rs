//! What a scope's task borrows must live longer than the scope.

use concurrent_futures::ThreadPoolExecutor;

fn main() {
    let pool = ThreadPoolExecutor::new().unwrap();
    pool.scope(|scope| {
        let text = String::from("gone before the task ends");
        let _ = scope.spawn(|| text.len());
    });
}
