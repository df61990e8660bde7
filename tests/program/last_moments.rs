//! A program uses its executors when it is almost too late: while a thread's local values are destroyed, and in an exit
//! handler. Nothing panics there, which would abort the program.

use crate::child;
use crate::executors::{POOLS, double, executor};
use crate::watchdog::{step, watched};
use concurrent_futures::{
    Executor, ExecutorExt, Future, MapOptions, Promise, ReturnWhen, Shutdown, TaskOptions, ThreadPoolExecutor,
    as_completed, wait,
};
use parking_lot::Mutex;
use process_executor::SharedBuffer;
use std::cell::RefCell;
use std::fs;
use std::future::Future as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

fn panics(number: u64) -> u64 {
    panic!("{number} on purpose")
}

/// Frees memory that came as an argument, or as a part of one.
fn give_back(buffer: SharedBuffer) -> (u64, SharedBuffer) {
    (buffer.len() as u64, buffer)
}

fn nothing_much(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// Awaits without thread-local values of its own, as some async runtimes do.
fn block_on(mut future: Future<u64>) -> u64 {
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match Pin::new(&mut future).poll(&mut cx) {
            Poll::Ready(outcome) => return outcome.unwrap(),
            Poll::Pending => thread::yield_now(),
        }
    }
}

/// Makes every call there is.
fn use_all(executor: &dyn Executor, processes: bool) {
    let submit = |number| executor.submit(double, number).unwrap();
    assert_eq!(submit(1).result().unwrap(), 2);
    assert_eq!(submit(1).share().result().unwrap(), &2);
    assert!(submit(2).wait_timeout(Duration::MAX));
    assert!(executor.try_submit(double, 3).unwrap().exception().is_none());
    let limited = TaskOptions::new().run_timeout(Duration::from_secs(60)).queue_timeout(Duration::from_secs(60));
    assert_eq!(executor.submit_with(limited, double, 4).unwrap().result().unwrap(), 8);
    assert!(executor.submit(panics, 5).unwrap().result().unwrap_err().is_panic());
    assert_eq!(executor.map(double, 0..100).map(Result::unwrap).sum::<u64>(), 9900);
    let unordered = MapOptions::new().unordered().timeout(Duration::from_secs(60));
    assert_eq!(executor.map_with(unordered, double, 0..10).map(Result::unwrap).sum::<u64>(), 90);
    assert_eq!(as_completed((0..10).map(submit)).map(|future| future.result().unwrap()).sum::<u64>(), 90);
    assert_eq!(wait((0..10).map(submit), None, ReturnWhen::AllCompleted).done.len(), 10);
    assert!(!wait((0..10).map(submit), None, ReturnWhen::FirstCompleted).done.is_empty());
    let large = vec![7; 2_000_000];
    assert_eq!(executor.submit(nothing_much, large.clone()).unwrap().result().unwrap(), large);

    let (sender, receiver) = mpsc::channel();
    submit(6).add_done_callback(move |outcome| sender.send(*outcome.as_ref().unwrap()).unwrap());
    assert_eq!(receiver.recv().unwrap(), 12);
    let many: Vec<_> = (0..200).map(submit).collect();
    for future in many.iter().rev() {
        future.cancel();
    }
    many.into_iter().for_each(|future| future.wait());
    drop(submit(7).cancel_on_drop());
    assert_eq!(block_on(submit(8)), 16);
    let (promise, future) = Promise::new();
    promise.set_result(9).unwrap();
    assert_eq!(future.result().unwrap(), 9);
    if processes {
        let buffer = SharedBuffer::from_slice(&[1_u8; 100_000]).unwrap();
        let (length, back) = executor.submit(give_back, buffer).unwrap().result().unwrap();
        assert_eq!((length, back.len()), (100_000, 100_000));
    }
}

/// Makes the calls that only threads have.
fn use_threads() {
    let pool = ThreadPoolExecutor::with_workers(2).unwrap();
    assert_eq!(pool.spawn(|| 1).unwrap().result().unwrap(), 1);
    let text = String::from("borrowed");
    assert_eq!(pool.scope(|scope| scope.spawn(|| text.len()).unwrap().result().unwrap()), 8);
    pool.shutdown_timeout(Duration::MAX).unwrap();
}

/// Uses an executor when it is dropped, ends it, and makes another.
struct Last {
    name: String,
    executor: Option<Box<dyn Executor>>,
    note: PathBuf,
}

impl Last {
    fn new() -> Option<Self> {
        let argument = child::argument()?;
        let (name, note) = argument.split_once('|').unwrap();
        Some(Self { name: name.to_owned(), executor: Some(executor(name)), note: note.into() })
    }

    fn use_up(&mut self) {
        let Some(last) = self.executor.take() else { return };
        let processes = self.name.starts_with("processes");
        use_all(&*last, processes);
        last.shutdown(Shutdown::wait());
        drop(last);
        use_all(&*executor(&self.name), processes);
        use_threads();
        fs::write(&self.note, "used").unwrap();
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        self.use_up();
    }
}

/// Runs the test in a process of its own, with each executor, and expects it to pass.
fn with_each(test: &str) {
    for name in ["serial"].iter().chain(POOLS) {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("note");
        step(format!("{test} with {name}"));
        child::run(test, &format!("{name}|{}", note.display()), |_| ());
        assert_eq!(fs::read_to_string(note).unwrap(), "used", "{name}");
    }
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

#[test]
fn while_the_values_of_a_thread_are_destroyed() {
    watched(|| with_each("last_moments::destroys"));
}

/// A thread-local value that is destroyed last: all that the library keeps for the thread was made later, and is gone.
#[test]
fn destroys() {
    let Some(last) = Last::new() else { return };
    watched(|| {
        let user = move || {
            LAST.set(None);
            use_all(last.executor.as_deref().unwrap(), last.name.starts_with("processes"));
            LAST.set(Some(last));
        };
        step("the end of a thread whose last value uses an executor");
        thread::spawn(user).join().unwrap();
        let Some(first) = Last::new() else { return };
        step("the end of a thread whose first value uses an executor");
        thread::spawn(|| LAST.set(Some(first))).join().unwrap();
    });
}

/// The executor that the exit handler uses.
static AT_EXIT: Mutex<Option<Last>> = Mutex::new(None);

#[test]
fn in_an_exit_handler() {
    watched(|| with_each("last_moments::exits"));
}

extern "C" fn at_exit() {
    watched(|| drop(AT_EXIT.lock().take()));
}

#[test]
fn exits() {
    let Some(last) = Last::new() else { return };
    use_all(last.executor.as_deref().unwrap(), last.name.starts_with("processes"));
    *AT_EXIT.lock() = Some(last);
    // SAFETY: the handler may be called at any time.
    assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
}
