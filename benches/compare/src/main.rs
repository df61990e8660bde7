//! Times `ThreadPoolExecutor` and its peers on the same work in one process, and counts what cannot be timed.

mod allocator;
mod counts;
mod peers;
mod rounds;
mod rows;
mod table;

use clap::{Args, Parser, Subcommand};

use table::Style;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

/// Compares concurrent-futures with other thread pools.
#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Thread pools: timed rows, then counted ones.
    Threads(Threads),
    /// Counts one thing in this process and prints the bare number.
    #[command(hide = true)]
    Count {
        what: counts::Counted,
        #[arg(long, default_value_t = 1.0)]
        scale: f64,
    },
}

#[derive(Args)]
struct Threads {
    /// Only these rows, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = row_names())]
    rows: Vec<String>,
    /// How often each contender's turn comes.
    #[arg(long, default_value_t = 5, value_parser = at_least_one)]
    rounds: usize,
    /// Multiplies all counts of tasks: 0.01 is a smoke run.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Tab-separated lines: row, ours, peer, its figure, ratio.
    #[arg(long)]
    tsv: bool,
}

fn main() {
    match CommandLine::parse().command {
        Command::Threads(options) => threads(&options),
        Command::Count { what, scale } => table::bare(counts::in_child(what, scale)),
    }
}

fn threads(options: &Threads) {
    let style = if options.tsv { Style::Tsv } else { Style::Table };
    let wanted = |name: &str| options.rows.is_empty() || options.rows.iter().any(|row| row == name);
    let mut timed = rows::ROWS.iter().filter(|spec| wanted(spec.name)).peekable();
    if timed.peek().is_some() {
        table::timed_head(style, options.rounds);
    }
    for spec in timed {
        let mut row = (spec.build)(options.scale);
        let figures = rounds::measure(&mut row.contenders, options.rounds, row.tasks);
        table::timed(style, spec, &figures);
    }
    let mut counted = counts::COUNTS.iter().filter(|spec| wanted(spec.name)).peekable();
    if counted.peek().is_some() {
        table::counted_head(style);
    }
    for spec in counted {
        table::counted(style, spec, spec.run(options.scale));
    }
}

/// The names that `--rows` takes.
fn row_names() -> Vec<&'static str> {
    let timed = rows::ROWS.iter().map(|spec| spec.name);
    timed.chain(counts::COUNTS.iter().map(|spec| spec.name)).collect()
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("a median needs at least one round".to_owned()),
        Ok(rounds) => Ok(rounds),
        Err(error) => Err(format!("{error}")),
    }
}
