//! What a counted row is, and how it is counted: by a child process.

use std::io;
use std::process::{Command, Output};
use std::{env, fs};

use clap::ValueEnum;

use crate::rows::scaled;

/// What can be counted; the names are those of the rows.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Counted {
    /// Heap allocations by all threads for one submit, run and result.
    AllocationsPerSubmit,
    /// Heap allocations by all threads for one chunk of a `map`, once it is under way.
    AllocationsPerMapChunk,
    /// System calls on futexes for one task while the workers always have work and nobody waits for a result.
    FutexPerTask,
    /// Milliseconds of processor time of a process whose pool has nothing to do for five seconds.
    IdleCpuMs,
    /// Heap bytes of a task that waits for its turn, its arguments not counted.
    BytesPerPendingTask,
    /// As `IdleCpuMs` for the parent and the workers of a process pool.
    ProcessIdleCpuMs,
    /// File descriptors that many tasks pending in a process pool take more than few.
    DescriptorsOfPendingTasks,
    /// As `BytesPerPendingTask` for a process pool.
    ProcessBytesPerPendingTask,
    /// Milliseconds from a worker's death to the error of its task.
    KillToErrorMs,
    /// Milliseconds from a worker's death to its replacement's first result.
    KillToReplacementMs,
}

/// A row by name, and what it is to stay at or under; without that it is printed only.
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) target: Option<f64>,
    pub(crate) what: Counted,
}

impl Spec {
    /// Counts in a child process, to thousandths: what is done once for all tasks is not to decide about one of them.
    /// The error says why counting was not possible.
    pub(crate) fn run(&self, scale: f64) -> Result<f64, String> {
        self.exact(scale).map(|value| (value * 1e3).round() / 1e3)
    }

    fn exact(&self, scale: f64) -> Result<f64, String> {
        let program = env::current_exe().map_err(|error| error.to_string())?;
        let name = self.what.to_possible_value().expect("no variant is skipped");
        let arguments = ["count".to_owned(), name.get_name().to_owned(), "--scale".to_owned(), scale.to_string()];
        if matches!(self.what, Counted::FutexPerTask) {
            let mut command = Command::new("strace");
            command.args(["-f", "-c", "-e", "trace=futex"]).arg(program).args(arguments);
            return futex_calls(&mut command).map(|calls| calls as f64 / saturated_tasks(scale) as f64);
        }
        let output = Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
        let output = succeeded(output)?;
        String::from_utf8_lossy(&output.stdout).trim().parse().map_err(|_| "the count is no number".to_owned())
    }
}

/// How many tasks `FutexPerTask` is counted over.
pub(crate) fn saturated_tasks(scale: f64) -> u64 {
    scaled(200_000, scale)
}

fn futex_calls(strace: &mut Command) -> Result<u64, String> {
    let output = match strace.output() {
        Ok(output) => succeeded(output)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err("strace not installed".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let report = String::from_utf8_lossy(&output.stderr);
    let row = report.lines().find(|line| line.ends_with(" futex"));
    // Columns: % time, seconds, usecs/call, calls, errors (when there were any), syscall. No row: no call.
    let calls = row.map_or(Some("0"), |row| row.split_whitespace().nth(3));
    calls.and_then(|calls| calls.parse().ok()).ok_or_else(|| format!("strace's report is not understood: {row:?}"))
}

fn succeeded(output: Output) -> Result<Output, String> {
    if output.status.success() {
        return Ok(output);
    }
    let report = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}", output.status, report.lines().last().unwrap_or_default()))
}

/// Time on the processor of all threads of a process, by its number or `self`; the scheduler's own statistics count nanoseconds, where
/// `times` and its relatives round to ticks that are longer than the whole allowance.
pub(crate) fn cpu_nanoseconds(process: &str) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("this row needs Linux");
    threads
        .map(|thread| thread.expect("the list of threads can be read").path().join("schedstat"))
        .map(|path| fs::read_to_string(path).expect("the kernel keeps scheduler statistics"))
        .map(|text| text.split(' ').next().and_then(|field| field.parse::<u64>().ok()).expect("a number comes first"))
        .sum()
}
