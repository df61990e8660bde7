//! What the threads of a round share.

use std::sync::{Arc, Weak};

use executor_core::Future;
use parking_lot::Mutex;

use crate::entry::Entry;
use crate::home;
use crate::plan::Plan;
use crate::pool::Pool;
use crate::values::Value;

/// A future and the books of its task; `wait` and `as_completed` take such pairs.
pub(crate) type Held = (Arc<Entry>, Future<Value>);

/// What the threads of a round share.
pub(crate) struct Shared {
    pub(crate) seed: u64,
    /// One of threads, or several of processes.
    pub(crate) pools: Vec<Arc<Pool>>,
    /// All pools, for the report of a hang.
    pub(crate) watched: Arc<Mutex<Vec<Weak<Pool>>>>,
    /// Futures that one thread gave up for another to take.
    pub(crate) swapped: Mutex<Vec<Held>>,
    pub(crate) entries: Mutex<Vec<Arc<Entry>>>,
}

impl Shared {
    pub(crate) fn new(plan: &Plan) -> Self {
        let pools = plan.build();
        let watched = Arc::new(Mutex::new(pools.iter().map(Arc::downgrade).collect()));
        Self { seed: plan.seed, pools, watched, swapped: Mutex::default(), entries: Mutex::default() }
    }

    /// The books of a task that no actor made.
    pub(crate) fn entry(&self, origin: &'static str) -> Arc<Entry> {
        let entry = home::open_books(origin);
        self.entries.lock().push(Arc::clone(&entry));
        entry
    }
}
