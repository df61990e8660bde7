//! The program whose pool it is: what it submits, and what it may count on.

use executor_core::{Future, TaskError};
use std::cell::RefCell;
use std::collections::HashSet;

/// An argument and a result: a number of its own, and text that follows from it.
pub(super) type Message = (u64, String);

pub(super) fn message(number: u64, length: usize) -> Message {
    (number, ["a", "b", "c", "d", "e"][number as usize % 5].repeat(length))
}

thread_local! {
    static BOOK: RefCell<Book> = RefCell::default();
}

/// What has run, and what must not.
#[derive(Default)]
struct Book {
    /// The worker that runs now is, and stays, as it should be. What another runs is its own affair.
    in_good_worker: bool,
    ran: HashSet<u64>,
    cancelled: HashSet<u64>,
}

/// Begins anew.
pub(super) fn open_book() {
    BOOK.take();
}

/// Tasks run in such a worker now.
pub(super) fn enter_worker(good: bool) {
    BOOK.with_borrow_mut(|book| book.in_good_worker = good);
}

/// Does what tasks do.
pub(super) fn echo(input: Message) -> Message {
    let number = input.0;
    BOOK.with_borrow_mut(|book| {
        if book.in_good_worker {
            assert!(input == message(number, input.1.len()), "the input of {number} is another's");
            assert!(book.ran.insert(number), "{number} runs a second time");
            assert!(!book.cancelled.contains(&number), "{number} was cancelled, and runs");
        }
    });
    input
}

/// A task, as the program knows it.
pub(super) struct Client {
    number: u64,
    length: usize,
    future: Future<Message>,
}

impl Client {
    pub(super) fn new(number: u64, length: usize, future: Future<Message>) -> Self {
        Self { number, length, future }
    }

    pub(super) fn cancel(&self) {
        if !self.future.is_done() && self.future.cancel() {
            assert!(self.future.is_cancelled() && self.future.is_done());
            BOOK.with_borrow_mut(|book| book.cancelled.insert(self.number));
        }
    }

    pub(super) fn stop(&self) {
        self.future.stop();
    }

    pub(super) fn ask(&self) {
        assert!(!(self.future.is_running() && self.future.is_done()));
    }

    /// Checks the outcome after the end of the pool.
    pub(super) fn end(self, good_workers: bool) {
        assert!(self.future.is_done(), "{} never ends", self.number);
        check(self.future.result(), self.number, self.length, good_workers);
    }
}

/// Checks an outcome: with good workers results are right, and errors are those of workers that died, or of an end that was asked for.
pub(super) fn check(outcome: Result<Message, TaskError>, number: u64, length: usize, good_workers: bool) {
    match outcome {
        Err(error @ TaskError::Abandoned(_)) => panic!("{error}"),
        Ok(result) if good_workers => assert!(result == message(number, length), "the result of {number} is wrong"),
        Err(error @ TaskError::Codec(_)) if good_workers => panic!("{error}"),
        _ => {}
    }
}
