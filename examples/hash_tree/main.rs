//! SHA-256 of every regular file under a directory, in parallel, printed as `sha256sum` prints it.
//!
//! ```text
//! cargo run --release --example hash_tree -- --executor threads:4 some/folder > sums
//! sha256sum -c sums
//! ```
//!
//! The whole program is one `map`: a lazy walk goes in, digests come out in the order of the walk, and the executor
//! decides where the hashing happens. At no time does it hold more than the map's window of paths and digests, one
//! listing per directory level, and one piece of a file per worker.

mod digest;
mod report;
mod stop;
mod walk;

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use clap::Parser;
use concurrent_futures::{AnyExecutor, ExecutorSpec, WorkerCount, prelude::*};

use crate::digest::digest;
use crate::report::Report;
use crate::walk::Walk;

/// Exit status of a program ended by Ctrl-C, as shells count it: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// Files in flight for each worker, if there are several. A path and a digest each, so this is not much memory.
const AHEAD: usize = 256;

/// Print the SHA-256 of every regular file under a directory, in the format of sha256sum.
///
/// Files are hashed in parallel and printed in byte order of their paths, so the output of two runs can be compared.
/// `sha256sum -c` accepts it.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Symbolic links are not followed: what they point at is hashed where it lives. Only PATH itself may be a link.
A broken link is reported as an error. Sockets, pipes and devices are skipped.

What cannot be read is reported on standard error as `hash_tree: PATH: REASON`, and the rest goes on.
Files that appear while the program runs may be missed; files that vanish are reported.

Exit status: 0 all files hashed (or the reader of the output went away), 1 something could not be hashed,
2 wrong usage, 130 ended by Ctrl-C."
)]
struct Options {
    /// Where to hash: `serial`, `threads` or `processes`; with a count, `threads:8`, `processes:50%`; or `processes?`
    #[arg(long, value_name = "EXECUTOR", default_value = "threads")]
    executor: ExecutorSpec,

    /// How many files to hash at once: `8`, `50%` of the processors, or `physical` cores; overrides the executor's,
    /// and means nothing to `serial`
    #[arg(long, value_name = "COUNT")]
    workers: Option<WorkerCount>,

    /// Directory (or file) to hash; by default the library folder of the Rust toolchain
    path: Option<PathBuf>,
}

fn main() -> ExitCode {
    run(Options::parse()).unwrap_or_else(|error| {
        report::complain(&error.to_string());
        ExitCode::FAILURE
    })
}

fn run(options: Options) -> Result<ExitCode, Box<dyn Error>> {
    let root = options.path.map_or_else(toolchain_library, Ok)?;
    let spec = options.workers.map_or(options.executor, |count| options.executor.with_workers(count));
    let executor = Arc::new(spec.build_any()?);
    if let Some(reason) = executor.fallback_reason() {
        report::complain(&format!("{reason}; using threads instead"));
    }
    stop::at_ctrl_c(&executor)?;
    let mut report = Report::new(&root);
    let written = hash_all(&executor, &root, &mut report);
    if stop::requested() {
        // No task that still runs is needed, and dropping the executor would wait for it.
        executor.terminate_workers();
    }
    conclude(written, &report)
}

/// Hashes the tree and prints each digest as soon as those before it are printed.
///
/// Leaving early drops the map, which cancels what has not begun; what runs in this process sees [`stop::requested`].
fn hash_all(executor: &AnyExecutor, root: &Path, report: &mut Report) -> io::Result<()> {
    for outcome in executor.map_with(in_flight(executor.workers()), digest, Walk::new(root)) {
        if stop::requested() {
            break;
        }
        match outcome {
            Ok(Ok(digest)) => report.digest(&digest).inspect_err(|_| stop::request())?,
            Ok(Err(failure)) => report.failure(&failure),
            Err(error) => report.lost(&error),
        }
    }
    io::stdout().flush()
}

/// How files are handed to the workers.
///
/// One at a time: sizes differ so much that the time of the last files tells nothing about the next ones. And so many ahead
/// of the one to be printed that the other workers go on while one is busy with a large file.
fn in_flight(workers: usize) -> MapOptions {
    let options = MapOptions::new().chunk_size(1);
    if workers > 1 { options.buffer(workers.saturating_mul(AHEAD)) } else { options }
}

/// The closing line and the exit status.
fn conclude(written: io::Result<()>, report: &Report) -> Result<ExitCode, Box<dyn Error>> {
    match written {
        // `hash_tree | head`: the reader has enough, so there is nothing left to say.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => {
            return Err(format!("standard output: cannot write the digests: {}", walk::reason(&error)).into());
        }
        Ok(()) if stop::requested() => {
            report.close("interrupted: ");
            return Ok(ExitCode::from(INTERRUPTED));
        }
        Ok(()) => report.close(""),
    }
    Ok(if report.errors() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Some hundred megabytes in files of all sizes, present wherever this example can be built.
fn toolchain_library() -> Result<PathBuf, Box<dyn Error>> {
    let advice = "name the directory to hash: hash_tree PATH";
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .map_err(|error| format!("cannot run `rustc --print sysroot` to find the toolchain: {error}; {advice}"))?;
    if !output.status.success() {
        return Err(format!("`rustc --print sysroot` failed with {}; {advice}", output.status).into());
    }
    let sysroot = String::from_utf8(output.stdout)
        .map_err(|_| format!("`rustc --print sysroot` printed a path that is not UTF-8; {advice}"))?;
    Ok(Path::new(sysroot.trim_end()).join("lib"))
}
