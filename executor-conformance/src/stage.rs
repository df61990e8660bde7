//! What a case works with: an executor, and the gates its tasks meet it at.

use executor_core::{Executor, ExecutorExt, Future};

use crate::gate::{Gate, Gates, Log};
use crate::subject::{Config, Subject};
use crate::{step, tasks};

/// The fields drop in this order: the gates open before the executor waits for its tasks, so a failed case cannot hang.
pub(crate) struct Stage {
    gates: Gates,
    pool: Option<Box<dyn Executor>>,
}

impl Stage {
    /// Returns a stage with an executor as the subject builds it by itself.
    pub(crate) fn new(subject: &Subject) -> Self {
        Self::with(subject, Config::default())
    }

    /// Returns a stage with an executor as the case asks for it.
    pub(crate) fn with(subject: &Subject, config: Config) -> Self {
        Self { gates: Gates::new(), pool: Some(subject.build(&config)) }
    }

    /// Returns a stage with an executor of this many workers.
    pub(crate) fn workers(subject: &Subject, workers: usize) -> Self {
        Self::with(subject, Config { workers: Some(workers), ..Config::default() })
    }

    pub(crate) fn pool(&self) -> &dyn Executor {
        self.pool.as_deref().expect("the case dropped its executor already")
    }

    /// Drops the executor now.
    pub(crate) fn drop_pool(&mut self) {
        step("dropping the executor");
        self.pool = None;
    }

    pub(crate) fn gate(&self, name: &str) -> Gate {
        self.gates.gate(name)
    }

    pub(crate) fn log(&self, name: &str) -> Log {
        self.gates.log(name)
    }

    /// Occupies every worker, so that all tasks submitted next stay pending.
    pub(crate) fn occupy(&self) -> Occupied {
        let (gate, workers) = (self.gate("occupied"), self.pool().workers());
        let mut blockers = Vec::new();
        for begun in 1..=workers {
            blockers.push(self.pool().submit(tasks::pass, gate.clone()).expect("a fresh executor accepts tasks"));
            // One after the other: the queue may be shorter than the number of workers.
            gate.wait_arrivals(begun);
        }
        Occupied { gate, blockers }
    }
}

/// Every worker is inside a task that waits at one gate.
pub(crate) struct Occupied {
    gate: Gate,
    blockers: Vec<Future<()>>,
}

impl Occupied {
    /// Frees every worker, and waits until their tasks have ended.
    pub(crate) fn release(self) {
        self.open();
        step("waiting for the blockers to end");
        for blocker in self.blockers {
            blocker.result().expect("a blocker only waits at its gate");
        }
    }

    /// Frees every worker.
    pub(crate) fn open(&self) {
        self.gate.open();
    }

    /// The futures of the tasks that occupy the workers.
    pub(crate) fn blockers(&self) -> &[Future<()>] {
        &self.blockers
    }
}
