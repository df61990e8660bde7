//! The program: submits the accidents, and prints what became of each.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;
use concurrent_futures::{Future, SubmitError, WorkerOutput, prelude::*};

use crate::accident::{Accident, Even, happen};
use crate::redact::redact;

/// How long the endless loop may run.
const LIMIT: Duration = Duration::from_millis(300);

/// How many tasks run beside the accidents.
const HARMLESS: usize = 1000;

/// The most memory that a worker may use. A worker that does nothing uses a few mebibytes.
const MEMORY: u64 = 128 << 20;

/// The accidents, in the order in which they are printed.
const ACCIDENTS: [Accident; 8] = [
    Accident::Panic,
    Accident::Abort,
    Accident::InvalidWrite,
    Accident::EndlessLoop,
    Accident::TooMuchMemory,
    Accident::Exit,
    Accident::UnreadableResult,
    Accident::StackOverflow,
];

/// Let tasks panic, abort, write to invalid memory, hang, hoard memory, exit and more, in a pool that goes on.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// How many worker processes
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    workers: usize,

    /// Print the numbers of tasks, workers, processes and lines, too; they differ from run to run
    #[arg(long)]
    exact: bool,
}

pub(crate) fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "chaos: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let pool = ProcessPoolExecutor::builder()
        .workers(options.workers)
        .worker_name_prefix("chaos")
        .hard_memory_limit(MEMORY)
        // The message of a panic is in the error, too.
        .stderr(WorkerOutput::Null)
        .build()?;
    // All at once: whatever becomes of one, the others must not notice.
    let submitted = ACCIDENTS.map(|accident| submit(&pool, accident));
    let harmless = pool.map(happen, [Accident::Nothing; HARMLESS]);
    for (accident, future) in ACCIDENTS.iter().zip(submitted) {
        tell(*accident, future?, options)?;
    }
    tell(Accident::LongWork, stopped(&pool)?, options)?;
    let unharmed = harmless.filter(|outcome| matches!(outcome, Ok(Even(42)))).count();
    writeln!(io::stdout(), "{} workers died; {unharmed} of {HARMLESS} other tasks ended well", pool.stats().deaths)?;
    Ok(())
}

fn submit(pool: &ProcessPoolExecutor, accident: Accident) -> Result<Future<Even>, SubmitError> {
    let options = TaskOptions::new().name(accident.to_string());
    let options = if accident == Accident::EndlessLoop { options.run_timeout(LIMIT) } else { options };
    pool.submit_with(options, happen, accident)
}

/// A task that runs, and is told to stop.
fn stopped(pool: &ProcessPoolExecutor) -> Result<Future<Even>, SubmitError> {
    let future = submit(pool, Accident::LongWork)?;
    while !future.is_running() {
        thread::sleep(Duration::from_millis(1));
    }
    future.stop();
    Ok(future)
}

fn tell(accident: Accident, future: Future<Even>, options: &Options) -> io::Result<()> {
    let text = match future.result() {
        Ok(Even(number)) => number.to_string(),
        Err(error) => error.to_string(),
    };
    let text = if options.exact { text } else { redact(&text) };
    writeln!(io::stdout(), "{accident}:\n    {text}")
}
