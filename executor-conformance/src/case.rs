//! A case, what it needs, and the report of running all of them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use crate::cases::THEMES;
use crate::subject::{Subject, Traits};
use crate::watchdog;

/// Only the cases whose name contains this variable's value are run, to work on one of them.
const FILTER: &str = "EXECUTOR_CONFORMANCE_CASE";

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
    /// Any executor will do, or none is used at all.
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

    /// A task can be pending or running while the case looks at it.
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

    /// Why an executor with these traits cannot run the case, if it cannot.
    fn unmet(&self, traits: &Traits) -> Option<String> {
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

/// Every case of every theme, in the order in which they run.
pub fn cases() -> &'static [Case] {
    static ALL: LazyLock<Vec<Case>> = LazyLock::new(|| THEMES.iter().flat_map(|theme| theme.iter().copied()).collect());
    &ALL
}

/// Runs every applicable case against `subject`, each under the watchdog.
pub fn run_all(subject: &Subject) -> Report {
    let filter = std::env::var(FILTER).unwrap_or_default();
    let mut report =
        Report { subject: subject.name, passed: Vec::new(), failed: Vec::new(), not_applicable: Vec::new() };
    for case in cases().iter().filter(|case| case.name.contains(&filter)) {
        report.add(case, subject);
    }
    report
}

/// What became of every case.
#[derive(Debug)]
#[must_use = "a report with failures is silent until `assert_passed`"]
pub struct Report {
    /// The executor's name.
    pub subject: &'static str,
    /// Names of the cases that held.
    pub passed: Vec<&'static str>,
    /// Cases that did not hold, with the text of the panic.
    pub failed: Vec<(&'static Case, String)>,
    /// Cases the executor cannot run, with the reason.
    pub not_applicable: Vec<(&'static str, String)>,
}

impl Report {
    /// Panics with the list of everything that failed.
    ///
    /// # Panics
    /// If a case failed, or if none ran.
    pub fn assert_passed(&self) {
        assert!(!self.passed.is_empty() || !self.failed.is_empty(), "no case ran for {}", self.subject);
        let names: Vec<_> = self.failed.iter().map(|(case, text)| format!("{}: {text}", case.name)).collect();
        assert!(names.is_empty(), "{} failed {} cases:\n  {}", self.subject, names.len(), names.join("\n  "));
    }

    fn add(&mut self, case: &'static Case, subject: &Subject) {
        if let Some(reason) = case.needs.unmet(&subject.traits) {
            self.not_applicable.push((case.name, reason));
            return;
        }
        let ran = catch_unwind(AssertUnwindSafe(|| watchdog::guard(subject.name, case.name, || (case.run)(subject))));
        match ran {
            Ok(()) => self.passed.push(case.name),
            Err(payload) => self.failed.push((case, panic_text(payload.as_ref()))),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, failed, skipped) = (self.passed.len(), self.failed.len(), self.not_applicable.len());
        writeln!(f, "{}: {passed} cases passed, {failed} failed, {skipped} not applicable", self.subject)?;
        for (case, text) in &self.failed {
            writeln!(f, "  FAILED {} {:?}: {text}", case.name, case.contract)?;
        }
        for (name, reason) in &self.not_applicable {
            writeln!(f, "  not applicable {name}: {reason}")?;
        }
        Ok(())
    }
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        return (*text).to_owned();
    }
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic without text".to_owned())
}
