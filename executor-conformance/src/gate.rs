//! Where a task and its case meet: files, because a task may run in another process.
//!
//! A gate is polled once a millisecond. That is coarse on purpose: nothing here is measured, and a file works between any
//! two processes that see the same folder.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

const POLL: Duration = Duration::from_millis(1);

/// A folder for one case's gates and logs. Removing it, which dropping this does, opens every gate in it: a case that
/// panics never leaves a task behind that would keep its executor from ending.
#[derive(Debug)]
pub struct Gates {
    folder: PathBuf,
}

impl Gates {
    /// Makes a fresh folder in the system's temporary one.
    #[expect(clippy::new_without_default, reason = "making a folder is not a default")]
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("executor-conformance-{}-{}", process::id(), next_number()));
        fs::create_dir_all(&folder).expect("the temporary folder must be writable");
        Self { folder }
    }

    /// Returns a closed gate. The same name gives the same gate.
    pub fn gate(&self, name: &str) -> Gate {
        Gate { folder: self.folder.clone(), name: name.to_owned() }
    }

    /// Returns an empty log. The same name gives the same log.
    pub fn log(&self, name: &str) -> Log {
        Log { file: self.folder.join(format!("{name}.log")) }
    }
}

impl Drop for Gates {
    fn drop(&mut self) {
        // A task that writes at this moment can make the removal fail half-way; the second round finds the rest.
        for _ in 0..10 {
            if fs::remove_dir_all(&self.folder).is_ok() {
                break;
            }
            thread::sleep(POLL);
        }
    }
}

/// Holds tasks until it is opened, and counts the arrivals.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gate {
    folder: PathBuf,
    name: String,
}

impl Gate {
    /// Lets all tasks through, now and from now on.
    pub fn open(&self) {
        create(&self.open_file());
    }

    /// Announces the arrival and blocks until the gate is open.
    pub fn pass(&self) {
        self.arrive();
        self.wait_open();
    }

    /// Announces the arrival only.
    pub fn arrive(&self) {
        create(&self.folder.join(format!("{}.arrival-{}-{}", self.name, process::id(), next_number())));
    }

    /// Blocks until the gate is open, unannounced.
    pub fn wait_open(&self) {
        while !self.is_open() {
            thread::sleep(POLL);
        }
    }

    /// Returns whether the gate is open; one whose folder is gone is open.
    pub fn is_open(&self) -> bool {
        self.open_file().exists() || !self.folder.exists()
    }

    /// Returns how many arrivals there have been.
    pub fn arrivals(&self) -> usize {
        let prefix = format!("{}.arrival-", self.name);
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return 0;
        };
        entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).count()
    }

    /// Blocks until there have been `count` arrivals.
    pub fn wait_arrivals(&self, count: usize) {
        let mut arrived = None;
        while arrived.is_none_or(|arrived| arrived < count) {
            let now = self.arrivals();
            if arrived != Some(now) {
                crate::step(format!("waiting at gate {:?}, where {now} of {count} have arrived", self.name));
                arrived = Some(now);
            } else {
                thread::sleep(POLL);
            }
        }
    }

    fn open_file(&self) -> PathBuf {
        self.folder.join(format!("{}.open", self.name))
    }
}

/// Lines in the order in which they were written, from whatever thread or process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Log {
    file: PathBuf,
}

impl Log {
    /// Appends a line. Writers lock the file, since not every system makes an append atomic.
    pub fn write(&self, line: &str) {
        let opened = OpenOptions::new().append(true).create(true).open(&self.file);
        let written = opened.and_then(|mut file| {
            file.lock()?;
            file.write_all(format!("{line}\n").as_bytes())
        });
        ignore_if_gone(written);
    }

    /// Returns everything written so far.
    pub fn lines(&self) -> Vec<String> {
        let Ok(mut file) = File::open(&self.file) else { return Vec::new() };
        let mut text = String::new();
        file.lock_shared().and_then(|()| file.read_to_string(&mut text)).expect("a log is readable text");
        text.lines().map(str::to_owned).collect()
    }
}

fn create(path: &std::path::Path) {
    ignore_if_gone(File::create(path).map(drop));
}

/// The case may have ended, and its folder with it, while one of its tasks still runs.
fn ignore_if_gone(done: std::io::Result<()>) {
    match done {
        Err(error) if error.kind() != ErrorKind::NotFound => panic!("a gate's folder must be writable: {error}"),
        _ => {}
    }
}

/// Unique within the process.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Relaxed)
}
