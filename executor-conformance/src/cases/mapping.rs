//! `map`: results in input order, one outcome per item, with a bounded window of inputs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use executor_core::{ExecutorExt, MapOptions, Shutdown, TaskError, is_stop_requested};
use futures::executor::block_on;

use super::support::{Counter, LONG, SHORT};
use crate::case::{Case, Needs};
use crate::gate::Gate;
use crate::stage::Stage;
use crate::step;
use crate::subject::Subject;
use crate::tasks::{self, Tracked, alive};

pub(crate) const CASES: &[Case] = &[
    Case::new("mapping.in_input_order", &["M1"], Needs::ANY, in_input_order),
    Case::new("mapping.in_input_order_whatever_ends_first", &["M1"], Needs::CONCURRENT.workers(2), whatever_ends_first),
    Case::new("mapping.several_inputs_are_zipped", &["M1"], Needs::ANY, several_inputs),
    Case::new("mapping.begins_in_the_call", &["M2"], Needs::CONCURRENT, begins_in_the_call),
    Case::new("mapping.error_in_its_place", &["M3", "M4", "H49"], Needs::ANY, error_in_its_place),
    Case::new("mapping.error_in_a_chunk", &["M5", "H50"], Needs::ANY, error_in_a_chunk),
    Case::new("mapping.errors_the_tasks_return_are_items", &["M8"], Needs::ANY, errors_the_tasks_return),
    Case::new("mapping.any_chunk_size_gives_the_same_results", &["M11", "H51"], Needs::ANY, any_chunk_size),
    Case::new("mapping.any_buffer_gives_the_same_results", &["M15"], Needs::ANY, any_buffer),
    Case::new("mapping.no_chunk_is_refused", &["M11"], Needs::ANY, no_chunk_is_refused),
    Case::new("mapping.no_buffer_is_refused", &["M13"], Needs::ANY, no_buffer_is_refused),
    Case::new(
        "mapping.call_takes_one_buffer",
        &["M14", "M2", "H47"],
        Needs::CONCURRENT.queue(4),
        call_takes_one_buffer,
    ),
    Case::new(
        "mapping.never_more_than_a_buffer_ahead",
        &["M18", "M20", "H47"],
        Needs::ANY,
        never_more_than_a_buffer_ahead,
    ),
    Case::new("mapping.endless_inputs_are_read_in_part", &["M16", "H47"], Needs::ANY, endless_inputs),
    Case::new("mapping.no_inputs_give_no_results", &["M17"], Needs::ANY, no_inputs),
    Case::new("mapping.yielded_is_let_go", &["M12"], Needs::ANY, yielded_is_let_go),
    Case::new("mapping.unordered_yields_each_once", &["M1"], Needs::ANY, unordered),
    Case::new(
        "mapping.unordered_yields_what_is_there",
        &["M1"],
        Needs::CONCURRENT.workers(2),
        unordered_yields_what_is_there,
    ),
    Case::new("mapping.as_a_stream", &["M1", "M3"], Needs::ANY, as_a_stream),
    Case::new(
        "mapping.run_limit_of_each_input",
        &["M5", "H4", "H50"],
        Needs::ANY.time_limits(),
        run_limit_of_each_input,
    ),
    Case::new("mapping.run_limit_to_spare", &["M5"], Needs::ANY.time_limits(), run_limit_to_spare),
    Case::new("mapping.two_at_once", &["E6"], Needs::ANY, two_at_once),
];

fn doubled(range: std::ops::Range<u64>) -> Vec<u64> {
    range.map(|number| number * 2).collect()
}

fn in_input_order(subject: &Subject) {
    let stage = Stage::new(subject);
    let results: Vec<_> = stage.pool().map(tasks::double, 0..300).map(Result::unwrap).collect();
    assert_eq!(results, doubled(0..300));
}

/// Passes its gate, opens the next one, and returns its number.
fn relay((own, next, number): (Gate, Gate, u64)) -> u64 {
    own.wait_open();
    next.open();
    number
}

/// The first item cannot end before the second.
fn whatever_ends_first(subject: &Subject) {
    let stage = Stage::workers(subject, 2);
    let (first, second, last) = (stage.gate("first"), stage.gate("second"), stage.gate("last"));
    second.open();
    let inputs = [(first.clone(), last, 0), (second, first, 1)];
    let results = stage.pool().map_with(MapOptions::new().chunk_size(1), relay, inputs);
    assert_eq!(results.map(Result::unwrap).collect::<Vec<_>>(), [0, 1]);
}

fn several_inputs(subject: &Subject) {
    let stage = Stage::new(subject);
    let zipped = (0_u64..10).zip((0_u64..5).rev());
    let results = stage.pool().map(|(a, b)| a * 10 + b, zipped);
    assert_eq!(results.map(Result::unwrap).collect::<Vec<_>>(), [4, 13, 22, 31, 40], "as many as the shorter one has");
}

/// No result has been asked for yet.
fn begins_in_the_call(subject: &Subject) {
    let stage = Stage::new(subject);
    let gate = stage.gate("inside");
    let map = stage.pool().map(tasks::pass, [gate.clone()]);
    gate.wait_arrivals(1);
    gate.open();
    assert_eq!(map.map(Result::unwrap).count(), 1);
}

/// Python stopped at the first error until 3.15; here each item has an outcome of its own.
fn error_in_its_place(subject: &Subject) {
    let stage = Stage::new(subject);
    let outcomes: Vec<_> = stage.pool().map(tasks::double_even, 0..20).collect();
    assert_eq!(outcomes.len(), 20);
    for (number, outcome) in (0..20).zip(outcomes) {
        match number % 2 {
            0 => assert_eq!(outcome.unwrap(), 2 * number),
            _ => {
                let error = outcome.unwrap_err();
                assert!(error.is_panic() && error.to_string().contains(&format!("{number} is odd")), "{error}");
            }
        }
    }
}

fn error_in_a_chunk(subject: &Subject) {
    let stage = Stage::new(subject);
    let options = MapOptions::new().chunk_size(4);
    let outcomes: Vec<_> = stage.pool().map_with(options, tasks::double_even, [0, 2, 3, 4, 6]).collect();
    let values: Vec<_> = outcomes.into_iter().map(Result::ok).collect();
    assert_eq!(values, [Some(0), Some(4), None, Some(8), Some(12)], "the siblings before and after it are there");
}

fn errors_the_tasks_return(subject: &Subject) {
    let stage = Stage::new(subject);
    let map = stage.pool().map_with(MapOptions::new().timeout(LONG), tasks::checked_double, 0..6);
    let outcomes: Vec<_> = map.map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 3, "ordinary values, which end nothing");
    assert_eq!(outcomes[4], Ok(8));
}

fn any_chunk_size(subject: &Subject) {
    let stage = Stage::new(subject);
    for size in [1, 2, 7, 50, 1000] {
        let results = stage.pool().map_with(MapOptions::new().chunk_size(size), tasks::double, 0..50);
        assert_eq!(results.map(Result::unwrap).collect::<Vec<_>>(), doubled(0..50), "chunks of {size}");
    }
}

fn any_buffer(subject: &Subject) {
    let stage = Stage::new(subject);
    for buffer in [1, 2, 7, 50, 1000] {
        for options in [MapOptions::new(), MapOptions::new().chunk_size(3)] {
            let results = stage.pool().map_with(options.buffer(buffer), tasks::double, 0..50);
            assert_eq!(results.map(Result::unwrap).collect::<Vec<_>>(), doubled(0..50), "a buffer of {buffer}");
        }
    }
}

fn no_chunk_is_refused(_: &Subject) {
    assert_refused(|| MapOptions::new().chunk_size(0), "chunk_size");
}

fn no_buffer_is_refused(_: &Subject) {
    assert_refused(|| MapOptions::new().buffer(0), "buffer");
}

/// A mistake of the program, so a panic, which names what was wrong.
fn assert_refused(make: impl FnOnce() -> MapOptions, word: &str) {
    let payload = catch_unwind(AssertUnwindSafe(make)).expect_err("zero makes no sense");
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
    assert!(text.contains(word), "the panic should name {word}: {text:?}");
}

/// Inputs that count how many have been taken.
fn counted(taken: &Counter, inputs: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
    let taken = taken.clone();
    inputs.inspect(move |_| taken.add())
}

fn call_takes_one_buffer(subject: &Subject) {
    let stage = Stage::new(subject);
    for options in [MapOptions::new(), MapOptions::new().chunk_size(1), MapOptions::new().chunk_size(3)] {
        let (occupied, taken) = (stage.occupy(), Counter::default());
        let map = stage.pool().map_with(options.buffer(4), tasks::double, counted(&taken, 0..100));
        assert_eq!(taken.get(), 4, "inputs, whatever the chunks");
        occupied.release();
        assert_eq!(map.map(Result::unwrap).collect::<Vec<_>>(), doubled(0..100));
        assert_eq!(taken.get(), 100);
    }
}

fn never_more_than_a_buffer_ahead(subject: &Subject) {
    let stage = Stage::new(subject);
    for options in [MapOptions::new(), MapOptions::new().chunk_size(1), MapOptions::new().chunk_size(10)] {
        let taken = Counter::default();
        let mut map = stage.pool().map_with(options.buffer(5), tasks::double, counted(&taken, 0..60));
        for yielded in 0..60 {
            assert!(taken.get() <= yielded + 5, "{} inputs taken, {yielded} results yielded", taken.get());
            assert_eq!(map.next().unwrap().unwrap(), 2 * yielded as u64);
        }
        assert!(map.next().is_none());
    }
}

fn endless_inputs(subject: &Subject) {
    let stage = Stage::new(subject);
    for options in [MapOptions::new(), MapOptions::new().buffer(3), MapOptions::new().chunk_size(5)] {
        let results = stage.pool().map_with(options, tasks::double, 0..);
        assert_eq!(results.take(100).map(Result::unwrap).collect::<Vec<_>>(), doubled(0..100));
    }
}

fn no_inputs(subject: &Subject) {
    let stage = Stage::new(subject);
    for options in [MapOptions::new(), MapOptions::new().buffer(3), MapOptions::new().chunk_size(5).timeout(LONG)] {
        let mut map = stage.pool().map_with(options, tasks::double, Vec::new());
        assert!(map.next().is_none());
        assert!(map.next().is_none(), "and stays so");
    }
}

fn yielded_is_let_go(subject: &Subject) {
    let (stage, probe) = (Stage::new(subject), Arc::new(()));
    let inputs = (0..10).map(|number| Tracked::new(&probe, number));
    let options = MapOptions::new().chunk_size(1).buffer(1);
    let mut map = stage.pool().map_with(options, tasks::echo::<Tracked>, inputs);
    for number in 0..10 {
        assert_eq!(map.next().unwrap().unwrap().number, number);
        assert!(alive(&probe) <= 1, "only what is in the buffer");
    }
    assert!(map.next().is_none());
    assert_eq!(alive(&probe), 0);
}

fn unordered(subject: &Subject) {
    let stage = Stage::new(subject);
    for options in [MapOptions::new(), MapOptions::new().chunk_size(3), MapOptions::new().buffer(2)] {
        let results = stage.pool().map_with(options.unordered(), tasks::double, 0..50);
        let mut results: Vec<_> = results.map(Result::unwrap).collect();
        results.sort_unstable();
        assert_eq!(results, doubled(0..50));
    }
}

fn unordered_yields_what_is_there(subject: &Subject) {
    let stage = Stage::workers(subject, 2);
    let (held, free) = (stage.gate("held"), stage.gate("free"));
    free.open();
    let inputs = [(held.clone(), 1), (free, 2)];
    let options = MapOptions::new().chunk_size(1).unordered();
    let mut map = stage.pool().map_with(options, tasks::pass_then, inputs);
    assert_eq!(map.next().unwrap().unwrap(), 2, "the first input is still held");
    held.open();
    assert_eq!(map.next().unwrap().unwrap(), 1);
    assert!(map.next().is_none());
}

fn as_a_stream(subject: &Subject) {
    let stage = Stage::new(subject);
    let map = stage.pool().map_with(MapOptions::new().buffer(4), tasks::double_even, 0..30);
    // Not imported: its methods have the iterator's names.
    let outcomes: Vec<_> = block_on(futures::StreamExt::collect(map));
    assert_eq!(outcomes.len(), 30);
    for (number, outcome) in (0..30).zip(outcomes) {
        assert_eq!(outcome.ok(), (number % 2 == 0).then_some(2 * number));
    }
}

/// Ends when it is asked to stop; its gate lets it end if the case fails.
fn hold((gate, held): (Gate, bool)) -> bool {
    while held && !is_stop_requested() && !gate.is_open() {
        std::thread::sleep(Duration::from_millis(1));
    }
    held
}

/// Whatever the chunks are, the input that takes too long is alone in failing, in its place.
fn run_limit_of_each_input(subject: &Subject) {
    let stage = Stage::new(subject);
    let gate = stage.gate("held");
    // The other inputs end within it, however busy the machine is.
    let limit = 100 * SHORT;
    for options in [MapOptions::new().chunk_size(4), MapOptions::new().chunk_size(6).buffer(6)] {
        let inputs = (0..6).map(|number| (gate.clone(), number == 1));
        step("waiting for the limit of one input");
        let outcomes: Vec<_> = stage.pool().map_with(options.run_timeout(limit), hold, inputs).collect();
        assert_eq!(outcomes.len(), 6);
        for (number, outcome) in outcomes.into_iter().enumerate() {
            if number != 1 {
                assert!(!outcome.unwrap());
                continue;
            }
            match outcome {
                Err(TaskError::TimedOut(expired)) => assert_eq!(expired.limit(), limit),
                other => panic!("expected an expired limit, got {other:?}"),
            }
        }
    }
    step("waiting for the stopped items to leave their workers");
    stage.pool().shutdown(Shutdown::wait());
}

fn run_limit_to_spare(subject: &Subject) {
    let stage = Stage::new(subject);
    for limit in [LONG, Duration::MAX] {
        let options = MapOptions::new().run_timeout(limit);
        let mut outcomes: Vec<_> = stage.pool().map_with(options, tasks::double_even, 0..100).collect();
        let panics = outcomes.extract_if(.., |outcome| outcome.is_err());
        assert!(panics.map(Result::unwrap_err).all(|error| error.is_panic()));
        let results: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
        assert_eq!(results, (0..50).map(|number| 4 * number).collect::<Vec<_>>());
    }
}

fn two_at_once(subject: &Subject) {
    let stage = Stage::new(subject);
    let evens = stage.pool().map(tasks::double, (0..50).map(|number| 2 * number));
    let odds = stage.pool().map(tasks::double, (0..50).map(|number| 2 * number + 1));
    let merged: Vec<_> = evens.zip(odds).flat_map(|(even, odd)| [even.unwrap(), odd.unwrap()]).collect();
    assert_eq!(merged, doubled(0..100));
}
