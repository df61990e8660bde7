//! Whether the tasks run in other processes, and what may become of them there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use executor_core::WorkerDeath;
use parking_lot::RwLock;

/// The tasks of this program run in other processes. A flag of its own, so that threads share nothing else.
static REMOTE: AtomicBool = AtomicBool::new(false);
static LENIENCY: RwLock<Leniency> = RwLock::new(Leniency { deaths: false, breakdowns: false, limits: false });
/// Which task each dead worker of the round took along.
static DEATHS: RwLock<Option<HashMap<u32, u64>>> = RwLock::new(None);

/// From now on tasks run in other processes.
pub(crate) fn set_out() {
    REMOTE.store(true, Relaxed);
}

pub(crate) fn is_remote() -> bool {
    REMOTE.load(Relaxed)
}

/// What a round does to its workers, and what may therefore become of its tasks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Leniency {
    /// Workers are killed: any task may die.
    pub(crate) deaths: bool,
    /// Workers are killed before they are ready: a pool may break.
    pub(crate) breakdowns: bool,
    /// The pools limit each run, so that an item of `map` may run in vain, and then again.
    pub(crate) limits: bool,
}

/// A round begins, whose workers get this done to them.
pub(crate) fn begin_round(leniency: Leniency) {
    *LENIENCY.write() = leniency;
    *DEATHS.write() = Some(HashMap::new());
}

/// That of the round under way, or of the one that was.
pub(crate) fn leniency() -> Leniency {
    *LENIENCY.read()
}

/// Notes whom a worker took along; returns another task that it took as well, which it must not.
pub(crate) fn other_victim(number: u64, death: &WorkerDeath) -> Option<u64> {
    let mut deaths = DEATHS.write();
    let deaths = deaths.as_mut()?;
    death.deaths().iter().map(|death| *deaths.entry(death.pid()).or_insert(number)).find(|victim| *victim != number)
}
