//! Callbacks: in order, once each, isolated from one another, and free to call anything.

use std::sync::Arc;
use std::thread;

use executor_core::{Future, Promise, TaskError};
use parking_lot::Mutex;

use super::support::{Counter, assert_cancelled, done, failed};
use crate::case::{Case, Needs};
use crate::subject::Subject;

pub(crate) const CASES: &[Case] = &[
    Case::new("callbacks.in_order_of_registration", &["F19"], Needs::ANY, in_order_of_registration),
    Case::new("callbacks.same_one_twice", &["F19"], Needs::ANY, same_one_twice),
    Case::new("callbacks.see_every_kind_of_outcome", &["F20"], Needs::ANY, see_every_kind_of_outcome),
    Case::new("callbacks.find_the_future_done", &["F20"], Needs::ANY, find_the_future_done),
    Case::new("callbacks.added_late_run_at_once", &["F21"], Needs::ANY, added_late_run_at_once),
    Case::new("callbacks.run_where_it_completes", &["F22"], Needs::ANY, run_where_it_completes),
    Case::new("callbacks.run_where_it_is_cancelled", &["F22"], Needs::ANY, run_where_it_is_cancelled),
    Case::new("callbacks.panic_is_swallowed", &["F23", "F25", "H11", "H12"], Needs::ANY, panic_is_swallowed),
    Case::new("callbacks.panic_is_swallowed_late", &["F24", "H14"], Needs::ANY, panic_is_swallowed_late),
    Case::new("callbacks.panic_without_text_is_swallowed", &["F25", "H12"], Needs::ANY, panic_without_text),
    Case::new("callbacks.ran_before_result_returns", &["F26", "H13"], Needs::ANY, ran_before_result_returns),
    Case::new("callbacks.ran_before_wait_returns", &["F26", "H13"], Needs::ANY, ran_before_wait_returns),
    Case::new("callbacks.may_use_their_own_future", &["F27"], Needs::ANY, may_use_their_own_future),
    Case::new("callbacks.may_add_callbacks", &["F27"], Needs::ANY, may_add_callbacks),
    Case::new("callbacks.may_drop_the_last_handle", &["F27", "F30"], Needs::ANY, may_drop_the_last_handle),
    Case::new("callbacks.outlive_a_dropped_future", &["F20", "E5"], Needs::ANY, outlive_a_dropped_future),
    Case::new("callbacks.are_freed_after_their_run", &["F30"], Needs::ANY, are_freed_after_their_run),
    Case::new("callbacks.of_shared_handles", &["F19"], Needs::ANY, of_shared_handles),
    Case::new("callbacks.added_in_a_race_run_once", &["F19", "F21"], Needs::ANY, added_in_a_race_run_once),
];

type Seen = Arc<Mutex<Vec<&'static str>>>;

/// Returns a callback that writes down its name.
fn noting<T>(seen: &Seen, name: &'static str) -> impl FnOnce(&Result<T, TaskError>) + Send + 'static + use<T> {
    let seen = Arc::clone(seen);
    move |_| seen.lock().push(name)
}

fn in_order_of_registration(_: &Subject) {
    let (promise, future) = Promise::new();
    let seen = Seen::default();
    for name in ["first", "second", "third", "fourth"] {
        future.add_done_callback(noting(&seen, name));
    }
    assert!(seen.lock().is_empty(), "not before completion");
    promise.set_result(1).expect("nothing else completes it");
    assert_eq!(*seen.lock(), ["first", "second", "third", "fourth"]);
    drop(future);
    assert_eq!(seen.lock().len(), 4, "exactly once");
}

fn same_one_twice(_: &Subject) {
    let (promise, future) = Promise::new();
    let seen = Seen::default();
    future.add_done_callback(noting(&seen, "same"));
    future.add_done_callback(noting(&seen, "same"));
    promise.set_result(1).expect("nothing else completes it");
    assert_eq!(*seen.lock(), ["same", "same"]);
}

/// Returns a callback that writes down the kind of outcome it is lent.
fn kind(seen: &Seen) -> impl FnOnce(&Result<u64, TaskError>) + Send + 'static + use<> {
    let seen = Arc::clone(seen);
    move |outcome| {
        seen.lock().push(match outcome {
            Ok(5) => "value",
            Ok(_) => "another value",
            Err(error) if error.is_cancelled() => "cancelled",
            Err(_) => "error",
        });
    }
}

fn see_every_kind_of_outcome(_: &Subject) {
    let seen = Seen::default();
    let (success, future) = Promise::new();
    future.add_done_callback(kind(&seen));
    success.set_result(5).expect("nothing else completes it");

    let (failure, future) = Promise::new();
    future.add_done_callback(kind(&seen));
    let error = failed::<u64>().result().expect_err("an abandoned promise is an error");
    failure.set_exception(error).expect("nothing else completes it");

    let (_promise, future) = Promise::new();
    future.add_done_callback(kind(&seen));
    assert!(future.cancel());

    let (abandoned, future) = Promise::new();
    future.add_done_callback(kind(&seen));
    drop(abandoned);
    assert_eq!(*seen.lock(), ["value", "error", "cancelled", "error"]);
}

fn find_the_future_done(_: &Subject) {
    let (promise, future) = Promise::new();
    let (future, found) = (future.share(), Counter::default());
    let (other, count) = (future.clone(), found.clone());
    future.add_done_callback(move |_| {
        assert!(other.is_done() && !other.is_running() && !other.cancel());
        count.add();
    });
    promise.set_result(1).expect("nothing else completes it");
    assert_eq!(found.get(), 1);
}

fn added_late_run_at_once(_: &Subject) {
    let (_promise, cancelled) = super::support::cancelled();
    for future in [done(1), failed(), cancelled] {
        let place = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&place);
        future.add_done_callback(move |_: &Result<u64, TaskError>| *slot.lock() = Some(thread::current().id()));
        assert_eq!(*place.lock(), Some(thread::current().id()), "here, before the call returns");
    }
}

fn run_where_it_completes(_: &Subject) {
    let (promise, future) = Promise::new();
    let place = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&place);
    future.add_done_callback(move |_| *slot.lock() = Some(thread::current().id()));
    let completing = thread::spawn(move || {
        promise.set_result(1).expect("nothing else completes it");
        thread::current().id()
    });
    assert_eq!(Some(completing.join().unwrap()), *place.lock());
}

fn run_where_it_is_cancelled(_: &Subject) {
    let (_promise, future) = Promise::<u64>::new();
    let place = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&place);
    future.add_done_callback(move |_| *slot.lock() = Some(thread::current().id()));
    assert!(future.cancel());
    assert_eq!(Some(thread::current().id()), *place.lock());
}

fn panic_is_swallowed(_: &Subject) {
    let (promise, future) = Promise::new();
    let seen = Seen::default();
    future.add_done_callback(noting(&seen, "before"));
    future.add_done_callback(|_| panic!("a callback that fails, on purpose"));
    future.add_done_callback(noting(&seen, "after"));
    promise.set_result(4).expect("the completing call does not notice");
    assert_eq!(*seen.lock(), ["before", "after"]);
    assert_eq!(future.result().unwrap(), 4, "nor does the future");

    let (_promise, future) = Promise::<u64>::new();
    future.add_done_callback(|_| panic!("a callback that fails, on purpose"));
    assert!(future.cancel(), "nor does the cancelling call");
    assert_cancelled(future.result());
}

fn panic_is_swallowed_late(_: &Subject) {
    let future = done(4);
    future.add_done_callback(|_| panic!("a late callback that fails, on purpose"));
    assert_eq!(future.result().unwrap(), 4);
}

/// Python's exits and interrupts escape and skip the rest; nothing does here.
fn panic_without_text(_: &Subject) {
    let (promise, future) = Promise::new();
    let seen = Seen::default();
    future.add_done_callback(|_| std::panic::panic_any(7_u8));
    future.add_done_callback(noting(&seen, "after"));
    promise.set_result(4).expect("the completing call does not notice");
    assert_eq!(*seen.lock(), ["after"]);
}

/// Completes futures in another thread, each with a callback that is slow and then counts. `read` gets the future and the
/// count.
fn beside_a_slow_callback(read: impl Fn(Future<i32>, &Counter)) {
    for _ in 0..200 {
        let (promise, future) = Promise::new();
        let ran = Counter::default();
        let count = ran.clone();
        future.add_done_callback(move |_| {
            // A chance for the waiter to run too early.
            (0..20).for_each(|_| thread::yield_now());
            count.add();
        });
        let completing = thread::spawn(move || promise.set_result(1).is_ok());
        read(future, &ran);
        assert!(completing.join().unwrap());
    }
}

/// Python releases the waiters first; here a reader of the result finds the callbacks' work done.
fn ran_before_result_returns(_: &Subject) {
    beside_a_slow_callback(|future, ran| {
        assert_eq!(future.result().unwrap(), 1);
        assert_eq!(ran.get(), 1);
    });
}

fn ran_before_wait_returns(_: &Subject) {
    beside_a_slow_callback(|future, ran| {
        let all = executor_core::wait([future], None, executor_core::ReturnWhen::AllCompleted);
        assert_eq!((all.done.len(), ran.get()), (1, 1));
    });
}

fn may_use_their_own_future(_: &Subject) {
    let (promise, future) = Promise::new();
    let (future, read) = (future.share(), Arc::new(Mutex::new(None)));
    let (own, slot) = (future.clone(), Arc::clone(&read));
    future.add_done_callback(move |_| {
        own.wait();
        *slot.lock() = Some((*own.result().unwrap(), own.exception().is_none(), own.cancel()));
    });
    promise.set_result(6).expect("nothing else completes it");
    assert_eq!(*read.lock(), Some((6, true, false)));
}

fn may_add_callbacks(_: &Subject) {
    let (promise, future) = Promise::<u64>::new();
    let (future, seen) = (future.share(), Seen::default());
    let (own, notes) = (future.clone(), Arc::clone(&seen));
    future.add_done_callback(move |_| {
        own.add_done_callback(noting(&notes, "added"));
        notes.lock().push("adder");
    });
    promise.set_result(1).expect("nothing else completes it");
    let mut names = seen.lock().clone();
    names.sort_unstable();
    assert_eq!(names, ["added", "adder"], "both, once each");
}

/// A callback may own the only handle left, also of its own future.
fn may_drop_the_last_handle(_: &Subject) {
    let probe = Arc::new(());
    let (promise, future) = Promise::new();
    let future = future.share();
    let own = future.clone();
    future.add_done_callback(move |_| drop(own));
    drop(future);
    promise.set_result(Arc::clone(&probe)).expect("a handle was left in the callback");
    assert_eq!(Arc::strong_count(&probe), 1);
}

fn outlive_a_dropped_future(_: &Subject) {
    let (promise, future) = Promise::new();
    let seen = Seen::default();
    future.add_done_callback(noting(&seen, "detached"));
    drop(future);
    let _ = promise.set_result(1);
    assert_eq!(*seen.lock(), ["detached"]);
}

fn are_freed_after_their_run(_: &Subject) {
    let probe = Arc::new(());
    let held = Arc::clone(&probe);
    let (promise, future) = Promise::new();
    future.add_done_callback(move |_| drop(held));
    promise.set_result(1).expect("nothing else completes it");
    assert_eq!(Arc::strong_count(&probe), 1, "freed although the future lives");
    drop(future);

    let held = Arc::clone(&probe);
    let (promise, future) = Promise::<u64>::new();
    future.add_done_callback(move |_| drop(held));
    drop(future);
    drop(promise);
    assert_eq!(Arc::strong_count(&probe), 1, "and when the promise is abandoned");
}

fn of_shared_handles(_: &Subject) {
    let (promise, future) = Promise::new();
    let seen = Seen::default();
    future.add_done_callback(noting(&seen, "unique"));
    let future = future.share();
    future.add_done_callback(noting(&seen, "shared"));
    future.clone().add_done_callback(noting(&seen, "clone"));
    promise.set_result(1).expect("nothing else completes it");
    assert_eq!(*seen.lock(), ["unique", "shared", "clone"]);
}

fn added_in_a_race_run_once(_: &Subject) {
    for _ in 0..200 {
        let (promise, future) = Promise::new();
        let called = Counter::default();
        thread::scope(|scope| {
            scope.spawn(move || promise.set_result(1).expect("nothing else completes it"));
            for _ in 0..4 {
                let count = called.clone();
                future.add_done_callback(move |_| count.add());
            }
        });
        assert_eq!(called.get(), 4);
    }
}
