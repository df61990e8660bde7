//! What a timed row of thread pools is made of.

use std::time::{Duration, Instant};

use crate::rounds::Contender;

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
