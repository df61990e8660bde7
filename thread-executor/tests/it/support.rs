//! What several themes share: gates, counts, and ways to observe threads.

use crate::watchdog::step;
use parking_lot::{Condvar, Mutex};
#[cfg(target_os = "linux")]
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use thread_executor::ThreadPoolExecutor;

/// A limit that never passes in a healthy run; the watchdog ends a hang first.
pub(crate) const LONG: std::time::Duration = std::time::Duration::from_secs(3600);

/// Holds tasks until the test opens it. It opens when dropped, so that a failing test leaves no task behind for which its
/// pool would wait: declare it after the pool.
pub(crate) struct Gate(Pass);

/// A task's side of a gate.
#[derive(Clone)]
pub(crate) struct Pass(Arc<(Mutex<Arrived>, Condvar)>);

#[derive(Default)]
struct Arrived {
    count: usize,
    open: bool,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Pass(Arc::default()))
    }

    pub(crate) fn pass(&self) -> Pass {
        self.0.clone()
    }

    pub(crate) fn open(&self) {
        self.0.0.0.lock().open = true;
        self.0.0.1.notify_all();
    }

    /// Waits until `count` tasks have arrived.
    pub(crate) fn wait_arrivals(&self, count: usize) {
        step(format!("waiting for {count} arrivals at a gate"));
        let (arrived, changed) = &*self.0.0;
        let mut arrived = arrived.lock();
        while arrived.count < count {
            changed.wait(&mut arrived);
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

impl Pass {
    /// Announces the arrival and waits until the gate is open.
    pub(crate) fn go(&self) {
        self.arrive();
        let (arrived, changed) = &*self.0;
        let mut arrived = arrived.lock();
        while !arrived.open {
            changed.wait(&mut arrived);
        }
    }

    /// Announces the arrival only.
    pub(crate) fn arrive(&self) {
        self.0.0.lock().count += 1;
        self.0.1.notify_all();
    }
}

/// A count that tasks raise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<AtomicUsize>);

impl Counter {
    pub(crate) fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Raises a count when dropped.
#[derive(Debug)]
pub(crate) struct CountDrop(pub(crate) Counter);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.add();
    }
}

/// Panics when dropped, and counts that.
#[derive(Debug)]
pub(crate) struct PanicOnDrop(pub(crate) Counter);

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        self.0.add();
        assert!(thread::panicking(), "a destructor, on purpose");
    }
}

pub(crate) fn pool(workers: usize) -> ThreadPoolExecutor {
    ThreadPoolExecutor::with_workers(workers).unwrap()
}

/// Keeps all `workers` of an otherwise idle pool inside a task until the gate opens.
pub(crate) fn occupy(pool: &ThreadPoolExecutor, workers: usize) -> Gate {
    let gate = Gate::new();
    for _ in 0..workers {
        let pass = gate.pass();
        drop(pool.spawn(move || pass.go()).unwrap());
    }
    gate.wait_arrivals(workers);
    gate
}

/// Waits for something that happens without an event; the watchdog is the deadline.
pub(crate) fn until(what: &str, mut happened: impl FnMut() -> bool) {
    step(format!("waiting until {what}"));
    while !happened() {
        thread::yield_now();
    }
}

/// Returns the name of the calling thread.
pub(crate) fn thread_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

/// Returns how many threads of this process have a name that begins with `prefix`, of at most 15 letters.
#[cfg(target_os = "linux")]
pub(crate) fn threads_named(prefix: &str) -> usize {
    let comm = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    fs::read_dir("/proc/self/task").unwrap().flatten().map(comm).filter(|name| name.starts_with(prefix)).count()
}
