//! Random use of pools from many threads, round after round, and a check of the books after each.
//!
//! Every future must resolve, every task must run or be dropped exactly once, every value must be dropped exactly
//! once, and every callback must be called exactly once. The operations come from a seed: `--seed` repeats them, and
//! the seed that a failure names begins with the failing round. How the threads interleave is not repeated.
//!
//! With worker processes there is more to survive: tasks that end their worker, signals, limits that end it. What of all
//! this any one task may come to is in the books, too; and a round must leave nothing behind.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "reporting is what this program is for")]

mod actor;
mod entry;
mod home;
mod leftovers;
mod load;
mod mapping;
mod mischief;
mod operations;
mod panics;
mod plan;
mod pool;
mod remote;
mod round;
mod sets;
mod shared;
mod tasks;
mod values;
mod watchdog;
mod work;

use std::panic;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};

use plan::Plan;
use round::Totals;
use watchdog::Watchdog;

/// Uses pools in random ways and checks that nothing is lost, doubled or stuck.
#[derive(Parser)]
struct CommandLine {
    /// What the pools are made of.
    #[arg(long, value_enum, default_value_t = Executor::Threads)]
    executor: Executor,
    /// For how long new rounds begin.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// The first round's seed, each next one's is one more; random when not given.
    #[arg(long)]
    seed: Option<u64>,
    /// At most so many rounds.
    #[arg(long, default_value_t = u64::MAX)]
    rounds: u64,
    /// A round that takes longer hangs: the program says what it did and aborts.
    #[arg(long, default_value_t = 60)]
    hang_after: u64,
    /// A hang is held for a debugger, and not ended.
    #[arg(long)]
    hold: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Executor {
    Threads,
    Processes,
}

fn main() -> ExitCode {
    let options = CommandLine::parse();
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    println!("stress: seed {seed}");
    panics::silence_expected();
    if options.executor == Executor::Processes {
        remote::set_out();
    }
    let watchdog = Watchdog::start(Duration::from_secs(options.hang_after), options.hold);
    let begin = Instant::now();
    let mut totals = Totals::default();
    while begin.elapsed() < Duration::from_secs(options.seconds) && totals.rounds < options.rounds {
        let plan = Plan::new(seed.wrapping_add(totals.rounds));
        let round = panic::catch_unwind(panic::AssertUnwindSafe(|| round::run(&plan, &watchdog, &mut totals)));
        if round.is_err() {
            eprintln!("stress: FAILED in {plan}");
            return ExitCode::FAILURE;
        }
    }
    println!(
        "stress: {} rounds, {} tasks, {} ran, {} refused or ended before they began, {} callbacks, in {:.1} s: no invariant broken",
        totals.rounds,
        totals.tasks,
        totals.runs,
        totals.tasks - totals.runs,
        totals.callbacks,
        begin.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}
