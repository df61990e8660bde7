//! A program as it has to be without the feature `before-main`: `init` comes first in `main`. With the argument `forget` it
//! does not come at all; with `late`, on another thread.
//!
//! `cargo run -p concurrent-futures-processes --no-default-features --example set_up [forget|late]`

#![expect(clippy::print_stdout, reason = "an example shows its results")]

use executor_core::ExecutorExt;
use process_executor::ProcessPoolExecutor;

fn double(number: u64) -> u64 {
    2 * number
}

fn main() {
    let how = std::env::args().nth(1).unwrap_or_default();
    match how.as_str() {
        "forget" => {}
        "late" => std::thread::spawn(process_executor::init).join().expect("it does nothing there"),
        _ => process_executor::init(),
    }
    println!("main begins");
    match ProcessPoolExecutor::with_workers(2) {
        Ok(pool) => {
            for outcome in pool.map(double, 1..=3) {
                println!("{}", outcome.expect("the task returns"));
            }
        }
        Err(error) => println!("{error}"),
    }
}
