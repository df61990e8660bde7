//! The timed rows: what each does, how often, and what it is to be measured against.

mod as_completed;
mod await_collect;
mod map_tiny;
pub(crate) mod map_uneven;
mod map_work;
mod nested;
mod submits;

use std::time::{Duration, Instant};

use crate::rounds::Contender;

pub(crate) use map_work::churn;

/// A row ready to be timed: the pools are built, nothing has been timed.
pub(crate) struct Row {
    /// How many tasks one run of one contender does.
    pub(crate) tasks: u64,
    /// Ours first, then the peers.
    pub(crate) contenders: Vec<Contender>,
}

/// A row by name, and the ratio of ours to the fastest peer that it is to reach.
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) target: f64,
    /// A better ratio than the target that is hoped for.
    pub(crate) aim: Option<f64>,
    /// Builds the row's pools; the factor shrinks its counts.
    pub(crate) build: fn(f64) -> Row,
}

/// All timed rows, in the order in which they run.
pub(crate) const ROWS: &[Spec] = &[
    Spec { name: "submit_collect", target: 1.0, aim: Some(0.7), build: submits::submit_collect },
    Spec { name: "round_trip", target: 0.5, aim: None, build: submits::round_trip },
    Spec { name: "producers_4", target: 1.0, aim: None, build: submits::producers },
    Spec { name: "nested", target: 1.5, aim: None, build: nested::build },
    Spec { name: "map_tiny", target: 0.2, aim: None, build: map_tiny::build },
    Spec { name: "map_100us", target: 1.03, aim: None, build: map_work::build },
    Spec { name: "map_uneven", target: 1.15, aim: None, build: map_uneven::build },
    Spec { name: "as_completed_100k", target: 1.5, aim: None, build: as_completed::loop_alone },
    Spec { name: "as_completed_whole", target: 1.5, aim: None, build: as_completed::with_submits },
    Spec { name: "await_collect", target: 1.0, aim: None, build: await_collect::build },
];

/// A count shrunk by the factor, never to nothing.
pub(crate) fn scaled(count: u64, scale: f64) -> u64 {
    ((count as f64 * scale) as u64).max(1)
}

/// How long the closure takes, and what it returns.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let value = work();
    (start.elapsed(), value)
}
