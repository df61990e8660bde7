//! A case, and what it needs of an executor.

use crate::subject::{Subject, Traits};

/// One behaviour of the contract.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// `theme.what_must_hold`.
    pub name: &'static str,
    /// The numbers of the behaviours and hard lessons it stands for.
    pub contract: &'static [&'static str],
    /// What the executor must be able to do for the case to make sense.
    pub needs: Needs,
    /// Panics if the behaviour does not hold.
    pub run: fn(&Subject),
}

impl Case {
    pub(crate) const fn new(
        name: &'static str,
        contract: &'static [&'static str],
        needs: Needs,
        run: fn(&Subject),
    ) -> Self {
        Self { name, contract, needs, run }
    }
}

/// What a case needs of an executor.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    concurrent: bool,
    workers: usize,
    queue: usize,
    bounded: bool,
    sized: bool,
    initializer: bool,
    in_process: bool,
    time_limits: bool,
}

impl Needs {
    /// Any executor will do, or the case uses none.
    pub(crate) const ANY: Self = Self {
        concurrent: false,
        workers: 1,
        queue: 0,
        bounded: false,
        sized: false,
        initializer: false,
        in_process: false,
        time_limits: false,
    };

    /// A task can be pending or running while the case observes it.
    pub(crate) const CONCURRENT: Self = Self { concurrent: true, ..Self::ANY };

    /// Tasks that must run at the same time.
    pub(crate) const fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// Tasks that must fit into the queue while no worker is free.
    pub(crate) const fn queue(self, queue: usize) -> Self {
        Self { queue, ..self }
    }

    /// The queue's capacity can be chosen.
    pub(crate) const fn bounded(self) -> Self {
        Self { bounded: true, ..self }
    }

    /// The number of workers can be chosen.
    pub(crate) const fn sized(self) -> Self {
        Self { sized: true, ..self }
    }

    /// Workers run an initializer.
    pub(crate) const fn initializer(self) -> Self {
        Self { initializer: true, ..self }
    }

    /// Tasks share memory with the case.
    pub(crate) const fn in_process(self) -> Self {
        Self { in_process: true, ..self }
    }

    /// Time limits of single tasks are enforced.
    pub(crate) const fn time_limits(self) -> Self {
        Self { time_limits: true, ..self }
    }

    /// Returns why an executor with these traits cannot run the case, if it cannot.
    pub(crate) fn unmet(&self, traits: &Traits) -> Option<String> {
        let wanted = |need: bool, has: bool, text: &str| (need && !has).then(|| text.to_owned());
        wanted(self.concurrent, traits.concurrent, "a task runs at submit, so none can be pending")
            .or_else(|| self.too_few(self.workers, traits.max_workers, "runs", "tasks at once"))
            .or_else(|| self.too_few(self.queue, traits.max_queue, "queues", "tasks"))
            .or_else(|| wanted(self.bounded, traits.bounded, "the queue's capacity cannot be chosen"))
            .or_else(|| wanted(self.sized, traits.sized, "the number of workers cannot be chosen"))
            .or_else(|| wanted(self.initializer, traits.initializer, "workers run no initializer"))
            .or_else(|| wanted(self.in_process, traits.in_process, "tasks run in another process"))
            .or_else(|| wanted(self.time_limits, traits.time_limits, "a task has no time limit"))
    }

    fn too_few(&self, need: usize, has: usize, verb: &str, what: &str) -> Option<String> {
        (need > has).then(|| format!("{verb} at most {has} {what}, the case needs {need}"))
    }
}
