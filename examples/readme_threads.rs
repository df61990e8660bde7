//! The example of the README: one task and a map over a pool of threads.

#![expect(clippy::print_stdout, reason = "an example shows its results")]

// README:begin
use concurrent_futures::{ExecutorSpec, prelude::*};

fn count_primes(below: u64) -> u64 {
    (2..below).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0)).count() as u64
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = "threads".parse::<ExecutorSpec>()?.build()?;
    let future = pool.submit(count_primes, 100_000)?; // runs now, in the background
    for count in pool.map(count_primes, [10, 100, 1_000]) {
        println!("{}", count?); // 4, 25, 168: in the order of the inputs
    }
    println!("{}", future.result()?); // 9592
    Ok(()) // dropping the pool waits for what is still running
}
// README:end
