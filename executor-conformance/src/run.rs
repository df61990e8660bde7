//! All cases, run against one executor, and the report of that.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use crate::case::Case;
use crate::cases::THEMES;
use crate::subject::Subject;
use crate::watchdog;

/// Only the cases whose name contains this variable's value are run, to work on one of them.
const FILTER: &str = "EXECUTOR_CONFORMANCE_CASE";

/// Returns every case of every theme, in the order in which they run.
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

/// The outcome of every case.
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
