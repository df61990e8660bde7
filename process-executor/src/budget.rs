//! What workers inherit beside the program: a share of the machine, and how deep pools are nested.

use executor_core::{BuildError, WORKERS_VARIABLE};
use std::ffi::OsString;

/// How deep this process is below the program that the user started.
const DEPTH_VARIABLE: &str = "CONCURRENT_FUTURES_DEPTH";
/// Pools in workers of pools in workers, so deep and no deeper: a mistake otherwise fills the machine.
const DEEPEST: u32 = 8;

/// By these, libraries learn how many threads they may use.
const THREAD_VARIABLES: [&str; 7] = [
    "RAYON_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TOKIO_WORKER_THREADS",
];

/// The environment variables by which workers learn their share; those the user has set stay as they are.
pub(crate) fn environment(workers: usize, budget: usize) -> Result<Vec<(OsString, OsString)>, BuildError> {
    let depth = depth().saturating_add(1);
    if depth > DEEPEST {
        let text = format!(
            "pools are nested {depth} deep, at most {DEEPEST} is allowed; does a task build a pool whose tasks build a pool?"
        );
        return Err(BuildError::unavailable("a pool of processes", text));
    }
    let share = (budget / workers.max(1)).max(1).to_string();
    let unset = THREAD_VARIABLES.iter().filter(|name| std::env::var_os(name).is_none() || depth > 1);
    let mut variables: Vec<_> = unset.map(|name| (OsString::from(name), OsString::from(&share))).collect();
    variables.push((WORKERS_VARIABLE.into(), share.into()));
    variables.push((DEPTH_VARIABLE.into(), depth.to_string().into()));
    Ok(variables)
}

fn depth() -> u32 {
    std::env::var(DEPTH_VARIABLE).ok().and_then(|depth| depth.parse().ok()).unwrap_or(0)
}
