//! CPython's process pools: scripts that time themselves, run by the `python3` of the machine.

use std::io;
use std::process::Command;

use super::WORKERS;

/// `ProcessPoolExecutor.submit(..).result()`, one at a time; argument: how many tasks.
pub(crate) const ROUND_TRIP: &str = include_str!("executor_round_trip.py");
/// `multiprocessing.Pool.apply_async`, then `get` of each; argument: how many tasks.
pub(crate) const SUBMIT_COLLECT: &str = include_str!("pool_submit_collect.py");
/// `multiprocessing.Pool.map` with its own chunks; argument: how many items.
pub(crate) const MAP: &str = include_str!("pool_map.py");
/// `ProcessPoolExecutor.submit` of a `bytes`; arguments: how many tasks, how many bytes.
pub(crate) const LARGE: &str = include_str!("executor_large.py");

/// Returns whether scripts can run; the error is a reason for the table.
pub(crate) fn available() -> Result<(), String> {
    match python("import concurrent.futures, multiprocessing", &[]).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("python3 without process pools: {}", output.status)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("python3 not found".to_owned()),
        Err(error) => Err(format!("python3: {error}")),
    }
}

/// Runs a script in an interpreter of its own; it prints the nanoseconds that one task took.
pub(crate) fn nanoseconds_per_task(script: &str, arguments: &[u64]) -> f64 {
    let output = python(script, arguments).output().expect("python3 was there when the row was built");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the script failed: {report}");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("the script prints one number")
}

/// A script's first argument is the number of workers.
fn python(script: &str, arguments: &[u64]) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(WORKERS.to_string()).args(arguments.iter().map(u64::to_string));
    command
}
