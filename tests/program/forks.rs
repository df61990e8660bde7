//! T7: a program forks while it has executors. The copy gets errors, and costs the program nothing.

use crate::child;
use crate::executors::{POOLS, double, executor};
use crate::watchdog::{step, watched};
use concurrent_futures::{
    AsCompleted, Executor, ExecutorExt, Future, ProcessPoolExecutor, SerialExecutor, Shutdown, SubmitError, TaskError,
    ThreadPoolExecutor, as_completed,
};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How often the callback of a future of the program has run in this process.
static CALLED: AtomicUsize = AtomicUsize::new(0);

/// Forks. Returns 0 in the child, which ends with the program.
fn fork() -> libc::pid_t {
    // SAFETY: the C library makes its own state usable in the child, and what else is used there is what is tested.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: concerns this process alone.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    }
    child
}

/// Waits for a child and returns its exit code.
fn end_of(child: libc::pid_t) -> i32 {
    step(format!("the end of the fork {child}"));
    let mut status = 0;
    // SAFETY: our own child, and a place for its status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "ended by signal {}", libc::WTERMSIG(status));
    libc::WEXITSTATUS(status)
}

/// Runs `run` in a fork, and ends the fork.
fn in_the_fork(run: impl FnOnce()) -> ! {
    let failed = catch_unwind(AssertUnwindSafe(run)).is_err();
    // SAFETY: ends the process at once, without the exit handlers, which are the program's.
    unsafe { libc::_exit(i32::from(failed)) }
}

fn wait_for_file(path: PathBuf) -> u64 {
    while !path.exists() {
        thread::sleep(Duration::from_millis(1));
    }
    7
}

/// What a program has when it forks.
struct Held {
    executor: Box<dyn Executor>,
    running: Future<u64>,
    queued: Future<u64>,
    waited_for: Future<u64>,
    set: AsCompleted<Future<u64>>,
}

impl Held {
    fn new(name: &str, file: &Path) -> Self {
        let executor = executor(name);
        assert_eq!(executor.submit(double, 1).unwrap().result().unwrap(), 2);
        let running = executor.submit(wait_for_file, file.to_owned()).unwrap();
        running.add_done_callback(|_| {
            CALLED.fetch_add(1, Ordering::Relaxed);
        });
        while !running.is_running() {
            thread::yield_now();
        }
        let queued = executor.submit(double, 5).unwrap();
        let waited_for = executor.submit(double, 6).unwrap();
        let set = as_completed([executor.submit(double, 7).unwrap()]);
        Self { executor, running, queued, waited_for, set }
    }
}

#[track_caller]
fn assert_elsewhere(error: &TaskError) {
    assert!(matches!(error, TaskError::Broken(..)), "{error}");
    assert!(error.to_string().contains("made before a fork"), "{error}");
}

/// Makes every call that could hang there, or reach the program's workers.
fn use_in_the_fork(held: Held) {
    let Held { executor, running, queued, waited_for, mut set } = held;
    let Err(SubmitError::Broken(broken)) = executor.submit(double, 1) else { panic!("it took a task") };
    assert!(broken.to_string().contains("made before a fork"), "{broken}");
    assert!(!executor.try_submit(double, 1).unwrap_err().is_full());
    let refused: Vec<_> = executor.map(double, [1, 2]).collect();
    assert!(matches!(&refused[..], [Err(TaskError::Refused(SubmitError::Broken(_)))]), "{refused:?}");

    assert!(!running.cancel() && !running.is_running() && running.is_done());
    let (sender, receiver) = mpsc::channel();
    running.add_done_callback(move |outcome| sender.send(outcome.is_err()).unwrap());
    assert!(receiver.recv().unwrap());
    running.stop();
    assert_elsewhere(&running.result().unwrap_err());
    assert_elsewhere(&queued.result().unwrap_err());
    let done = concurrent_futures::wait([waited_for], None, concurrent_futures::ReturnWhen::FirstCompleted).done;
    assert_elsewhere(done[0].exception().unwrap());
    assert_elsewhere(&set.next().unwrap().result().unwrap_err());
    assert_eq!(CALLED.load(Ordering::Relaxed), 0, "a callback of the program ran in its fork");

    executor.shutdown(Shutdown::wait().cancel_futures());
    executor.shutdown_timeout(Duration::MAX).unwrap();
    let _ = executor.workers();
    drop(executor);

    for built in [ThreadPoolExecutor::with_workers(1).map(drop), ProcessPoolExecutor::with_workers(1).map(drop)] {
        let refused = built.unwrap_err();
        assert!(refused.to_string().contains("fork before the first executor is built"), "{refused}");
    }
    assert_eq!(SerialExecutor::new().submit(double, 21).unwrap().result().unwrap(), 42);
}

#[test]
fn a_fork_gets_errors_and_its_parent_the_results() {
    watched(|| {
        for name in POOLS {
            child::run("forks::forks", name, |_| ());
        }
    });
}

#[test]
fn forks() {
    let Some(name) = child::argument() else { return };
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("go on");
        let held = Held::new(&name, &file);
        let child = fork();
        if child == 0 {
            in_the_fork(|| use_in_the_fork(held));
        }
        assert_eq!(end_of(child), 0, "the fork's own words stand above");
        let Held { executor, running, queued, waited_for, set } = held;
        fs::write(&file, "").unwrap();
        step("the results of what was submitted before the fork");
        assert_eq!(running.result().unwrap(), 7);
        assert_eq!([queued.result().unwrap(), waited_for.result().unwrap()], [10, 12]);
        assert_eq!(set.map(|future| future.result().unwrap()).collect::<Vec<_>>(), [14]);
        assert_eq!(CALLED.load(Ordering::Relaxed), 1);
        step("a task after the fork");
        assert_eq!(executor.submit(double, 8).unwrap().result().unwrap(), 16);
        executor.shutdown(Shutdown::wait());
    });
}

#[test]
fn a_task_of_a_thread_forks_and_its_copy_returns() {
    watched(|| child::run("forks::returns_from_a_task", "", |_| ()));
}

/// The copy of a worker's thread ends, and takes no task of the program.
#[test]
fn returns_from_a_task() {
    if child::argument().is_none() {
        return;
    }
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let pool = ThreadPoolExecutor::with_workers(1).unwrap();
        let (go, gate) = mpsc::channel::<()>();
        let forks = pool
            .spawn(move || {
                gate.recv().unwrap();
                fork()
            })
            .unwrap();
        let behind = pool
            .spawn({
                let log = log.clone();
                move || {
                    use std::io::Write;
                    let mut log = fs::OpenOptions::new().append(true).create(true).open(log).unwrap();
                    log.write_all(b"ran\n").unwrap();
                }
            })
            .unwrap();
        go.send(()).unwrap();
        let child = forks.result().unwrap();
        assert_eq!(end_of(child), 0);
        behind.result().unwrap();
        drop(pool);
        assert_eq!(fs::read_to_string(log).unwrap(), "ran\n");
    });
}
