//! What the user sees: the table on standard output; what could not be parsed, and progress, on standard error.

use std::cmp::Reverse;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use concurrent_futures::TaskError;
use indicatif::{ProgressBar, ProgressStyle};

use crate::lint::Counts;
use crate::rules::Rules;

const BAR: &str = "{spinner} [{wide_bar}] {pos} of {len} files, {eta} left";

/// Collects what comes out of the tasks.
#[derive(Debug)]
pub(crate) struct Report {
    root: PathBuf,
    rules: Rules,
    parsed: Vec<(PathBuf, Counts)>,
    failed: u64,
    lost: u64,
    bar: ProgressBar,
}

impl Report {
    /// The bar is drawn only if standard error is a terminal.
    pub(crate) fn new(root: &Path, rules: Rules, files: usize) -> Self {
        let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(files as u64).with_style(style);
        Self { root: root.to_owned(), rules, parsed: Vec::new(), failed: 0, lost: 0, bar }
    }

    /// A file that was parsed.
    pub(crate) fn counts(&mut self, path: &Path, counts: Counts) {
        self.bar.inc(1);
        self.parsed.push((path.to_owned(), counts));
    }

    /// A path that could not be parsed.
    pub(crate) fn failure(&mut self, path: &Path, reason: &str) {
        self.failed += 1;
        self.error(path, reason);
    }

    /// A file that the task did not survive.
    pub(crate) fn lost(&mut self, path: &Path, error: &TaskError) {
        self.lost += 1;
        self.error(path, &in_short(error));
    }

    fn error(&self, path: &Path, reason: &str) {
        self.bar.inc(1);
        // A closed standard error is no reason to stop.
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr().lock(), "lint_rs: {}: {reason}", path.display());
        });
    }

    /// Returns whether every file was parsed.
    pub(crate) fn is_complete(&self) -> bool {
        self.failed + self.lost == 0
    }

    /// Clears the bar and prints the table, and the files with the most findings.
    pub(crate) fn print(&self, out: &mut impl Write, worst: usize) -> io::Result<()> {
        self.bar.finish_and_clear();
        let mut sum = Counts::default();
        self.parsed.iter().for_each(|(_, counts)| sum += *counts);
        let (markers, longest) = (self.rules.markers.join(", "), self.rules.longest_function);
        for (number, what) in [
            (self.parsed.len() as u64, "files parsed"),
            (self.failed, "files not parsed"),
            (self.lost, "files lost with their worker"),
            (sum.lines, "lines"),
            (sum.unsafe_blocks, "unsafe blocks"),
            (sum.markers, &*format!("{markers} in comments")),
            (sum.long_functions, &*format!("functions over {longest} lines")),
        ] {
            writeln!(out, "{number:>10}  {what}")?;
        }
        self.print_worst(out, worst)
    }

    fn print_worst(&self, out: &mut impl Write, worst: usize) -> io::Result<()> {
        let mut files: Vec<_> = self.parsed.iter().filter(|(_, counts)| counts.findings() > 0).collect();
        // The files are in the order of their paths, and a stable sort keeps that order among equals.
        files.sort_by_key(|(_, counts)| Reverse(counts.findings()));
        files.truncate(worst);
        if !files.is_empty() {
            writeln!(out, "\n{:>10}{:>10}{:>10}  file", "unsafe", "marked", "long")?;
        }
        for (path, Counts { unsafe_blocks, markers, long_functions, .. }) in files {
            let path = path.strip_prefix(&self.root).ok().filter(|path| *path != Path::new("")).unwrap_or(path);
            writeln!(out, "{unsafe_blocks:>10}{markers:>10}{long_functions:>10}  {}", path.display())?;
        }
        Ok(())
    }
}

/// Returns what happened, without the task's number and place, which say nothing beside the path.
fn in_short(error: &TaskError) -> String {
    match error {
        TaskError::WorkerDied(death) => {
            let deaths: Vec<_> = death.deaths().iter().map(|death| death.exit()).collect();
            format!("its worker {}", deaths.join("; "))
        }
        TaskError::TimedOut(expired) => format!("took longer than {:?}", expired.limit()),
        error => error.to_string(),
    }
}
