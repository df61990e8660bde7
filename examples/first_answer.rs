//! Ask several solvers the same question, take the first answer, stop the others.
//!
//! ```text
//! cargo run --release --example first_answer -- --executor threads:4 --bits 22 --timeout 30
//! ```
//!
//! The question: which number, hashed behind a text, gives a SHA-256 that begins with so many zero bits? Every solver
//! tries the numbers in another order, and nobody knows beforehand which order is the lucky one.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use concurrent_futures::{ExecutorSpec, Future, Stop, SubmitError, is_stop_requested, prelude::*};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The step of counting down.
const DOWN: u64 = u64::MAX;

/// The solvers: name, first number, and step to the next; each wraps round the end of the range.
const SOLVERS: [(&str, u64, u64); 8] = [
    ("upwards from zero", 0, 1),
    ("downwards from the top", u64::MAX, DOWN),
    ("upwards from the middle", 1 << 63, 1),
    ("downwards from the middle", 1 << 63, DOWN),
    ("among odd numbers", 1, 2),
    ("in leaps of a thousand", 0, 1001),
    ("in leaps of a million", 0, 1_000_003),
    ("in golden leaps", 0, 0x9e37_79b9_7f4a_7c15),
];

/// How many numbers are tried between two checks whether to stop.
const ROUND: u32 = 1024;

/// Take the first answer of eight solvers and stop the others.
#[derive(Debug, Parser)]
#[command(version, after_help = "Exit status: 0 an answer was found, 1 none was found in time, 2 wrong usage.")]
struct Options {
    /// Where to search: `serial`, `threads` or `processes`; with a count, `threads:8`, `processes:50%`; or `processes?`
    #[arg(long, value_name = "EXECUTOR", default_value = "threads")]
    executor: ExecutorSpec,

    /// Zero bits the hash must begin with; each one more doubles the work
    #[arg(long, default_value_t = 18, value_parser = clap::value_parser!(u32).range(0..=256))]
    bits: u32,

    /// Seconds to wait for the first answer
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    timeout: Duration,

    /// Seconds each single solver may search
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    solver_timeout: Duration,

    /// Text the number is hashed behind
    #[arg(long, default_value = "concurrent futures ")]
    text: String,
}

/// The argument of a solver.
#[derive(Debug, Serialize, Deserialize)]
struct Search {
    text: String,
    bits: u32,
    start: u64,
    step: u64,
}

/// The answer of a solver: the number, or nothing if it was stopped before it found one.
type Answer = Option<u64>;

/// A solver's name, to recognize it when its future completes.
type Solver = (&'static str, Future<Answer>);

/// Returns the first answer with its solver's name, if there was one in time, and the other solvers.
type First = (Option<(&'static str, u64)>, Vec<Solver>);

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "first_answer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let executor = options.executor.build()?;
    let mut out = io::stdout();
    let (answer, rest) = first(ask(&*executor, options)?, options.timeout, &mut out)?;
    writeln!(out, "{}", stop(&rest))?;
    let Some((solver, number)) = answer else {
        writeln!(out, "no answer")?;
        return Ok(ExitCode::FAILURE);
    };
    writeln!(out, "first answer: {number}, found {solver}")?;
    writeln!(out, "sha256({:?}) = {:x}", format!("{}{number}", options.text), hash(&options.text, number))?;
    Ok(ExitCode::SUCCESS)
}

/// Submits one search per solver.
fn ask(executor: &dyn Executor, options: &Options) -> Result<Vec<Solver>, SubmitError> {
    let submit = |(name, start, step)| {
        let task = TaskOptions::new().name(name).run_timeout(options.solver_timeout);
        let search = Search { text: options.text.clone(), bits: options.bits, start, step };
        Ok((name, executor.submit_with(task, solve, search)?))
    };
    SOLVERS.into_iter().map(submit).collect()
}

/// Waits for the first answer, and reports solvers that end without one.
fn first(solvers: Vec<Solver>, timeout: Duration, out: &mut impl Write) -> io::Result<First> {
    let begun = Instant::now();
    let mut running = as_completed(solvers);
    loop {
        match running.next_timeout(timeout.saturating_sub(begun.elapsed())) {
            Ok(Some((name, future))) => match future.result() {
                Ok(Some(number)) => return Ok((Some((name, number)), running.into_rest())),
                Ok(None) => writeln!(out, "{name}: stopped without an answer")?,
                Err(error) => writeln!(out, "{name}: {error}")?,
            },
            Ok(None) => return Ok((None, Vec::new())),
            Err(_) => {
                writeln!(out, "{} solvers have no answer after {timeout:?}", running.len())?;
                return Ok((None, running.into_rest()));
            }
        }
    }
}

/// Cancels what waits, asks what runs to stop, and says how many of each there were.
fn stop(solvers: &[Solver]) -> String {
    let (mut cancelled, mut stopped, mut done) = (0, 0, 0);
    for (_, future) in solvers {
        match future.stop() {
            Stop::Cancelled => cancelled += 1,
            Stop::Requested => stopped += 1,
            // `Stop` may grow; a solver that was neither cancelled nor told to stop has ended.
            _ => done += 1,
        }
    }
    format!("others: {cancelled} cancelled before they began, {stopped} told to stop, {done} done as well")
}

/// The task: tries numbers until one fits, or until it is told to stop.
fn solve(search: Search) -> Answer {
    let mut number = search.start;
    while !is_stop_requested() {
        for _ in 0..ROUND {
            if zero_bits(&hash(&search.text, number)) >= search.bits {
                return Some(number);
            }
            number = number.wrapping_add(search.step);
        }
    }
    None
}

fn hash(text: &str, number: u64) -> sha2::digest::Output<Sha256> {
    Sha256::new().chain_update(text).chain_update(number.to_string()).finalize()
}

/// Returns how many bits are zero before the first that is one.
fn zero_bits(hash: &[u8]) -> u32 {
    let zeros = hash.iter().take_while(|&&byte| byte == 0).count();
    8 * zeros as u32 + hash.get(zeros).map_or(0, |byte| byte.leading_zeros())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number; give seconds such as `10` or `0.5`")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
