//! `map` over inputs that take different times: the workers share the work, whatever comes first.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use executor_core::{ExecutorExt, MapOptions, Shutdown, is_stop_requested};
use futures::executor::block_on;

use crate::case::{Case, Needs};
use crate::gate::{Gate, Log};
use crate::stage::Stage;
use crate::subject::Subject;

/// Needs two workers, and a queue for all parts of a chunk.
const SHARED: Needs = Needs::CONCURRENT.workers(2);

pub(crate) const CASES: &[Case] = &[
    Case::new("map_uneven.slow_one_comes_first", &["M1", "M15"], SHARED, slow_one_comes_first),
    Case::new("map_uneven.every_shape_is_shared", &["M1", "M11"], SHARED, every_shape_is_shared),
    Case::new("map_uneven.given_size_is_shared", &["M1", "M11"], SHARED, given_size_is_shared),
    Case::new("map_uneven.drop_stops_all_parts", &["M9", "M11"], SHARED, drop_stops_all_parts),
];

/// Writes a line; the first item ends when there are many lines. The gate lets it end if the case fails.
fn note_or_wait((log, gate, number): (Log, Gate, u64)) -> u64 {
    while number == 0 && log.lines().len() < 150 && !gate.is_open() {
        thread::sleep(Duration::from_millis(1));
    }
    log.write(&number.to_string());
    number
}

/// More items than a window usually holds must begin behind the slow one, or it never ends.
fn slow_one_comes_first(subject: &Subject) {
    let stage = Stage::workers(subject, 2);
    let inputs = |name: &str| {
        let (log, gate) = (stage.log(name), stage.gate(name));
        (0..200).map(move |number| (log.clone(), gate.clone(), number)).collect::<Vec<_>>()
    };
    let results: Vec<_> = stage.pool().map(note_or_wait, inputs("blocking")).map(Result::unwrap).collect();
    assert_eq!(results, (0..200).collect::<Vec<_>>());
    let map = stage.pool().map(note_or_wait, inputs("polled"));
    let results: Vec<_> = block_on(futures::StreamExt::collect::<Vec<_>>(map));
    assert!(results.into_iter().map(Result::unwrap).eq(0..200));
}

/// Works for so many milliseconds; an item that does leaves a line with its number and its worker.
type Item = (Log, u64, u64);

fn work((log, milliseconds, number): Item) -> u64 {
    if milliseconds > 0 {
        thread::sleep(Duration::from_millis(milliseconds));
        log.write(&format!("{number} {} {:?}", std::process::id(), thread::current().id()));
    }
    number
}

/// Asserts that every expensive item has run once, and not all of them in one worker.
fn assert_shared(shape: &str, log: &Log, costs: &[u64]) {
    let lines = log.lines();
    let split = |line: &'_ String| line.split_once(' ').map(|(number, worker)| (number.to_owned(), worker.to_owned()));
    let (mut numbers, workers): (Vec<_>, BTreeSet<_>) = lines.iter().filter_map(split).unzip();
    let dear = (0..).zip(costs).filter(|&(_, &cost)| cost > 0).map(|(number, _): (u64, _)| number.to_string());
    let mut dear: Vec<_> = dear.collect();
    dear.sort();
    numbers.sort();
    assert_eq!(numbers, dear, "{shape}: each once");
    assert!(workers.len() >= 2, "{shape}: {workers:?} ran all of it");
}

fn costs(count: u64, cost: impl Fn(u64) -> u64) -> Vec<u64> {
    (0..count).map(cost).collect()
}

fn every_shape_is_shared(subject: &Subject) {
    let stage = Stage::workers(subject, 2);
    // Both workers are running.
    stage.occupy().release();
    let shapes = [
        ("cheap, then dear", costs(2100, |number| if number < 2000 { 0 } else { 3 })),
        ("dear, then cheap", costs(2100, |number| if number < 100 { 3 } else { 0 })),
        ("alternating", costs(2000, |number| if number % 20 == 0 { 3 } else { 0 })),
        (
            "a heavy tail",
            costs(2000, |number| {
                [0, 1, 2, 40]
                    [usize::from(number % 20 == 3) + usize::from(number % 100 == 3) + usize::from(number % 1000 == 3)]
            }),
        ),
        ("one giant", costs(2000, |number| if number == 1000 { 100 } else { number % 40 / 39 })),
    ];
    for (shape, costs) in shapes {
        for (order, options) in [("in order", MapOptions::new()), ("as completed", MapOptions::new().unordered())] {
            let log = stage.log(&format!("{shape} {order}"));
            let mut numbers = (0..).zip(&costs).map(|(number, &cost)| (log.clone(), cost, number));
            // The number of inputs is not known beforehand.
            let inputs = std::iter::from_fn(move || numbers.next());
            let mut results: Vec<u64> = stage.pool().map_with(options, work, inputs).map(Result::unwrap).collect();
            if order != "in order" {
                results.sort_unstable();
            }
            assert!(results.into_iter().eq(0..costs.len() as u64), "{shape} {order}");
            assert_shared(shape, &log, &costs);
        }
    }
}

/// A given chunk size is how many inputs may travel together, not how many must.
fn given_size_is_shared(subject: &Subject) {
    let stage = Stage::workers(subject, 2);
    stage.occupy().release();
    let (log, costs) = (stage.log("ran"), vec![3; 120]);
    let inputs = (0..).zip(&costs).map(|(number, &cost)| (log.clone(), cost, number));
    let map = stage.pool().map_with(MapOptions::new().chunk_size(120), work, inputs);
    let results: Vec<u64> =
        block_on(futures::StreamExt::collect::<Vec<_>>(map)).into_iter().map(Result::unwrap).collect();
    assert!(results.into_iter().eq(0..120));
    assert_shared("one chunk", &log, &costs);
}

fn work_or_hold((log, gate, number): (Log, Gate, u64)) -> bool {
    if number < 60 {
        work((log, 3, number));
        return false;
    }
    gate.arrive();
    while !is_stop_requested() && !gate.is_open() {
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// The parts of a chunk belong to the map, wherever they are.
fn drop_stops_all_parts(subject: &Subject) {
    let stage = Stage::workers(subject, 2);
    stage.occupy().release();
    let (log, gate) = (stage.log("ran"), stage.gate("held"));
    let inputs = (0..120).map(|number| (log.clone(), gate.clone(), number));
    let map = stage.pool().map_with(MapOptions::new().chunk_size(120), work_or_hold, inputs);
    // One in each worker.
    gate.wait_arrivals(2);
    drop(map);
    stage.pool().shutdown(Shutdown::wait());
    assert_eq!(gate.arrivals(), 2, "the others were cancelled");
}
