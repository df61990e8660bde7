//! Copies of this test's executable that are run.

use std::env;
use std::process::Command;

/// Copies the executable of this test to `path`.
///
/// Another process writes the copy. The system runs no file that is open for writing anywhere ("text file busy"), and if this
/// process wrote it, a child that another thread starts meanwhile would have it open until it runs its own program.
#[track_caller]
pub(crate) fn copy_to(path: &str) {
    let copied = Command::new("cp").arg(env::current_exe().unwrap()).arg(path).status().unwrap();
    assert!(copied.success(), "cp ended with {copied}");
}
