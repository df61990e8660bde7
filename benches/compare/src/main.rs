//! Times our executors and their peers on the same work in the same run, and counts what cannot be timed.

mod allocator;
mod counts;
mod helper;
mod peers;
mod process_counts;
mod process_rows;
mod rounds;
mod rows;
mod table;

use clap::{Args, Parser, Subcommand};

use table::Style;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

/// Compares concurrent-futures with other pools.
#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Thread pools: timed rows, then counted ones.
    Threads {
        /// Only these rows, separated by commas.
        #[arg(long, value_delimiter = ',', value_parser = row_names())]
        rows: Vec<String>,
        #[command(flatten)]
        options: Options,
    },
    /// Process pools: the same.
    Processes {
        /// Only these rows, separated by commas.
        #[arg(long, value_delimiter = ',', value_parser = process_row_names())]
        rows: Vec<String>,
        #[command(flatten)]
        options: Options,
    },
    /// Counts one thing in this process and prints the bare number.
    #[command(hide = true)]
    Count {
        what: counts::Counted,
        #[arg(long, default_value_t = 1.0)]
        scale: f64,
    },
}

#[derive(Args)]
struct Options {
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

impl Options {
    fn style(&self) -> Style {
        if self.tsv { Style::Tsv } else { Style::Table }
    }
}

fn main() {
    if helper::took_over() {
        return;
    }
    // A worker of this peer goes no further; ours did not come as far.
    procspawn::init();
    match CommandLine::parse().command {
        Command::Threads { rows, options } => threads(&rows, &options),
        Command::Processes { rows, options } => processes(&rows, &options),
        Command::Count { what, scale } => table::bare(counts::in_child(what, scale)),
    }
}

fn threads(names: &[String], options: &Options) {
    let mut timed = rows::ROWS.iter().filter(|spec| is_wanted(names, spec.name)).peekable();
    if timed.peek().is_some() {
        table::timed_head(options.style(), options.rounds);
    }
    for spec in timed {
        let mut row = (spec.build)(options.scale);
        let figures = rounds::measure(&mut row.contenders, options.rounds, row.tasks);
        table::timed(options.style(), spec, &figures);
    }
    counted(counts::COUNTS, names, options);
}

fn processes(names: &[String], options: &Options) {
    let mut timed = process_rows::ROWS.iter().filter(|spec| is_wanted(names, spec.name)).peekable();
    if timed.peek().is_some() {
        table::process_head(options.style(), options.rounds);
    }
    for spec in timed {
        let mut row = (spec.build)(options.scale);
        let figures = rounds::measure(&mut row.contenders, options.rounds, row.tasks);
        table::process(options.style(), spec, &row, &figures);
    }
    counted(process_counts::COUNTS, names, options);
}

fn counted(specs: &[counts::Spec], names: &[String], options: &Options) {
    let mut specs = specs.iter().filter(|spec| is_wanted(names, spec.name)).peekable();
    if specs.peek().is_some() {
        table::counted_head(options.style());
    }
    for spec in specs {
        table::counted(options.style(), spec, spec.run(options.scale));
    }
}

/// No names: all rows.
fn is_wanted(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|wanted| wanted == name)
}

/// The names that `--rows` takes.
fn row_names() -> Vec<&'static str> {
    let timed = rows::ROWS.iter().map(|spec| spec.name);
    timed.chain(counts::COUNTS.iter().map(|spec| spec.name)).collect()
}

fn process_row_names() -> Vec<&'static str> {
    let timed = process_rows::ROWS.iter().map(|spec| spec.name);
    timed.chain(process_counts::COUNTS.iter().map(|spec| spec.name)).collect()
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("a median needs at least one round".to_owned()),
        Ok(rounds) => Ok(rounds),
        Err(error) => Err(format!("{error}")),
    }
}
