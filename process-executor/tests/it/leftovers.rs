//! What tasks leave behind when they are over: output that is not written yet, locks, exit handlers, results with destructors. The
//! task is over all the same, and the next one runs.

use crate::processes;
use crate::support::{Scratch, append, double, outcome, own_pid, pool, read_lines, until};
use crate::watchdog::{step, watched};
use executor_core::{ExecutorExt, MapOptions};
use process_executor::ProcessPoolExecutor;
use rustix::fd::AsFd;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;

/// Waits until the worker has a thread that writes what was printed: it has been idle for a moment.
fn until_it_writes(pid: u32) {
    until("the worker writes what was printed", || {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok()).any(|name| name == "output\n")
    });
}

/// The next task runs, and the pool ends.
fn assert_goes_on(pool: ProcessPoolExecutor, pid: u32) {
    until_it_writes(pid);
    for number in 0..3 {
        assert_eq!(outcome("a task after it", pool.submit(double, number).unwrap()).unwrap(), 2 * number);
    }
    assert_eq!(outcome("the worker", pool.submit(own_pid, ()).unwrap()).unwrap(), pid);
    step("the end of the pool");
}

fn leave_a_lock(_: ()) -> u32 {
    let (told, hear) = mpsc::channel();
    let hold = move || {
        let _output = std::io::stdout().lock();
        told.send(()).unwrap();
        loop {
            thread::park();
        }
    };
    drop(thread::Builder::new().spawn(hold).unwrap());
    hear.recv().unwrap();
    std::process::id()
}

#[test]
fn a_thread_that_a_task_left_holds_standard_output() {
    watched(|| {
        let pool = pool(1);
        let pid = outcome("the task", pool.submit(leave_a_lock, ()).unwrap()).unwrap();
        assert_goes_on(pool, pid);
    });
}

/// Prints a part of a line into a socket that is full, and that nobody reads.
fn print_where_nothing_fits(_: ()) -> u32 {
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    while writer.write(b"x").is_ok() {}
    writer.set_nonblocking(false).unwrap();
    rustix::stdio::dup2_stdout(&writer).unwrap();
    Box::leak(Box::new(reader));
    std::io::stdout().write_all(b"a part of a line").unwrap();
    std::process::id()
}

#[test]
fn nobody_reads_what_a_task_printed() {
    watched(|| {
        let pool = pool(1);
        let pid = outcome("the task", pool.submit(print_where_nothing_fits, ()).unwrap()).unwrap();
        assert_goes_on(pool, pid);
    });
}

/// Prints a part of a line into a file.
fn print_a_part((path, text): (String, String)) {
    let file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    rustix::stdio::dup2_stdout(file.as_fd()).unwrap();
    std::io::stdout().write_all(text.as_bytes()).unwrap();
}

/// While the worker is idle, and at its end.
#[test]
fn a_part_of_a_line_is_written() {
    watched(|| {
        let scratch = Scratch::new();
        let path = scratch.path("printed");
        let pool = pool(1);
        outcome("the first part", pool.submit(print_a_part, (path.clone(), "one".to_owned())).unwrap()).unwrap();
        until("it is written", || fs::read_to_string(&path).is_ok_and(|text| text == "one"));
        outcome("the second part", pool.submit(print_a_part, (path.clone(), "two".to_owned())).unwrap()).unwrap();
        drop(pool);
        assert_eq!(fs::read_to_string(&path).unwrap(), "onetwo");
    });
}

/// Where an exit handler notes that it runs.
static NOTES: OnceLock<String> = OnceLock::new();

extern "C" fn note_the_exit() {
    append(NOTES.get().unwrap(), "exit\n");
}

extern "C" fn never_end() {
    note_the_exit();
    loop {
        thread::park();
    }
}

fn add_exit_handler((notes, ends): (String, bool)) {
    NOTES.set(notes).unwrap();
    let handler: extern "C" fn() = if ends { note_the_exit } else { never_end };
    // SAFETY: a handler that may be called at any time.
    assert_eq!(unsafe { libc::atexit(handler) }, 0);
}

/// At an orderly end; one that hangs is ended with its worker.
#[test]
fn a_worker_runs_its_exit_handlers() {
    watched(|| {
        for ends in [true, false] {
            let scratch = Scratch::new();
            let notes = scratch.path("notes");
            let pool = pool(1);
            outcome("the task", pool.submit(add_exit_handler, (notes.clone(), ends)).unwrap()).unwrap();
            step("the end of the pool");
            drop(pool);
            assert_eq!(read_lines(&notes), ["exit"]);
        }
    });
}

/// A result whose destructor, in the worker, notes that it runs and does what it is told.
#[derive(Debug, Serialize, Deserialize)]
struct Deadly {
    number: u64,
    notes: String,
    end: End,
    /// It was made here, and did not come here.
    #[serde(skip)]
    is_at_home: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum End {
    Usual,
    Abort,
    Never,
}

impl Drop for Deadly {
    fn drop(&mut self) {
        if !self.is_at_home {
            return;
        }
        append(&self.notes, &format!("{}\n", self.number));
        match self.end {
            End::Usual => {}
            End::Abort => std::process::abort(),
            End::Never => loop {
                thread::park();
            },
        }
    }
}

fn make((number, notes, end): (u64, String, End)) -> Deadly {
    Deadly { number, notes, end, is_at_home: true }
}

/// The same with so much in it that its reply is memory of its own.
fn make_large(args: (u64, String, End)) -> (Vec<u8>, Deadly) {
    (vec![7; 2_000_000], make(args))
}

#[test]
fn a_destructor_that_ends_the_worker_costs_no_result() {
    watched(|| {
        let scratch = Scratch::new();
        let notes = scratch.path("notes");
        let pool = pool(1);
        for number in 0..3 {
            let deadly = outcome("a call", pool.submit(make, (number, notes.clone(), End::Abort)).unwrap()).unwrap();
            assert_eq!(deadly.number, number);
        }
        let large = outcome("a large one", pool.submit(make_large, (3, notes.clone(), End::Abort)).unwrap()).unwrap();
        assert_eq!((large.0.len(), large.1.number), (2_000_000, 3));
        assert_eq!(read_lines(&notes), ["0", "1", "2", "3"]);
        assert_eq!((pool.stats().completed, pool.stats().failed), (4, 0));
    });
}

#[test]
fn a_destructor_of_an_item_that_ends_the_worker_costs_no_item() {
    watched(|| {
        let scratch = Scratch::new();
        let notes = scratch.path("notes");
        let pool = pool(1);
        let end = |number| if number % 5 == 4 { End::Abort } else { End::Usual };
        let inputs = (0..20).map(|number| (number, notes.clone(), end(number)));
        let outcomes = pool.map_with(MapOptions::new().chunk_size(20), make, inputs);
        let numbers: Vec<_> = outcomes.map(|outcome| outcome.unwrap().number).collect();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>());
        let dropped: Vec<_> = (0..20).map(|number: u64| number.to_string()).collect();
        assert_eq!(read_lines(&notes), dropped, "each item ran once");
        assert_eq!(pool.stats().failed, 0);
    });
}

/// Its worker is ended, but the result was there.
#[test]
fn a_destructor_that_never_ends_costs_no_result() {
    watched(|| {
        let scratch = Scratch::new();
        let notes = scratch.path("notes");
        let pool = pool(1);
        let future = pool.submit(make, (1, notes.clone(), End::Never)).unwrap();
        until("the destructor runs", || !read_lines(&notes).is_empty());
        assert!(processes::is_alive(pool.worker_infos()[0].pid()));
        future.stop();
        assert_eq!(outcome("the call", future).unwrap().number, 1);
    });
}
