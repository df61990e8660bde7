//! Runs the built examples as programs: real files, real signals, real pipes.
//!
//! No test depends on how fast anything is. Where a program must be caught in the middle of its work, it hashes a file
//! of a terabyte that takes no room on the disk, until the test cuts that file short. Every wait has a limit far beyond
//! what it takes, and says what hung.

#[cfg(all(target_os = "linux", feature = "before-main"))]
mod processes;
#[cfg(unix)]
mod tree;

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// Far beyond what any program here takes, even unoptimized on a loaded machine.
const LIMIT: Duration = Duration::from_secs(120);

/// How often a wait without an event of its own looks again.
const LOOK: Duration = Duration::from_millis(5);

const EXECUTORS: &[&str] = if cfg!(all(target_os = "linux", feature = "before-main")) {
    &["serial", "threads:1", "threads:4", "threads", "processes:1", "processes:4", "processes", "processes?"]
} else {
    &["serial", "threads:1", "threads:4", "threads"]
};

/// Returns the executors that work while the submitting thread goes on.
fn parallel_executors() -> impl Iterator<Item = &'static str> {
    EXECUTORS.iter().copied().filter(|executor| *executor != "serial")
}

/// Returns the path of an example, which Cargo builds next to the tests whenever it builds all targets.
fn example(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the test knows its own path");
    let profile = test.parent().and_then(Path::parent).expect("tests are built in target/PROFILE/deps");
    let path = profile.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is not built: run `cargo test` or `cargo build --examples` first", path.display());
    path
}

/// Returns the command of an example whose output the test reads.
fn command(name: &str, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Command {
    let mut command = Command::new(example(name));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The examples do not take their worker count from the tests' environment.
    command.env_remove("CONCURRENT_FUTURES_WORKERS");
    // Nor do they make backtraces, which would count as time of a task that panics.
    command.env_remove("RUST_BACKTRACE");
    command
}

/// Runs an example to its end.
fn run(name: &str, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Ended {
    Running::start(&mut command(name, args)).end()
}

/// The output and the exit status of a program.
#[derive(Debug)]
struct Ended {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: String,
}

impl Ended {
    #[track_caller]
    fn assert_code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        self
    }

    #[track_caller]
    fn stdout(&self) -> &str {
        str::from_utf8(&self.stdout).expect("the output is text")
    }
}

/// A running program. Its output is read all the time, so it never waits for the test, and it does not outlive the test.
struct Running {
    child: Child,
    what: String,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {what}: {error}"));
        let (stdout, stderr) = (lines(child.stdout.take()), lines(child.stderr.take()));
        Self { child, what, stdout, stderr }
    }

    /// Waits for the next line on standard output.
    fn line(&self) -> Vec<u8> {
        let line = self.stdout.recv_timeout(LIMIT);
        line.unwrap_or_else(|error| panic!("no line from {} after {LIMIT:?}: {error}", self.what))
    }

    /// Waits for the end.
    fn end(mut self) -> Ended {
        let status = self.status();
        // The program is gone, and with it the other end of both pipes.
        let stdout = self.stdout.iter().flatten().collect();
        let stderr = String::from_utf8_lossy(&self.stderr.iter().flatten().collect::<Vec<_>>()).into_owned();
        Ended { status, stdout, stderr }
    }

    fn status(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(begun.elapsed() < LIMIT, "hung: {} did not end within {LIMIT:?}", self.what);
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Running {
    /// Matters only if the test fails; an ended child cannot be killed.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads lines, newlines included, on a thread of their own. Without a source there are no lines.
fn lines(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    let Some(stream) = stream else { return receiver };
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    receiver
}

#[test]
fn primes_prints_what_the_documentation_of_python_shows() {
    let expected = "\
112272535095293 is prime: True
112582705942171 is prime: True
112272535095293 is prime: True
115280095190773 is prime: True
115797848077099 is prime: True
1099726899285419 is prime: False
";
    for &executor in EXECUTORS {
        let ended = run("primes", ["--executor", executor]).assert_code(0);
        assert_eq!((ended.stdout(), &*ended.stderr), (expected, ""), "{executor}");
    }
}

#[test]
fn first_answer_is_right_and_the_others_are_accounted_for() {
    const BITS: usize = 10;
    for &executor in EXECUTORS {
        let args = ["--executor", executor, "--bits", &BITS.to_string(), "--text", "riddle "];
        let ended = run("first_answer", args).assert_code(0);
        let lines: Vec<_> = ended.stdout().lines().collect();
        let [others, winner, proof] = lines[..] else { panic!("{executor}: {ended:#?}") };
        assert_eq!(numbers(others).iter().sum::<u64>(), 7, "{executor}: eight solvers, one winner: {others}");
        let number = numbers(winner)[0];
        let hash = format!("{:x}", Sha256::digest(format!("riddle {number}")));
        assert!(u128::from_str_radix(&hash[..32], 16).expect("hexadecimal").leading_zeros() as usize >= BITS, "{hash}");
        assert_eq!(proof, format!("sha256(\"riddle {number}\") = {hash}"));
    }
}

#[test]
fn first_answer_gives_up_when_its_time_is_over() {
    let ended = run("first_answer", ["--executor", "threads:2", "--bits", "256", "--timeout", "0.1"]).assert_code(1);
    let lines: Vec<_> = ended.stdout().lines().collect();
    let [late, others, verdict] = lines[..] else { panic!("{ended:#?}") };
    assert_eq!(late, "8 solvers have no answer after 100ms");
    assert_eq!(numbers(others).iter().sum::<u64>(), 8, "{others}");
    assert_eq!(verdict, "no answer");
}

#[test]
fn first_answer_limits_each_solver() {
    for &executor in EXECUTORS {
        let args = ["--executor", executor, "--bits", "256", "--solver-timeout", "0.02"];
        let ended = run("first_answer", args).assert_code(1);
        let timeouts = ended.stdout().lines().filter(|line| line.contains("ran longer than its limit of 20ms")).count();
        assert_eq!(timeouts, 8, "{executor}: {ended:#?}");
        assert!(ended.stdout().ends_with("no answer\n"), "{executor}: {ended:#?}");
    }
}

#[test]
fn an_unknown_executor_is_wrong_usage() {
    for name in ["primes", "first_answer", "hash_tree"] {
        for executor in ["teams", "threads:none", "threads:0", "processes:0", "processes??", ""] {
            let ended = run(name, ["--executor", executor]).assert_code(2);
            assert!(ended.stdout.is_empty() && ended.stderr.contains("--executor"), "{name} {executor}: {ended:#?}");
        }
    }
}

/// The whole numbers in a text, in order.
fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}
