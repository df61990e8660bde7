//! Which public types may cross threads, be moved while awaited, be shared and be printed.
//!
//! Auto traits are part of the API: a field added deep inside can take one away without a word. Here that is an error.

use concurrent_futures::queue::TaskQueue;
use concurrent_futures::task::{Dequeued, Ended, QueueClock, Task};
use concurrent_futures::{
    AsCompleted, BrokenExecutor, BuildError, CancelOnDrop, DoneAndNotDone, ExecutorSpec, Expired, FirstError, Future,
    Map, MapOptions, Panic, Promise, ReturnWhen, Scope, ScopedFuture, SerialExecutor, SharedFuture, Shutdown, Stats,
    Stop, SubmitError, TaskError, TaskId, TaskInfo, TaskOptions, ThreadPoolBuilder, ThreadPoolExecutor,
    TimedAsCompleted, TimedOut, TrySubmitError, Unfinished, WorkerCount,
};
use std::cell::Cell;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// A result that may be moved to another thread but not shared between threads.
type Movable = Cell<u8>;

/// Evaluates to whether a type has a trait; it compiles also if not: an inherent constant hides the trait's one.
macro_rules! has {
    ($type:ty: $bound:path) => {{
        #[allow(dead_code, reason = "unused by design where the bound holds")]
        trait Fallback {
            const HAS: bool = false;
        }
        impl<T: ?Sized> Fallback for T {}
        struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code, reason = "hidden by design where the bound does not hold")]
        impl<T: ?Sized + $bound> Probe<T> {
            const HAS: bool = true;
        }
        <Probe<$type>>::HAS
    }};
}

/// Returns one row per type: the traits of the table's head that it has.
macro_rules! table {
    ($($type:ty => $($bound:ident)|*;)*) => {
        &[$((stringify!($type), row(
            [has!($type: Send), has!($type: Sync), has!($type: Unpin), has!($type: UnwindSafe), has!($type: RefUnwindSafe),
             has!($type: Debug), has!($type: Clone)],
            &[$(stringify!($bound)),*],
        ))),*]
    };
}

const HEAD: [&str; 7] = ["Send", "Sync", "Unpin", "UnwindSafe", "RefUnwindSafe", "Debug", "Clone"];

/// Compares what is with what should be, as text.
fn row(has: [bool; 7], expected: &[&str]) -> (String, String) {
    let actual: Vec<&str> = HEAD.iter().zip(has).filter(|(_, has)| *has).map(|(name, _)| *name).collect();
    (actual.join(" "), expected.join(" "))
}

fn check(table: &[(&str, (String, String))]) {
    let faults: Vec<String> = table
        .iter()
        .filter(|(_, (actual, expected))| actual != expected)
        .map(|(name, (actual, expected))| format!("{name}\n  is      {actual}\n  must be {expected}"))
        .collect();
    assert!(faults.is_empty(), "{} types differ:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn executors_have_their_auto_traits() {
    check(table! {
        ThreadPoolExecutor => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug;
        SerialExecutor => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug;
        ScopedFuture<'static, String> => Send | Sync | Unpin | Debug;
        Scope<'static, 'static> => Send | Sync | Unpin | Debug;
        ThreadPoolBuilder => Send | Sync | Unpin | Debug;
        ExecutorSpec => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug | Clone;
    });
}

#[test]
fn futures_have_their_auto_traits() {
    check(table! {
        Future<String> => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug;
        Future<Movable> => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug;
        CancelOnDrop<String> => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug;
        SharedFuture<String> => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug | Clone;
        Promise<String> => Send | Sync | Unpin | Debug;
        Task => Send | Sync | Unpin | Debug;
        TaskQueue => Send | Sync | Unpin | UnwindSafe | Debug;
        QueueClock => Send | Sync | Unpin | Debug;
    });
}

#[test]
fn a_shared_result_must_be_shareable() {
    assert!(has!(SharedFuture<String>: Sync));
    assert!(!has!(SharedFuture<Movable>: Send), "clones on two threads would both lend the same cell");
    assert!(!has!(SharedFuture<Movable>: Sync), "two threads would both lend the same cell");
    assert!(!has!(Future<std::rc::Rc<u8>>: Send), "the result would be dropped on another thread");
}

#[test]
fn sets_of_futures_have_their_auto_traits() {
    type Inputs = std::vec::IntoIter<u8>;
    check(table! {
        AsCompleted<Future<String>> => Send | Sync | Unpin | Debug;
        AsCompleted<(u8, Future<String>)> => Send | Sync | Unpin | Debug;
        TimedAsCompleted<Future<String>> => Send | Sync | Unpin | Debug;
        Unfinished<Future<String>> => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug;
        DoneAndNotDone<Future<String>> => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug;
        Map<'static, ThreadPoolExecutor, u8, String, Inputs> => Send | Unpin | Debug;
        ReturnWhen => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug | Clone;
        FirstError => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug | Clone;
    });
}

#[test]
fn options_and_figures_have_their_auto_traits() {
    check(table! {
        TaskOptions => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug | Clone;
        MapOptions => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug | Clone;
        Shutdown => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug | Clone;
        WorkerCount => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug | Clone;
        Stats => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug | Clone;
        Ended => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug | Clone;
        Dequeued => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug | Clone;
        Stop => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug | Clone;
        TaskId => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug | Clone;
        TaskInfo => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug | Clone;
    });
    assert!(has!(TaskId: Hash) && has!(TaskId: Eq) && has!(TaskId: Copy), "a key for maps from future to input");
}

#[test]
fn errors_have_their_auto_traits() {
    check(table! {
        TaskError => Send | Sync | Unpin | Debug;
        Panic => Send | Sync | Unpin | Debug;
        Expired => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug;
        BrokenExecutor => Send | Sync | Unpin | Debug | Clone;
        SubmitError => Send | Sync | Unpin | Debug;
        TrySubmitError<String> => Send | Sync | Unpin | Debug;
        BuildError => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug;
        TimedOut => Send | Sync | Unpin | UnwindSafe | RefUnwindSafe | Debug | Clone;
    });
}

/// Asserts what `?` needs in a function that returns `Box<dyn Error + Send + Sync>`.
#[test]
fn errors_fit_the_question_mark() {
    fn travels<E: Error + Send + Sync + Display + 'static>() {}
    travels::<TaskError>();
    travels::<BrokenExecutor>();
    travels::<SubmitError>();
    travels::<TrySubmitError<String>>();
    travels::<BuildError>();
    travels::<TimedOut>();
    travels::<Unfinished<Future<String>>>();
    travels::<<ExecutorSpec as std::str::FromStr>::Err>();
    travels::<<WorkerCount as std::str::FromStr>::Err>();
}

/// What a caller holds across an await must leave the caller's own future `Send`.
#[test]
fn awaiting_stays_send() {
    use concurrent_futures::prelude::*;

    fn sends<F: Send>(_: F) {}
    let pool = ThreadPoolExecutor::with_workers(1).expect("a thread can be started");
    let borrowed = &pool;
    let future = pool.submit(|x: u8| x, 1).expect("an open pool takes tasks");
    let shared = pool.submit(|x: u8| x, 1).expect("an open pool takes tasks").share();
    sends(future);
    sends(shared);
    sends(borrowed.submit_async(|x: u8| x, 1));
    sends(borrowed.shutdown_async(Shutdown::wait()));
}
