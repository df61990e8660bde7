//! `map` over inputs that do not all take as long: the workers share the work, whatever comes first.

use std::thread;
use std::time::Duration;

use executor_core::ExecutorExt;
use futures::executor::block_on;

use crate::case::{Case, Needs};
use crate::gate::{Gate, Log};
use crate::stage::Stage;
use crate::subject::Subject;

pub(crate) const CASES: &[Case] =
    &[Case::new("map_uneven.slow_one_comes_first", &["M1", "M15"], Needs::CONCURRENT.workers(2), slow_one_comes_first)];

/// Writes a line; the first item ends when there are many lines. The gate is the way out for a case that fails.
fn note_or_wait((log, gate, number): (Log, Gate, u64)) -> u64 {
    while number == 0 && log.lines().len() < 150 && !gate.is_open() {
        thread::sleep(Duration::from_millis(1));
    }
    log.write(&number.to_string());
    number
}

/// Far more items than a window usually has begin behind one that takes long, or it never ends.
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
