//! Runs one test of this binary in a process of its own: a program that is killed, or whose limits, environment or
//! descriptors are what is tested.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::process::{Child, Command, ExitStatus, Output};

/// Set for the child; its value is the argument of the child's test. Without it such a test does nothing.
pub(crate) const VARIABLE: &str = "PROCESS_EXECUTOR_CHILD";

/// The argument, if this process is a child.
pub(crate) fn argument() -> Option<String> {
    env::var(VARIABLE).ok()
}

/// The command that runs the test of that path with that argument.
pub(crate) fn command(test: &str, argument: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--test-threads=1", "--nocapture"]).env(VARIABLE, argument);
    command
}

/// Has another program start the command's, whose path it is told and whose arguments follow its own.
pub(crate) fn start_by(command: &mut Command, starter: impl FnOnce(&OsStr) -> Command) {
    let started = std::mem::replace(command, starter(command.get_program()));
    command.args(started.get_args());
    command.envs(started.get_envs().filter_map(|(name, value)| Some((name, value?))));
}

/// Runs the test of that path with that argument and expects it to pass; `change` sets what else is different for it.
///
/// It returns when nobody has the child's output open any more, so a worker that outlives its parent makes it hang.
pub(crate) fn run(test: &str, argument: &str, change: impl FnOnce(&mut Command)) -> Output {
    crate::watchdog::step(format!("the child {test} with {argument:?}"));
    let mut command = command(test, argument);
    change(&mut command);
    let output = command.output().unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let passed = output.status.success() && out.contains("1 passed");
    assert!(passed, "{test} with {argument:?} ended with {}\n{out}\n{err}", output.status);
    output
}

/// A child that runs beside the test; killed with it if the test fails.
pub(crate) struct Running(Child);

impl Running {
    /// Starts the test of that path with that argument. All that it says goes to the file.
    pub(crate) fn start(test: &str, argument: &str, said: &str, change: impl FnOnce(&mut Command)) -> Self {
        let said = File::create(said).unwrap();
        let mut command = command(test, argument);
        command.stdout(said.try_clone().unwrap()).stderr(said);
        change(&mut command);
        Self(command.spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        crate::watchdog::step(format!("the end of the child {}", self.pid()));
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Bytes as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
