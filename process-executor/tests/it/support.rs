//! What several themes share: gates that work across processes, logs, crashes, and pools for a purpose.

use crate::processes;
use crate::watchdog::step;
use executor_core::{ExecutorExt, Future, TaskError};
use process_executor::{ProcessPoolBuilder, ProcessPoolExecutor, WorkerOutput, WorkerState};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// A limit that passes soon.
pub(crate) const SHORT: Duration = Duration::from_millis(20);
/// A limit that never passes in a healthy run; the watchdog is faster.
pub(crate) const LONG: Duration = Duration::from_secs(3600);
/// Between two looks at something that tells nobody when it happens.
const LOOK: Duration = Duration::from_millis(1);

/// Waits for something that happens by itself and tells nobody; the watchdog is the deadline.
pub(crate) fn until(what: &str, mut happened: impl FnMut() -> bool) {
    step(format!("waiting until {what}"));
    while !happened() {
        thread::sleep(LOOK);
    }
}

/// A folder of this test's own, removed with all that is in it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let folder = std::env::temp_dir().join(format!("process-executor-test-{}-{number}", std::process::id()));
            match fs::create_dir(&folder) {
                Ok(()) => return Self(folder),
                // Left by a process that was killed and had the number of this one.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", folder.display()),
            }
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// A path in the folder, as text: that is what crosses.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).into_os_string().into_string().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where tasks in other processes stop until the test lets them go on. Opens when the test drops it, so that a failing test
/// leaves no task behind for which its pool would wait: declare it after the pool (which, if its initializer stops there, is
/// made after the gate, but declared before: `let pool;`).
pub(crate) struct Gate(Scratch);

/// A task's side of a gate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pass(PathBuf);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Scratch::new())
    }

    pub(crate) fn pass(&self) -> Pass {
        Pass(self.0.folder().to_owned())
    }

    pub(crate) fn open(&self) {
        self.pass().open();
    }

    /// Waits until `count` have come.
    pub(crate) fn wait_arrivals(&self, count: usize) {
        let arrived = self.0.path("arrived");
        until(&format!("{count} have arrived at a gate"), || read_lines(&arrived).len() >= count);
    }

    /// The processes that have come, in their order.
    pub(crate) fn arrivals(&self) -> Vec<u32> {
        read_lines(self.0.path("arrived")).iter().map(|line| line.parse().unwrap()).collect()
    }
}

impl Pass {
    /// The pass of the gate at that path, for a process that is told of it by its arguments.
    pub(crate) fn at(path: &str) -> Self {
        Self(path.into())
    }

    pub(crate) fn path(&self) -> String {
        self.0.to_str().unwrap().to_owned()
    }

    /// Announces the arrival only.
    pub(crate) fn arrive(&self) {
        append(self.0.join("arrived"), &format!("{}\n", std::process::id()));
    }

    /// Announces the arrival and waits until the gate is open, or gone.
    pub(crate) fn go(&self) {
        self.arrive();
        while self.0.exists() && !self.0.join("open").exists() {
            thread::sleep(LOOK);
        }
    }

    pub(crate) fn open(&self) {
        // A folder: that needs no descriptor, of which some tests have none. Gone, or there already: it is open.
        let _ = fs::create_dir(self.0.join("open"));
    }
}

/// Appends text to a file in one piece; whoever else appends comes before or after.
pub(crate) fn append(path: impl AsRef<Path>, text: &str) {
    match OpenOptions::new().append(true).create(true).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).unwrap(),
        // The folder is gone if the test is.
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
    }
}

/// The complete lines of a file.
pub(crate) fn read_lines(path: impl AsRef<Path>) -> Vec<String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            String::new()
        }
    };
    let end = text.rfind('\n').map_or(0, |end| end + 1);
    text[..end].lines().map(str::to_owned).collect()
}

/// Starts a process that goes on for longer than any test, and leaves it behind.
pub(crate) fn leave_a_child() -> u32 {
    std::process::Command::new("sleep").arg("1000").spawn().unwrap().id()
}

/// A builder whose workers' cries do not clutter the output.
pub(crate) fn quiet(workers: usize) -> ProcessPoolBuilder {
    ProcessPoolExecutor::builder().workers(workers).stderr(WorkerOutput::Null)
}

pub(crate) fn pool(workers: usize) -> ProcessPoolExecutor {
    quiet(workers).build().unwrap()
}

/// A task that any worker can do.
pub(crate) fn double(number: u64) -> u64 {
    2 * number
}

/// The process that runs it.
pub(crate) fn own_pid(_: ()) -> u32 {
    std::process::id()
}

/// Returns whether the pool still does what it is for, on every worker.
#[track_caller]
pub(crate) fn assert_works(pool: &ProcessPoolExecutor) {
    step("a pool that should still work");
    let futures: Vec<_> = (0..8).map(|number| pool.submit(double, number).unwrap()).collect();
    let results: Vec<_> = futures.into_iter().map(|future| future.result().unwrap()).collect();
    assert_eq!(results, [0, 2, 4, 6, 8, 10, 12, 14]);
}

/// Says, for whoever looks, that something could not be tested here.
pub(crate) fn note_untested(why: &str) {
    let _ = writeln!(std::io::stderr(), "not tested: {why}");
}

/// The process of a worker that is ready, once there is one.
pub(crate) fn ready_worker(pool: &ProcessPoolExecutor) -> u32 {
    let mut found = None;
    until("a worker is ready", || {
        let ready = |state| matches!(state, WorkerState::Idle | WorkerState::Busy);
        found = pool.worker_infos().iter().find(|worker| ready(worker.state())).map(|worker| worker.pid());
        found.is_some()
    });
    found.unwrap()
}

/// The text of the only death that ended the task.
#[track_caller]
pub(crate) fn only_death<R: std::fmt::Debug>(outcome: Result<R, TaskError>) -> String {
    match outcome {
        Err(TaskError::WorkerDied(death)) => {
            assert_eq!(death.deaths().len(), 1, "{death}");
            death.deaths()[0].to_string()
        }
        other => panic!("no death: {other:?}"),
    }
}

/// Waits for a future and gives its outcome.
#[track_caller]
pub(crate) fn outcome<R>(what: &str, future: Future<R>) -> Result<R, TaskError> {
    step(format!("the outcome of {what}"));
    future.result()
}

/// Ends this process as `exit` does.
#[expect(clippy::disallowed_methods, reason = "a task that exits is what is tested")]
pub(crate) fn exit(code: i32) -> ! {
    std::process::exit(code)
}

/// Goes on until its worker is ended.
pub(crate) fn wait_for_ever() -> ! {
    loop {
        thread::park();
    }
}

/// Ends this process by an invalid memory access.
pub(crate) fn write_to_nowhere() -> ! {
    let nowhere = std::ptr::without_provenance_mut::<u64>(std::hint::black_box(8));
    // SAFETY: none; this is the invalid access that is tested. The first page is never mapped, so the process ends here.
    unsafe { nowhere.write_volatile(1) };
    std::process::abort()
}

/// Ends this process by SIGKILL.
pub(crate) fn kill_self() -> ! {
    processes::send(std::process::id(), rustix::process::Signal::KILL);
    std::process::abort()
}

/// Lets an interrupt end this process, also if a shell has started the tests in the background, which makes them ignore it.
pub(crate) fn hear_interrupts() {
    // SAFETY: sets the default; nobody in this process has a handler.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
}
