//! The program: files in, a table out.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::iter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use concurrent_futures::{WorkerCount, prelude::*};

use crate::lint::lint;
use crate::report::Report;
use crate::rules::{Rules, adopt};
use crate::walk::rust_files;

/// A file that takes longer is abandoned. Most take a millisecond.
const LIMIT: Duration = Duration::from_secs(60);

/// A worker that needs more memory is ended, and its file abandoned.
const MEMORY: u64 = 2 << 30;

/// Parse every Rust file under a directory; count unsafe blocks, TODO and FIXME comments, and long functions.
///
/// Files are parsed in worker processes. A file that ends its worker, as one that is nested so deeply that the parser
/// overflows its stack, is named, and the rest is parsed.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
What cannot be parsed is reported on standard error as `lint_rs: PATH: REASON`, and the rest goes on.

Exit status: 0 every file was parsed, 1 some were not, 2 wrong usage."
)]
struct Options {
    /// How many files to parse at once: `8`, `50%` of the processors, or `physical` cores
    #[arg(long, value_name = "COUNT")]
    workers: Option<WorkerCount>,

    /// Words that are looked for in comments
    #[arg(long = "marker", value_name = "WORD", default_values = ["TODO", "FIXME"])]
    markers: Vec<String>,

    /// Lines from which on a function is long, itself not included
    #[arg(long, value_name = "LINES", default_value_t = 60)]
    longest_function: u32,

    /// How many of the files with the most findings to list
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    worst: usize,

    /// Directory (or file) to parse; by default the sources that Cargo has downloaded
    path: Option<PathBuf>,
}

pub(crate) fn main() -> ExitCode {
    run(Options::parse()).unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "lint_rs: {error}");
        ExitCode::FAILURE
    })
}

fn run(options: Options) -> Result<ExitCode, Box<dyn Error>> {
    let root = options.path.map_or_else(downloaded_sources, Ok)?;
    let rules = Rules { markers: options.markers, longest_function: options.longest_function };
    let mut builder = ProcessPoolExecutor::builder().run_timeout(LIMIT).hard_memory_limit(MEMORY);
    if let Some(count) = options.workers {
        builder = builder.workers(count);
    }
    let pool = builder.initializer_with(adopt, rules.clone()).build()?;
    let report = lint_all(&pool, &root, rules);
    match report.print(&mut io::stdout().lock(), options.worst) {
        // `lint_rs | head`: the reader has enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("standard output: {error}").into()),
        _ if report.is_complete() => Ok(ExitCode::SUCCESS),
        _ => Ok(ExitCode::FAILURE),
    }
}

fn lint_all(pool: &ProcessPoolExecutor, root: &Path, rules: Rules) -> Report {
    let (files, unread) = rust_files(root);
    let mut report = Report::new(root, rules, files.len());
    for (directory, error) in unread {
        report.failure(&directory, &format!("cannot be read: {error}"));
    }
    let paths = files.iter().map(|path| path.clone().into_os_string());
    for (path, outcome) in iter::zip(&files, pool.map(lint, paths)) {
        match outcome {
            Ok(Ok(counts)) => report.counts(path, counts),
            Ok(Err(reason)) => report.failure(path, &reason),
            Err(error) => report.lost(path, &error),
        }
    }
    report
}

/// Some million lines of many authors, present wherever this example can be built.
fn downloaded_sources() -> Result<PathBuf, &'static str> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let home = home.ok_or("there is no home directory; name the directory to parse: lint_rs PATH")?;
    Ok(home.join("registry").join("src"))
}
