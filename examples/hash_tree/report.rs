//! What the user sees: digests on standard output; errors, progress and the closing line on standard error.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use concurrent_futures::TaskError;
use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};

use crate::digest::{Digest, Failure};
use crate::walk::Walk;

const COUNTING: &str = "{spinner} {msg}, {decimal_bytes} of {decimal_total_bytes} so far, {decimal_bytes_per_sec}";
const COUNTED: &str = "{spinner} [{wide_bar}] {msg}, {decimal_bytes} of {decimal_total_bytes}, \
                       {decimal_bytes_per_sec}, {left} left";

/// Counts and prints what comes out of the tasks.
#[derive(Debug)]
pub(crate) struct Report {
    begun: Instant,
    files: u64,
    bytes: u64,
    errors: u64,
    bar: ProgressBar,
    /// Digests are printed to the terminal that shows the bar, which is then cleared for each.
    shares_terminal: bool,
}

impl Report {
    /// The clock starts here. The bar is drawn only if standard error is a terminal.
    pub(crate) fn new(root: &Path) -> Self {
        let bar = ProgressBar::new(0).with_style(style(COUNTING)).with_message(count(0, "file"));
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(100));
            count_ahead(root.to_owned(), bar.clone());
        }
        let shares_terminal = !bar.is_hidden() && io::stdout().is_terminal();
        Self { begun: Instant::now(), files: 0, bytes: 0, errors: 0, bar, shares_terminal }
    }

    /// Prints a digest; an error is one of standard output.
    pub(crate) fn digest(&mut self, digest: &Digest) -> io::Result<()> {
        let line = line(digest);
        let print = || io::stdout().lock().write_all(&line);
        if self.shares_terminal {
            self.bar.suspend(print)?
        } else {
            print()?
        }
        self.files += 1;
        self.bytes += digest.bytes;
        self.bar.inc(digest.bytes);
        self.bar.set_message(count(self.files, "file"));
        Ok(())
    }

    /// A path that could not be hashed.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        self.error(&format!("{}: {}", shown(&failure.path), failure.reason));
    }

    /// A task that ended without an answer of its own, such as by a panic.
    pub(crate) fn lost(&mut self, error: &TaskError) {
        self.error(&format!("a file could not be hashed: {error}"));
    }

    fn error(&mut self, text: &str) {
        self.errors += 1;
        self.bar.suspend(|| complain(text));
    }

    /// Returns how many paths could not be hashed.
    pub(crate) fn errors(&self) -> u64 {
        self.errors
    }

    /// Clears the bar and prints the closing line.
    pub(crate) fn close(&self, prefix: &str) {
        self.bar.finish_and_clear();
        say(format_args!("{prefix}{}", self.summary()));
    }

    fn summary(&self) -> String {
        let seconds = self.begun.elapsed().as_secs_f64();
        // Never a division by zero, however coarse the clock.
        let rate = self.bytes as f64 / 1e6 / seconds.max(1e-9);
        let (files, bytes) = (count(self.files, "file"), count(self.bytes, "byte"));
        let mut text = format!("{files}, {bytes}, {seconds:.2} s, {rate:.1} MB/s");
        if self.errors > 0 {
            text += &format!(", {}", count(self.errors, "error"));
        }
        text
    }
}

/// An error on standard error.
pub(crate) fn complain(text: &str) {
    say(format_args!("hash_tree: {text}"));
}

/// A closed standard error is no reason to stop: the digests go elsewhere.
fn say(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("left", left)
}

/// Returns the time left, unknown until the first file is done.
fn left(state: &ProgressState, out: &mut dyn fmt::Write) {
    let _ = if state.pos() == 0 { write!(out, "? s") } else { write!(out, "{:#}", HumanDuration(state.eta())) };
}

/// Walks the tree a second time, reading sizes only, so that the bar knows how much there is.
///
/// Until it is through, the bar names no time left: it would be wrong. The thread is never joined: it ends with the
/// walk, at a stop, or with the program, and writes nothing.
fn count_ahead(root: PathBuf, bar: ProgressBar) {
    bar.set_length(0);
    let count = move || {
        for path in Walk::new(&root).flatten() {
            bar.inc_length(Path::new(&path).symlink_metadata().map_or(0, |metadata| metadata.len()));
        }
        bar.set_style(style(COUNTED));
    };
    // Without the thread there is no total; the rest of the bar still works.
    let _ = thread::Builder::new().name("count ahead".to_owned()).spawn(count);
}

/// One line as `sha256sum` prints it: hash, two spaces, path; escaped and marked by a backslash where a line needs it.
fn line(digest: &Digest) -> Vec<u8> {
    let name = escaped(digest.path.as_encoded_bytes());
    let mut line = Vec::with_capacity(name.len() + 68);
    if let Cow::Owned(_) = name {
        line.push(b'\\');
    }
    for byte in digest.sha256 {
        line.extend_from_slice(format!("{byte:02x}").as_bytes());
    }
    line.extend_from_slice(b"  ");
    line.extend_from_slice(&name);
    line.push(b'\n');
    line
}

/// The bytes of a name with backslash, newline and carriage return written as two characters.
fn escaped(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'\r')) {
        return Cow::Borrowed(name);
    }
    let mut escaped = Vec::with_capacity(name.len() + 8);
    for &byte in name {
        match byte {
            b'\\' => escaped.extend_from_slice(br"\\"),
            b'\n' => escaped.extend_from_slice(br"\n"),
            b'\r' => escaped.extend_from_slice(br"\r"),
            byte => escaped.push(byte),
        }
    }
    Cow::Owned(escaped)
}

/// A path on one line, whatever its bytes: quoted and escaped only if they would disturb a terminal.
fn shown(path: &OsStr) -> Cow<'_, str> {
    match path.to_str() {
        Some(text) if !text.chars().any(char::is_control) => Cow::Borrowed(text),
        _ => Cow::Owned(format!("{path:?}")),
    }
}

fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
