//! Outcomes: what is read, how often, and when it is freed.

use std::ptr;
use std::sync::Arc;

use executor_core::{ExecutorExt, Promise, TaskError};

use super::support::{NOW, assert_cancelled, cancelled, done, failed};
use crate::case::{Case, Needs};
use crate::stage::Stage;
use crate::subject::Subject;
use crate::tasks::{self, Tracked, alive};

pub(crate) const CASES: &[Case] = &[
    Case::new("outcome.shared_value_is_not_consumed", &["F6"], Needs::ANY, shared_value_is_not_consumed),
    Case::new("outcome.shared_error_is_one_object", &["F7", "H6"], Needs::ANY, shared_error_is_one_object),
    Case::new("outcome.exception_is_the_error_of_result", &["F7"], Needs::ANY, exception_is_the_error_of_result),
    Case::new("outcome.exception_of_success_is_none", &["F10"], Needs::ANY, exception_of_success_is_none),
    Case::new("outcome.cancelled_reads_as_cancelled", &["F9"], Needs::ANY, cancelled_reads_as_cancelled),
    Case::new("outcome.empty_text_is_an_error_still", &["F28", "H5"], Needs::ANY, empty_text_is_an_error_still),
    Case::new("outcome.each_failure_is_its_own", &["H6"], Needs::ANY, each_failure_is_its_own),
    Case::new("outcome.value_is_freed_with_its_handle", &["F30"], Needs::ANY, value_is_freed_with_its_handle),
    Case::new("outcome.value_of_a_dropped_future_is_freed", &["F30", "E5"], Needs::ANY, value_of_dropped_is_freed),
    Case::new("outcome.result_hands_the_value_over_once", &["F30"], Needs::ANY, result_hands_the_value_over_once),
    Case::new("outcome.last_shared_handle_frees_the_value", &["F30"], Needs::ANY, last_shared_handle_frees),
];

fn shared_value_is_not_consumed(_: &Subject) {
    let future = done("value".to_owned()).share();
    for _ in 0..3 {
        assert_eq!(future.result().unwrap(), "value");
        assert_eq!(future.result_timeout(NOW).expect("it is done").unwrap(), "value");
        assert_eq!(future.clone().result().unwrap(), "value");
    }
}

fn shared_error_is_one_object(_: &Subject) {
    let future = failed::<u64>().share();
    let first = future.result().unwrap_err();
    assert!(ptr::eq(first, future.result().unwrap_err()));
    assert!(ptr::eq(first, future.exception().expect("it failed")));
    assert!(ptr::eq(first, future.clone().result().unwrap_err()), "clones see the same object");
}

fn exception_is_the_error_of_result(_: &Subject) {
    let future = failed::<u64>();
    let text = future.exception().expect("it failed").to_string();
    assert!(matches!(future.exception(), Some(TaskError::Abandoned(_))), "asking twice is fine");
    assert_eq!(future.result().unwrap_err().to_string(), text);
}

fn exception_of_success_is_none(_: &Subject) {
    assert!(done(1).exception().is_none());
    assert!(done(1).exception_timeout(NOW).expect("it is done").is_none());
}

/// Python raises from `exception()` too; here it is an outcome like any other.
fn cancelled_reads_as_cancelled(_: &Subject) {
    let (_promise, future) = cancelled::<u64>();
    assert!(future.exception().expect("cancelled is not success").is_cancelled());
    assert_cancelled(future.result());
    let (_promise, future) = cancelled::<u64>();
    assert!(future.share().result().unwrap_err().is_cancelled());
}

/// Outcomes are a sum type, so no error can be taken for none.
fn empty_text_is_an_error_still(subject: &Subject) {
    let stage = Stage::new(subject);
    let future = stage.pool().submit(tasks::panic_with, String::new()).unwrap();
    assert!(future.exception().expect("an empty text is still a panic").is_panic());
    assert!(future.result().is_err());
}

fn each_failure_is_its_own(subject: &Subject) {
    let stage = Stage::new(subject);
    let submit = |text: &str| stage.pool().submit(tasks::panic_with, text.to_owned()).unwrap();
    let (first, second) = (submit("the first, on purpose"), submit("the second, on purpose"));
    let (first, second) = (first.result().unwrap_err(), second.result().unwrap_err());
    assert!(first.to_string().contains("first"), "{first}");
    assert!(second.to_string().contains("second"), "{second}");
}

fn value_is_freed_with_its_handle(_: &Subject) {
    let probe = Arc::new(());
    let future = done(Tracked::new(&probe, 1));
    assert_eq!(alive(&probe), 1);
    drop(future);
    assert_eq!(alive(&probe), 0);
}

fn value_of_dropped_is_freed(_: &Subject) {
    let probe = Arc::new(());
    let (promise, future) = Promise::new();
    drop(future);
    let _ = promise.set_result(Tracked::new(&probe, 1));
    assert_eq!(alive(&probe), 0, "nobody can read it any more");
}

fn result_hands_the_value_over_once(_: &Subject) {
    let probe = Arc::new(());
    let value = done(Tracked::new(&probe, 3)).result().unwrap();
    assert_eq!((value.number, alive(&probe)), (3, 1));
    drop(value);
    assert_eq!(alive(&probe), 0);
}

fn last_shared_handle_frees(_: &Subject) {
    let probe = Arc::new(());
    let future = done(Tracked::new(&probe, 1)).share();
    let other = future.clone();
    drop(future);
    assert_eq!(alive(&probe), 1);
    drop(other);
    assert_eq!(alive(&probe), 0);
}
