//! The example of Python's documentation of `ProcessPoolExecutor`: which of these numbers are prime?
//!
//! ```text
//! cargo run --release --example primes -- --executor processes:4
//! ```

use std::error::Error;
use std::io::{self, Write};
use std::iter;
use std::process::ExitCode;

use clap::Parser;
use concurrent_futures::{ExecutorSpec, prelude::*};

const PRIMES: [u64; 6] =
    [112272535095293, 112582705942171, 112272535095293, 115280095190773, 115797848077099, 1099726899285419];

/// Tell which of six large numbers are prime, each found out by a task of its own.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Where to compute: `serial`, `threads` or `processes`; with a count, `threads:8`, `processes:50%`; or `processes?`
    #[arg(long, value_name = "EXECUTOR", default_value = "threads")]
    executor: ExecutorSpec,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "primes: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let executor = options.executor.build()?;
    let mut stdout = io::stdout();
    for (number, prime) in iter::zip(PRIMES, executor.map(is_prime, PRIMES)) {
        let prime = if prime? { "True" } else { "False" };
        writeln!(stdout, "{number} is prime: {prime}")?;
    }
    Ok(())
}

fn is_prime(n: u64) -> bool {
    if n < 2 {
        return false;
    }
    if n == 2 {
        return true;
    }
    if n.is_multiple_of(2) {
        return false;
    }
    (3..=n.isqrt()).step_by(2).all(|divisor| !n.is_multiple_of(divisor))
}
