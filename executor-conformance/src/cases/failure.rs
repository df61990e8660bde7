//! Tasks that panic: the error says what happened, and the executor goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use executor_core::{ExecutorExt, MapOptions, TaskError};

use crate::case::{Case, Needs};
use crate::stage::Stage;
use crate::subject::Subject;
use crate::tasks::{self, Bomb};

pub(crate) const CASES: &[Case] = &[
    Case::new("failure.panic_becomes_the_error", &["E7", "F7"], Needs::ANY, panic_becomes_the_error),
    Case::new("failure.panic_says_where", &["E7"], Needs::ANY, panic_says_where),
    Case::new("failure.panic_names_the_worker", &["E7"], Needs::ANY, panic_names_the_worker),
    Case::new("failure.payload_is_kept", &["E7"], Needs::ANY.in_process(), payload_is_kept),
    Case::new("failure.payload_can_be_resumed", &["E7"], Needs::ANY.in_process(), payload_can_be_resumed),
    Case::new("failure.payload_without_text", &["E7", "F28"], Needs::ANY, payload_without_text),
    Case::new("failure.worker_lives_on", &["E7"], Needs::ANY, worker_lives_on),
    Case::new("failure.spares_the_neighbours", &["E7"], Needs::ANY, spares_the_neighbours),
    Case::new(
        "failure.payload_whose_drop_panics_spares_the_worker",
        &["E7", "H11"],
        Needs::ANY.in_process(),
        payload_whose_drop_panics,
    ),
    Case::new(
        "failure.result_whose_drop_panics_spares_the_worker",
        &["E7", "H11"],
        Needs::CONCURRENT.queue(1).in_process(),
        result_bomb,
    ),
];

fn panic_becomes_the_error(subject: &Subject) {
    let stage = Stage::new(subject);
    let future = stage.pool().submit(tasks::panic_with, "no such account, on purpose".to_owned()).unwrap();
    let error = future.result().unwrap_err();
    assert!(error.is_panic() && !error.is_cancelled() && !error.is_timed_out());
    assert!(error.to_string().contains("no such account"), "{error}");
    match error {
        TaskError::Panicked(panic) => assert_eq!(panic.message(), "no such account, on purpose"),
        other => panic!("{other:?}"),
    }
}

fn panic_says_where(subject: &Subject) {
    let stage = Stage::new(subject);
    match stage.pool().submit(tasks::panic_with, "text, on purpose".to_owned()).unwrap().result() {
        Err(TaskError::Panicked(panic)) => {
            let location = panic.location().expect("the panic hook is ours");
            assert!(location.contains("tasks.rs"), "{location}");
        }
        other => panic!("{other:?}"),
    }
}

/// The thread, or another process, and that of the item in `map`.
fn panic_names_the_worker(subject: &Subject) {
    let stage = Stage::new(subject);
    let alone = stage.pool().submit(tasks::panic_with, "text, on purpose".to_owned()).unwrap().result();
    let options = MapOptions::new().chunk_size(3);
    let mapped: Vec<_> = stage.pool().map_with(options, tasks::double_even, [1, 2, 3, 4, 5, 7]).collect();
    let panics: Vec<_> = mapped.into_iter().chain([alone]).filter_map(Result::err).collect();
    assert_eq!(panics.len(), 5);
    for error in panics {
        let text = error.to_string();
        let TaskError::Panicked(panic) = error else { panic!("{text}") };
        let worker = panic.worker().expect("workers have names, and so has this thread");
        assert!(text.contains(worker), "{text}");
        if !subject.traits.concurrent {
            assert_eq!(Some(worker), std::thread::current().name());
        }
        match panic.pid() {
            Some(pid) => assert!(!subject.traits.in_process && pid != std::process::id()),
            None => assert!(subject.traits.in_process),
        }
    }
}

fn payload_is_kept(subject: &Subject) {
    let stage = Stage::new(subject);
    match stage.pool().submit(tasks::panic_with_number, 77).unwrap().result() {
        Err(TaskError::Panicked(panic)) => assert_eq!(*panic.into_payload().downcast::<u64>().unwrap(), 77),
        other => panic!("{other:?}"),
    }
}

fn payload_can_be_resumed(subject: &Subject) {
    let stage = Stage::new(subject);
    let Err(TaskError::Panicked(panic)) = stage.pool().submit(tasks::panic_with_number, 78).unwrap().result() else {
        panic!("a panic is a panic");
    };
    let resumed = catch_unwind(AssertUnwindSafe(|| panic.resume()));
    assert_eq!(*resumed.unwrap_err().downcast::<u64>().unwrap(), 78);
}

fn payload_without_text(subject: &Subject) {
    let stage = Stage::new(subject);
    let error = stage.pool().submit(tasks::panic_with_number, 79).unwrap().result().unwrap_err();
    assert!(error.is_panic());
    assert!(!error.to_string().is_empty());
}

fn worker_lives_on(subject: &Subject) {
    let stage = Stage::workers(subject, 1);
    for number in 0..20 {
        assert!(stage.pool().submit(tasks::panic_with, "again, on purpose".to_owned()).unwrap().result().is_err());
        assert_eq!(stage.pool().submit(tasks::double, number).unwrap().result().unwrap(), 2 * number);
    }
}

fn spares_the_neighbours(subject: &Subject) {
    let stage = Stage::new(subject);
    let futures: Vec<_> = (0..40).map(|number| stage.pool().submit(tasks::double_even, number).unwrap()).collect();
    for (number, future) in (0..40).zip(futures) {
        match number % 2 {
            0 => assert_eq!(future.result().unwrap(), 2 * number),
            _ => assert!(future.result().unwrap_err().is_panic()),
        }
    }
}

/// Dropping the error runs the payload's destructor: its panic is the reader's, not the worker's.
fn payload_whose_drop_panics(subject: &Subject) {
    fn plant((): ()) {
        std::panic::panic_any(Bomb);
    }
    let stage = Stage::workers(subject, 1);
    for number in 0..3 {
        let future = stage.pool().submit(plant, ()).unwrap();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
        assert_eq!(stage.pool().submit(tasks::double, number).unwrap().result().unwrap(), 2 * number);
    }
}

/// No reader takes the result, so the worker drops it, and lives on.
fn result_bomb(subject: &Subject) {
    let stage = Stage::workers(subject, 1);
    let occupied = stage.occupy();
    drop(stage.pool().submit(tasks::echo::<Bomb>, Bomb).unwrap());
    occupied.release();
    assert_eq!(stage.pool().submit(tasks::double, 2).unwrap().result().unwrap(), 4);
}
