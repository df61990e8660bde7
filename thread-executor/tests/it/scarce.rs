//! H25: a system that gives no more threads. The pool says so, leaves nothing half done, and goes on when it can.
//!
//! The limit on a user's threads is set on a child under a user of its own, since it does not bind the superuser. The
//! child uses up what the limit leaves, so that each test decides how many threads the pool can have.

#![cfg(target_os = "linux")]

use crate::child;
use crate::program;
use crate::support::{Counter, Gate, Pass, occupy, thread_name, until};
use crate::watchdog::{step, watched};
use executor_core::{Executor, Shutdown, SubmitError, TaskOptions, is_stop_requested};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use std::{env, fs, process, ptr, thread};
use thread_executor::ThreadPoolExecutor;

/// How many threads and processes a child may have.
const LIMIT: usize = 24;

/// Runs the child's test under the limit, or prints why it cannot.
fn run_limited(test: &str) {
    static USERS: AtomicU32 = AtomicU32::new(0);
    // No other process has this user's number, so the limit counts the child alone.
    let user = 100_000 + (process::id() % 50_000) * 10 + USERS.fetch_add(1, Ordering::Relaxed) % 10;
    let with_limit = |program: &str| {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()]);
        command.args(["prlimit".to_owned(), format!("--nproc={LIMIT}:{LIMIT}"), program.to_owned()]);
        command
    };
    let reason = match with_limit("true").output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("setpriv: {error}")),
    };
    if let Some(reason) = reason {
        // Not a macro of std, whose output the test harness drops when the test passes.
        let _ = writeln!(io::stderr(), "not tested: {test}: it needs a user of its own: {reason}");
        return;
    }
    let folder = Folder::new(user);
    let program = folder.0.join("it");
    program::copy_to(program.to_str().unwrap());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = with_limit(program.to_str().unwrap());
    command.args(child::arguments(test)).env(child::VARIABLE, "limited").current_dir(&folder.0);
    child::assert_passed(test, "limited", &command.output().unwrap());
}

/// A folder that every user may read, for a copy of this program.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(user: u32) -> Self {
        let folder = env::temp_dir().join(format!("thread-executor-it-{}-{user}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Holds all the threads that the limit leaves.
struct Occupied {
    threads: Vec<(Gate, thread::JoinHandle<()>)>,
}

impl Occupied {
    fn all() -> Self {
        let mut occupied = Self { threads: Vec::new() };
        occupied.fill();
        assert!((1..=LIMIT).contains(&occupied.threads.len()), "the limit does not hold");
        occupied
    }

    fn fill(&mut self) {
        let start = |pass: Pass| thread::Builder::new().stack_size(64 * 1024).spawn(move || pass.go());
        loop {
            let gate = Gate::new();
            match start(gate.pass()) {
                Ok(thread) => self.threads.push((gate, thread)),
                Err(_) => return,
            }
            assert!(self.threads.len() <= LIMIT, "the limit does not hold");
        }
    }

    /// Ends `count` of the threads. The system counts each a moment longer.
    fn free(&mut self, count: usize) {
        for _ in 0..count {
            let (gate, thread) = self.threads.pop().unwrap();
            gate.open();
            thread.join().unwrap();
        }
    }
}

fn is_child() -> bool {
    child::argument().is_some()
}

#[test]
fn h25_without_a_first_thread_submit_fails_and_recovers() {
    watched(|| run_limited("scarce::child_without_the_first_thread"));
}

#[test]
fn child_without_the_first_thread() {
    if !is_child() {
        return;
    }
    watched(|| {
        let pool = ThreadPoolExecutor::builder().workers(2).queue_capacity(1).build().unwrap();
        let mut occupied = Occupied::all();
        let (ran, drops) = (Counter::default(), Counter::default());
        for _ in 0..5 {
            let (ran, value) = (ran.clone(), crate::support::CountDrop(drops.clone()));
            let refused = pool.spawn(move || {
                let _value = value;
                ran.add()
            });
            let Err(SubmitError::NoWorkers(error)) = refused else { panic!("{refused:?}") };
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
            assert!(SubmitError::NoWorkers(error).to_string().contains("raise the limit"));
        }
        // Nothing is left behind: no task, no count, no permit.
        let stats = pool.stats();
        assert_eq!((stats.workers, stats.queued, stats.completed, stats.failed), (0, 0, 0, 0));
        assert_eq!((ran.get(), drops.get()), (0, 5));
        occupied.free(1);
        let mut future = None;
        until("the system counts the thread as gone", || {
            future = pool.spawn(|| 7).ok();
            future.is_some()
        });
        assert_eq!(future.unwrap().result().unwrap(), 7);
        pool.shutdown(Shutdown::wait());
        assert_eq!(pool.stats().completed, 1);
    });
}

#[test]
fn h25_without_a_later_thread_the_pool_works_on() {
    watched(|| run_limited("scarce::child_without_a_later_thread"));
}

#[test]
fn child_without_a_later_thread() {
    if !is_child() {
        return;
    }
    watched(|| {
        let pool = ThreadPoolExecutor::builder().workers(4).build().unwrap();
        pool.spawn(|| ()).unwrap().result().unwrap();
        let mut occupied = Occupied::all();
        let gate = Gate::new();
        let spawn = || {
            let pass = gate.pass();
            pool.spawn(move || pass.go()).unwrap()
        };
        let mut futures: Vec<_> = (0..10).map(|_| spawn()).collect();
        gate.wait_arrivals(1);
        assert_eq!((pool.stats().workers, pool.stats().queued), (1, 9));
        // Each further submit tries again, so the pool grows by what there is, and no more.
        occupied.free(2);
        until("the pool has what the system gives", || {
            futures.push(spawn());
            pool.stats().workers == 3
        });
        futures.extend((0..10).map(|_| spawn()));
        assert_eq!(pool.stats().workers, 3);
        gate.open();
        step("tasks on fewer workers than asked for");
        futures.into_iter().for_each(|future| future.result().unwrap());
        drop(pool);
        occupied.free(1);
    });
}

#[test]
fn h25_without_a_fresh_stack_a_nest_goes_on() {
    watched(|| run_limited("scarce::child_without_a_fresh_stack"));
}

fn address() -> usize {
    let marker = 0_u8;
    ptr::from_ref(std::hint::black_box(&marker)).addr()
}

/// A nest deeper than half of the stack goes on on the same stack, as long as there is any.
#[test]
fn child_without_a_fresh_stack() {
    const STACK: usize = 8 * 1024 * 1024;
    fn nest(pool: &Arc<ThreadPoolExecutor>, base: usize) -> usize {
        if address().abs_diff(base) > STACK / 10 * 7 {
            return 0;
        }
        let own = pool.clone();
        1 + pool.spawn(move || nest(&own, base)).unwrap().result().unwrap()
    }
    if !is_child() {
        return;
    }
    watched(|| {
        let pool = Arc::new(ThreadPoolExecutor::builder().workers(1).stack_size(STACK).build().unwrap());
        pool.spawn(|| ()).unwrap().result().unwrap();
        let mut occupied = Occupied::all();
        let own = pool.clone();
        step("a nest in seven tenths of the stack");
        let depth = pool.spawn(move || nest(&own, address())).unwrap().result().unwrap();
        assert!(depth > 100, "{depth}");
        occupied.free(1);
        assert_eq!(pool.spawn(|| 1).unwrap().result().unwrap(), 1);
    });
}

/// A stack that no system can give: the same refusal without any limit on a user.
#[test]
fn h25_a_stack_that_is_too_large_is_refused() {
    watched(|| {
        let pool = ThreadPoolExecutor::builder().workers(2).stack_size(1 << 60).build().unwrap();
        for _ in 0..3 {
            assert!(matches!(pool.spawn(|| ()), Err(SubmitError::NoWorkers(_))));
        }
        let stats = pool.stats();
        assert_eq!((stats.workers, stats.queued), (0, 0));
        pool.shutdown(Shutdown::wait());
        assert!(matches!(pool.spawn(|| ()), Err(SubmitError::ShutDown)));
    });
}

#[test]
fn limits_pass_without_a_thread_for_callbacks() {
    watched(|| run_limited("scarce::child_without_a_thread_for_callbacks"));
}

/// The callback of a future that a limit has ended waits for a thread; other limits do not wait for it.
#[test]
fn child_without_a_thread_for_callbacks() {
    const SHORT: Duration = Duration::from_millis(1);
    if !is_child() {
        return;
    }
    watched(|| {
        let pool = ThreadPoolExecutor::builder().workers(1).build().unwrap();
        // The clock has its thread as long as a limit is set.
        let far = TaskOptions::new().queue_timeout(Duration::from_secs(3600));
        let gate = occupy(&pool, 1);
        let far = pool.spawn_with(far, || ()).unwrap();
        let mut occupied = Occupied::all();
        let expired = pool.spawn_with(TaskOptions::new().queue_timeout(SHORT), || ()).unwrap();
        let (done, wait_done) = channel();
        expired.add_done_callback(move |outcome| done.send((outcome.is_err(), thread_name())).unwrap());
        until("the limit has passed", || pool.stats().queued == 1);
        gate.open();
        far.result().unwrap();
        let until_stopped = || {
            while !is_stop_requested() {
                thread::yield_now();
            }
        };
        for _ in 0..5 {
            let limited = pool.spawn_with(TaskOptions::new().run_timeout(SHORT), until_stopped).unwrap();
            step("a run limit while a callback has no thread");
            assert!(limited.result().unwrap_err().is_timed_out());
        }
        assert!(wait_done.try_recv().is_err() && !expired.is_done());
        occupied.free(1);
        step("the callback, once there is a thread");
        assert_eq!(wait_done.recv().unwrap(), (true, "task-expired".to_owned()));
    });
}
