//! `spawn` takes closures, but a task may outlive the caller: borrowing is for `scope`.

use concurrent_futures::ThreadPoolExecutor;

fn main() {
    let pool = ThreadPoolExecutor::new().unwrap();
    let text = String::from("borrowed");
    let _ = pool.spawn(|| text.len());
}
