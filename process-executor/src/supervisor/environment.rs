//! What workers inherit besides the program: a share of the machine, and how deep pools are nested.

use executor_core::{BuildError, WORKERS_VARIABLE};
use std::ffi::OsString;

/// Which of the variables below were set by a pool, and not by the user.
const SHARED_VARIABLE: &str = "CONCURRENT_FUTURES_SHARED";
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

/// Returns the environment of workers: what the user has `chosen` for them, and the variables by which they learn their share; those
/// the user has set stay as they are, also in workers of workers.
pub(crate) fn environment(
    workers: usize,
    budget: usize,
    chosen: &[(OsString, OsString)],
) -> Result<Vec<(OsString, OsString)>, BuildError> {
    let depth = depth().saturating_add(1);
    if depth > DEEPEST {
        let text = format!(
            "pools are nested {depth} deep, at most {DEEPEST} is allowed; does a task build a pool whose tasks build a pool?"
        );
        return Err(BuildError::unavailable("a pool of processes", text));
    }
    let share = (budget / workers.max(1)).max(1).to_string();
    let set_by_a_pool = std::env::var(SHARED_VARIABLE).unwrap_or_default();
    let is_free = |name: &&str| {
        let is_chosen = chosen.iter().any(|(chosen, _)| chosen == name);
        !is_chosen && (std::env::var_os(name).is_none() || set_by_a_pool.split(',').any(|set| set == *name))
    };
    let shared: Vec<&str> = THREAD_VARIABLES.into_iter().filter(is_free).collect();
    let mut variables: Vec<_> = shared.iter().map(|name| (OsString::from(name), OsString::from(&share))).collect();
    variables.push((SHARED_VARIABLE.into(), shared.join(",").into()));
    variables.push((WORKERS_VARIABLE.into(), share.into()));
    variables.push((DEPTH_VARIABLE.into(), depth.to_string().into()));
    variables.extend(chosen.iter().cloned());
    Ok(variables)
}

fn depth() -> u32 {
    std::env::var(DEPTH_VARIABLE).ok().and_then(|depth| depth.parse().ok()).unwrap_or(0)
}
