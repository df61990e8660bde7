//! Limits on the memory of workers.

use crate::bytes::{Bytes, MIB};
use crate::child;
use crate::support::{Gate, Pass, assert_works, only_death, outcome, own_pid, quiet, until};
use crate::watchdog::{step, watched};
use executor_core::{ExecutorExt, MapOptions, TaskError};
use process_executor::SharedBuffer;
use std::cell::RefCell;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Far more than a worker has by itself.
const LIMIT: usize = 128 * MIB;

thread_local! {
    static KEPT: RefCell<Vec<Bytes>> = const { RefCell::new(Vec::new()) };
}

/// Uses so much memory and keeps it when the task is over.
fn leak(bytes: usize) -> u32 {
    KEPT.with_borrow_mut(|kept| kept.push(Bytes::pattern(bytes)));
    std::process::id()
}

fn grow_for_ever(pass: Pass) {
    pass.arrive();
    loop {
        // Not faster than the machine can bear until it is ended.
        if KEPT.with_borrow(Vec::len) * 16 * MIB < 4 * LIMIT {
            leak(16 * MIB);
        }
        std::thread::yield_now();
    }
}

/// Above the hard limit the worker is ended, in the middle of its task.
#[test]
fn a_hard_limit() {
    watched(|| {
        let pool = quiet(1).hard_memory_limit(LIMIT as u64).build().unwrap();
        assert_works(&pool);
        let gate = Gate::new();
        let growing = pool.submit(grow_for_ever, gate.pass()).unwrap();
        let behind = pool.submit(leak, 1).unwrap();
        let death = only_death(outcome("a task that grows", growing));
        assert!(death.contains("memory") && death.contains(&LIMIT.to_string()), "{death}");
        assert_ne!(outcome("the one behind", behind).unwrap(), gate.arrivals()[0]);
        assert_works(&pool);
    });
}

/// One item of a chunk grows; the others are right.
#[test]
fn a_hard_limit_during_a_map() {
    fn maybe_grow((pass, number): (Pass, u64)) -> u64 {
        if number == 4 {
            grow_for_ever(pass);
        }
        2 * number
    }
    watched(|| {
        let pool = quiet(1).hard_memory_limit(LIMIT as u64).build().unwrap();
        let gate = Gate::new();
        step("a map with one item that grows");
        let inputs = (0..8).map(|number| (gate.pass(), number));
        let outcomes: Vec<_> = pool.map_with(MapOptions::new().chunk_size(8), maybe_grow, inputs).collect();
        for (number, outcome) in (0..).zip(outcomes) {
            match (number, outcome) {
                (4, Err(TaskError::WorkerDied(death))) => assert!(death.to_string().contains("memory"), "{death}"),
                (_, outcome) => assert_eq!(outcome.unwrap(), 2 * number),
            }
        }
    });
}

/// Above the soft limit the worker is replaced, after its task: nothing is lost.
#[test]
fn a_soft_limit() {
    watched(|| {
        let pool = quiet(1).soft_memory_limit(LIMIT as u64).build().unwrap();
        let first = outcome("a small task", pool.submit(own_pid, ()).unwrap()).unwrap();
        assert_eq!(outcome("a task that keeps memory", pool.submit(leak, 2 * LIMIT).unwrap()).unwrap(), first);
        until("the worker is replaced", || pool.submit(own_pid, ()).unwrap().result().unwrap() != first);
        let stats = pool.stats();
        assert_eq!((stats.deaths, stats.failed), (0, 0));
    });
}

/// An idle worker above the soft limit does not keep its memory until the next task.
#[test]
fn a_soft_limit_of_an_idle_worker() {
    watched(|| {
        let pool = quiet(1).soft_memory_limit(LIMIT as u64).build().unwrap();
        let first = outcome("a task that keeps memory", pool.submit(leak, 2 * LIMIT).unwrap()).unwrap();
        until("the worker has ended", || crate::processes::state(first).is_none());
        assert_works(&pool);
        assert_eq!(pool.stats().deaths, 0);
    });
}

/// What a worker was handed is not its own, however much it is.
#[test]
fn limits_and_shared_memory() {
    fn read_for_a_while(buffer: SharedBuffer) -> (u32, u64) {
        // Longer than it takes to be looked at.
        let end = Instant::now() + Duration::from_millis(100);
        let mut sum = 0;
        while Instant::now() < end {
            sum = buffer.iter().step_by(512).map(|byte| u64::from(*byte)).sum();
        }
        (std::process::id(), sum)
    }
    watched(|| {
        let pool = quiet(1).hard_memory_limit(LIMIT as u64).soft_memory_limit(LIMIT as u64).build().unwrap();
        let pid = outcome("a small task", pool.submit(own_pid, ()).unwrap()).unwrap();
        let buffer = SharedBuffer::build(2 * LIMIT, |bytes| bytes.fill(1)).unwrap();
        for _ in 0..2 {
            let task = pool.submit(read_for_a_while, buffer.clone()).unwrap();
            assert_eq!(outcome("a task that reads", task).unwrap(), (pid, 2 * LIMIT as u64 / 512));
        }
    });
}

/// The kernel ends a worker for want of memory, not the parent, which uses more; and the error says why.
#[test]
fn the_memory_of_the_control_group() {
    watched(|| match Group::new(LIMIT) {
        Ok(group) => {
            let folder = group.0.display().to_string();
            child::run("memory::control_group_program", &folder, |_| ());
        }
        Err(error) => {
            let note = format!("not tested: memory of a control group: none with a limit can be made: {error}\n");
            let _ = io::stderr().write_all(note.as_bytes());
        }
    });
}

#[test]
fn control_group_program() {
    let Some(folder) = child::argument() else { return };
    watched(|| {
        enter(Path::new(&folder));
        let pool = quiet(1).build().unwrap();
        let ballast = vec![1_u8; LIMIT * 5 / 8];
        let pid = outcome("a small task", pool.submit(own_pid, ()).unwrap()).unwrap();
        for _ in 0..2 {
            let gate = Gate::new();
            let growing = pool.submit(grow_for_ever, gate.pass()).unwrap();
            let death = only_death(outcome("a task that grows", growing));
            assert!(death.contains("SIGKILL") && death.contains("want of memory"), "{death}");
            assert_ne!(outcome("a small task", pool.submit(own_pid, ()).unwrap()).unwrap(), pid);
        }
        assert!(ballast.iter().all(|byte| *byte == 1), "it was there all the time");
    });
}

/// A control group for memory, removed with its last process.
struct Group(PathBuf);

impl Group {
    fn new(limit: usize) -> io::Result<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let first = groups.lines().find_map(|line| line.split_once(":memory:"));
        let second = groups.lines().find_map(|line| line.strip_prefix("0::"));
        let (own, file) = match (first, second) {
            (Some((_, own)), _) => (format!("/sys/fs/cgroup/memory{own}"), "memory.limit_in_bytes"),
            (None, Some(own)) => (format!("/sys/fs/cgroup{own}"), "memory.max"),
            (None, None) => return Err(io::ErrorKind::NotFound.into()),
        };
        let folder = Path::new(&own).join(format!("process-executor-test-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let group = Self(folder);
        fs::write(group.0.join(file), limit.to_string())?;
        Ok(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The last of its processes may not be reaped yet.
        until("the control group is empty", || fs::remove_dir(&self.0).is_ok());
    }
}

/// Moves this process into a control group.
fn enter(group: &Path) {
    fs::write(group.join("cgroup.procs"), std::process::id().to_string()).unwrap();
}
