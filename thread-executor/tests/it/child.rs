//! Runs one test of this binary in a process of its own, for tests of the environment, of limits, or of all threads of a
//! process.

use std::env;
use std::process::{Command, Output};

/// Set for the child; its value is the argument of the child's test. Without it such a test does nothing.
pub(crate) const VARIABLE: &str = "THREAD_EXECUTOR_CHILD";

/// Returns the argument, if this process is a child.
pub(crate) fn argument() -> Option<String> {
    env::var(VARIABLE).ok()
}

/// Returns the arguments that make this binary run `test` alone.
pub(crate) fn arguments(test: &str) -> [&str; 3] {
    ["--exact", test, "--test-threads=1"]
}

/// Runs the test of that path with that argument. `change` sets whatever else differs for it.
pub(crate) fn run(test: &str, argument: &str, change: impl FnOnce(&mut Command)) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(arguments(test)).env(VARIABLE, argument);
    change(&mut command);
    assert_passed(test, argument, &command.output().unwrap());
}

/// Panics with all that the child printed unless its test ran and passed.
pub(crate) fn assert_passed(test: &str, argument: &str, output: &Output) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let passed = output.status.success() && out.contains("1 passed");
    assert!(passed, "{test} with {argument:?} ended with {}\n{out}\n{err}", output.status);
}
