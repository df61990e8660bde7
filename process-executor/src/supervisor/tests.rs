//! How a worker starts, step by step: each test is the supervisor's thread itself.

use super::Supervisor;
use super::transport::SharedMemory;
use crate::pool::Pool;
use crate::{ProcessPoolBuilder, ProcessPoolExecutor, WorkerOutput};
use process_core::image::Image;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Far beyond what anything here takes on a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits for something that tells nobody when it happens.
#[track_caller]
fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < LIMIT, "waited for nothing until {what}");
        thread::yield_now();
    }
}

/// A supervisor of one worker that nobody runs. `name` is the worker's, among all processes of this one.
fn supervisor(name: &str, builder: ProcessPoolBuilder) -> (Arc<Pool>, Supervisor) {
    let builder = builder.workers(1).worker_name_prefix(name).stderr(WorkerOutput::Null);
    let (settings, _) = builder.settings().unwrap();
    let pool = Pool::new(settings, Image::of_this_process().unwrap()).unwrap();
    let supervisor = Supervisor::new(pool.clone(), &SharedMemory, Vec::new()).unwrap();
    (pool, supervisor)
}

/// The processes with that worker's name; one that waits to be reaped has none any more.
fn workers(name: &str) -> Vec<u32> {
    let title = format!("(worker {name}_0 of {})", std::process::id());
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(&title)))
        .collect()
}

/// Children of this process that have ended and were not reaped.
fn unreaped() -> usize {
    let own = std::process::id().to_string();
    let stats =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|it| fs::read_to_string(it.path().join("stat")).ok());
    let is_ours = |stat: &String| {
        let mut fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
        fields.next() == Some("Z") && fields.next() == Some(&own)
    };
    stats.filter(is_ours).count()
}

/// Returns whether the worker has taken its socket from its standard input, and waits for something.
fn is_asleep(pid: u32) -> bool {
    let has_begun = fs::read_link(format!("/proc/{pid}/fd/0")).is_ok_and(|file| file == Path::new("/dev/null"));
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(Vec::new(), |threads| threads.flatten().collect());
    let sleeps = |stat: String| stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('S'));
    has_begun && threads.iter().all(|thread| fs::read_to_string(thread.path().join("stat")).is_ok_and(sleeps))
}

/// A file that is not there yet, and is removed in the end.
struct Note(PathBuf);

impl Note {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("process-executor-unit-test-{}-{name}", std::process::id())))
    }

    /// The number in it, once it is complete.
    fn number(&self) -> Option<u32> {
        fs::read_to_string(&self.0).ok()?.strip_suffix('\n')?.parse().ok()
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn note_self(path: PathBuf) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}

/// I1: what the initializer does is done by a worker that the pool lists, however long the supervisor takes to seat it.
#[test]
fn a_worker_is_listed_before_it_runs_anything() {
    let note = Note::new("listed");
    let builder = ProcessPoolExecutor::builder().initializer_with(note_self, note.0.clone());
    let (pool, mut supervisor) = supervisor("listed", builder);
    thread::scope(|scope| {
        let starting = pool.with_dispatch(|dispatch, _| {
            let starting = scope.spawn(|| supervisor.start_worker(0));
            until("the worker waits", || workers("listed").first().is_some_and(|pid| is_asleep(*pid)));
            assert!(dispatch.seats[0].is_none());
            assert_eq!(note.number(), None, "a worker that nobody knows of runs");
            starting
        });
        starting.join().unwrap().unwrap();
    });
    until("its initializer has run", || note.number().is_some());
    let listed = pool.with_dispatch(|dispatch, _| dispatch.seats[0].as_ref().map(|seat| seat.pid));
    assert_eq!(note.number(), listed);
}

/// A worker that cannot be watched is not left behind, neither running nor unreaped; and it has run nothing.
#[test]
fn a_start_that_fails_leaves_nothing() {
    let note = Note::new("unwatched");
    let builder = ProcessPoolExecutor::builder().initializer_with(note_self, note.0.clone());
    let (pool, mut supervisor) = supervisor("unwatched", builder);
    supervisor.epoll = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty()).unwrap();
    supervisor.start_worker(0).unwrap_err();
    // Those of other tests are about to be.
    until("all that have ended are reaped", || supervisor.unreaped.reap().is_none() && unreaped() == 0);
    assert_eq!(workers("unwatched"), []);
    assert!(pool.with_dispatch(|dispatch, _| dispatch.seats[0].is_none()));
    assert!(!note.0.exists());
}

/// P19: if nothing waits for a worker any more when its turn comes, none is started.
#[test]
fn no_worker_is_started_in_vain() {
    let (pool, mut supervisor) = supervisor("in-vain", ProcessPoolExecutor::builder());
    pool.with_dispatch(|dispatch, _| dispatch.wanted = 1);
    assert_eq!(supervisor.start_workers(), None);
    assert!(supervisor.workers[0].is_none());
}
