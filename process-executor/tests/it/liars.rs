//! Workers that write and say what is not so. They may lose their own tasks by it, and nothing else.

use crate::support::{Gate, Pass, assert_works, double, only_death, outcome, quiet};
use crate::watchdog::{step, watched};
use executor_core::{Executor, ExecutorExt, Shutdown, TaskError, TaskOptions, TrySubmitError};
use rustix::fd::BorrowedFd;
use rustix::net::{AddressFamily, SendFlags, SocketType};
use std::time::Duration;

/// What a slot says of a task that has not begun, see `protocol/layout.rs`, and the number of all that it can say.
const QUEUED: u32 = 1;
const STATES: u32 = 6;

/// Where the slots may begin, and how far apart they are, see `protocol/layout.rs`.
const HEAD: usize = 4096;
const SLOT: usize = 128;

/// Says something of all tasks that this worker has been given and has not begun. Gives how many those are.
fn say_of_queued(state: u32) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let ring = maps.lines().find(|line| line.contains("concurrent-futures-ring")).unwrap();
    let (start, end) = ring.split_once(' ').unwrap().0.split_once('-').unwrap();
    let (start, end) = (usize::from_str_radix(start, 16).unwrap(), usize::from_str_radix(end, 16).unwrap());
    // There is nothing else in it that looks like a slot of a task that has not begun.
    let words = (start + HEAD..end).step_by(SLOT).map(std::ptr::with_exposed_provenance_mut::<u32>);
    // SAFETY: none; that is the test. The mapping is writable.
    let queued = words.filter(|word| unsafe { word.read_volatile() == QUEUED });
    // SAFETY: as above.
    queued.map(|word| unsafe { word.write_volatile(state) }).count()
}

fn lie((pass, state): (Pass, u32)) -> usize {
    pass.go();
    say_of_queued(state)
}

/// Whatever a worker says of tasks that it has not begun: each ends, the room that they took in the queue is free again, and
/// the worker is of use, or another takes its place.
#[test]
fn a_worker_says_of_its_tasks_what_it_likes() {
    const CAPACITY: usize = 3;
    watched(|| {
        let pool = quiet(1).queue_capacity(CAPACITY).build().unwrap();
        for state in (0..=STATES).filter(|state| *state != QUEUED) {
            let gate = Gate::new();
            let liar = pool.submit(lie, (gate.pass(), state)).unwrap();
            gate.wait_arrivals(1);
            let tasks: Vec<_> = (0..CAPACITY as u64).map(|number| pool.submit(double, number).unwrap()).collect();
            gate.open();
            // The worker may be ended for its lie before it has come back.
            if let Ok(count) = outcome(&format!("a task that says {state} of others"), liar) {
                assert!(count > 0, "there was nothing to lie about");
            }
            for task in tasks {
                drop(outcome(&format!("a task of which {state} was said"), task));
            }
            assert_works(&pool);
            let gate = Gate::new();
            let busy = pool.submit(|pass: Pass| pass.go(), gate.pass()).unwrap();
            gate.wait_arrivals(1);
            step(format!("the queue, after {state} was said"));
            let tasks: Vec<_> = (0..CAPACITY as u64).map(|number| pool.try_submit(double, number).unwrap()).collect();
            assert!(matches!(pool.try_submit(double, 0), Err(TrySubmitError::Full(0))));
            gate.open();
            outcome("a task that kept the worker busy", busy).unwrap();
            for (number, task) in (0..).zip(tasks) {
                assert_eq!(outcome("a task behind it", task).unwrap(), 2 * number);
            }
        }
        step("the end");
        pool.shutdown(Shutdown::wait());
    });
}

/// The worker's end of the connection with its parent.
pub(crate) fn connection() -> BorrowedFd<'static> {
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = files.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers
        // SAFETY: those are open, or the call says so.
        .map(|number: i32| unsafe { BorrowedFd::borrow_raw(number) })
        .find(|file| {
            rustix::net::sockopt::socket_type(file) == Ok(SocketType::STREAM)
                && rustix::net::sockopt::socket_domain(file) == Ok(AddressFamily::UNIX)
        })
        .unwrap()
}

/// A message to the parent of these words.
pub(crate) fn message_of(words: [u64; 4]) -> [u8; 32] {
    let mut message = [0; 32];
    for (place, word) in message.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    message
}

fn message(word: u64) -> [u8; 32] {
    message_of([word, 0, 0, 0])
}

fn say(word: u64) {
    rustix::net::send(connection(), &message(word), SendFlags::NOSIGNAL).unwrap();
    loop {
        std::thread::park();
    }
}

/// Rings without a pause, a thousand times at once.
fn talk(_: ()) {
    let (socket, bells) = (connection(), message(BELL).repeat(1000));
    loop {
        let _ = rustix::net::send(socket, &bells, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }
}

/// What messages begin with, see `message.rs`.
const READY: u64 = 2;
pub(crate) const BUFFER: u64 = 3;
const RETIRE: u64 = 5;
const BELL: u64 = 6;
const NONSENSE: u64 = 99;

/// It keeps nobody: others work, and its limit is heeded.
#[test]
fn a_worker_that_never_stops_talking() {
    watched(|| {
        let pool = quiet(2).build().unwrap();
        let limit = TaskOptions::new().run_timeout(Duration::from_millis(200));
        let talker = pool.submit_with(limit, talk, ()).unwrap();
        assert_works(&pool);
        let error = outcome("a task that never stops talking", talker).unwrap_err();
        assert!(matches!(error, TaskError::TimedOut(_)), "{error}");
        assert_works(&pool);
    });
}

/// A worker that says what it has no business to say is ended, and the error of its task says why.
#[test]
fn a_worker_says_what_it_should_not() {
    watched(|| {
        let pool = quiet(1).build().unwrap();
        let reasons = [
            (READY, "it said more than once how it had begun"),
            (RETIRE, "it sent a message that only its parent may send"),
            (NONSENSE, "it sent what is no message"),
            (BUFFER, "it announced memory and handed over nothing"),
        ];
        for (word, reason) in reasons {
            let task = pool.submit(say, word).unwrap();
            let death = only_death(outcome(&format!("a task that says {word}"), task));
            assert!(death.contains(&format!("SIGKILL, by its pool: {reason}")), "{death}");
            assert_works(&pool);
        }
    });
}
