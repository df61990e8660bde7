//! Times our executors and their peers on the same work in the same run, and counts what cannot be timed.

mod allocator;
mod chart;
mod counted;
mod counts;
mod helper;
mod parts;
mod peers;
mod process_counts;
mod process_rows;
mod rounds;
mod rows;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use chart::Bar;
use rounds::Figure;
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
        what: counted::Counted,
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
    /// Also draws the ratios of the timed rows, as SVG, into this file.
    #[arg(long)]
    svg: Option<PathBuf>,
}

impl Options {
    fn style(&self) -> Style {
        if self.tsv { Style::Tsv } else { Style::Table }
    }

    /// Draws what was measured, if that was asked for.
    fn draw(&self, heading: &str, bars: &[Bar]) -> ExitCode {
        match self.svg.as_ref().map(|file| chart::write(file, heading, bars)) {
            Some(Err(error)) => table::failure(&format!("the chart cannot be written: {error}")),
            Some(Ok(())) | None => ExitCode::SUCCESS,
        }
    }
}

fn main() -> ExitCode {
    if parts::took_over() {
        return ExitCode::SUCCESS;
    }
    // A worker of this peer goes no further; ours did not come as far.
    procspawn::init();
    match CommandLine::parse().command {
        Command::Threads { rows, options } => threads(&rows, &options),
        Command::Processes { rows, options } => processes(&rows, &options),
        Command::Count { what, scale } => {
            table::bare(counts::in_child(what, scale));
            ExitCode::SUCCESS
        }
    }
}

fn threads(names: &[String], options: &Options) -> ExitCode {
    let mut bars = Vec::new();
    let mut timed = rows::ROWS.iter().filter(|spec| is_wanted(names, spec.name)).peekable();
    if timed.peek().is_some() {
        table::timed_head(options.style(), options.rounds);
    }
    for spec in timed {
        let mut row = (spec.build)(options.scale);
        let figures = rounds::measure(&mut row.contenders, options.rounds, row.tasks);
        table::timed(options.style(), spec, &figures);
        let fastest = figures[1..].iter().min_by(|left, right| left.median.total_cmp(&right.median));
        bars.extend(fastest.map(|peer| bar(spec.name, &figures[0], peer)));
    }
    counted(counts::COUNTS, names, options);
    options.draw("Time per task on threads, ours to the fastest other's", &bars)
}

fn processes(names: &[String], options: &Options) -> ExitCode {
    let mut bars = Vec::new();
    let mut timed = process_rows::ROWS.iter().filter(|spec| is_wanted(names, spec.name)).peekable();
    if timed.peek().is_some() {
        table::process_head(options.style(), options.rounds);
    }
    for spec in timed {
        let mut row = (spec.build)(options.scale);
        let figures = rounds::measure(&mut row.contenders, options.rounds, row.tasks);
        table::process(options.style(), spec, &row, &figures);
        let has_target = |peer: &&Figure| spec.targets.iter().any(|target| target.peer == peer.name);
        bars.extend(figures[1..].iter().filter(has_target).map(|peer| bar(spec.name, &figures[0], peer)));
    }
    counted(process_counts::COUNTS, names, options);
    options.draw("Time per task in worker processes, ours to others'", &bars)
}

fn bar(row: &'static str, ours: &Figure, peer: &Figure) -> Bar {
    Bar { row, peer: peer.name, ratio: ours.median / peer.median }
}

fn counted(specs: &[counted::Spec], names: &[String], options: &Options) {
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
