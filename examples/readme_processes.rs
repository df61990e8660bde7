//! The example of the README: tasks that crash, panic and hang in a pool of processes.

#![expect(clippy::print_stdout, reason = "an example shows its results")]

// README:begin
use concurrent_futures::{ExecutorSpec, prelude::*};
use std::time::Duration;

fn parse(text: String) -> u32 {
    match text.as_str() {
        "crash" => std::process::abort(), // a bug in a C library, say
        "hang" => std::thread::sleep(Duration::MAX),
        _ => {}
    }
    text.parse().expect("a number")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = "processes".parse::<ExecutorSpec>()?.build()?;
    let limit = TaskOptions::new().run_timeout(Duration::from_secs(5));
    let texts = ["1", "crash", "2", "hang", "three", "4"];
    let futures = texts.map(|text| pool.submit_with(limit.clone(), parse, text.to_owned()));
    for future in futures {
        match future?.result() {
            Ok(number) => println!("{number}"), // 1, 2, 4
            // Killed by SIGABRT, over its limit, panicked (which also prints its message, as panics do).
            Err(error) => println!("{error}"),
        }
    }
    Ok(())
}
// README:end
