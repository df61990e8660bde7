//! Ends the program when a round hangs, and says who was doing what.
#![expect(clippy::print_stderr, reason = "reporting is what this program is for")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{process, thread};

use parking_lot::Mutex;

/// What a thread of the round is doing, for the report; one for each actor and one for the thread that shuts down.
pub(crate) struct Board(Vec<AtomicUsize>);

impl Board {
    pub(crate) fn new(lanes: usize) -> Arc<Self> {
        Arc::new(Self((0..lanes).map(|_| AtomicUsize::new(0)).collect()))
    }

    /// Notes the step, an index into [`STEPS`]. Relaxed: a report may be a step behind, and must not synchronize.
    pub(crate) fn note(&self, lane: usize, step: usize) {
        self.0[lane].store(step, Relaxed);
    }
}

/// Names of the steps that are not an actor's operation.
pub(crate) const STEPS: [&str; 6] =
    ["not begun", "taking what is left", "finished", "shutting down", "waiting for the actors", "dropping the pool"];

/// Numbers of [`STEPS`]; the actors' operations follow after them.
pub(crate) mod step {
    pub(crate) const LEFTOVERS: usize = 1;
    pub(crate) const FINISHED: usize = 2;
    pub(crate) const ENDING: usize = 3;
    pub(crate) const JOINING: usize = 4;
    pub(crate) const DROPPING: usize = 5;
}

/// The round that is watched: since when, what it is, and what its threads do.
struct Watched {
    since: Instant,
    plan: String,
    board: Arc<Board>,
}

/// The watching thread's side of the current round.
#[derive(Clone)]
pub(crate) struct Watchdog(Arc<Mutex<Option<Watched>>>);

impl Watchdog {
    /// Starts the watching thread; it runs until the process ends.
    pub(crate) fn start(limit: Duration, operations: &'static [&'static str]) -> Self {
        let watchdog = Self(Arc::default());
        let watching = watchdog.clone();
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(500));
                watching.check(limit, operations);
            }
        });
        watchdog
    }

    /// A round begins.
    pub(crate) fn watch(&self, plan: String, board: Arc<Board>) {
        *self.0.lock() = Some(Watched { since: Instant::now(), plan, board });
    }

    /// The round ended.
    pub(crate) fn relax(&self) {
        *self.0.lock() = None;
    }

    fn check(&self, limit: Duration, operations: &[&str]) {
        let watched = self.0.lock();
        let Some(round) = watched.as_ref().filter(|round| round.since.elapsed() > limit) else {
            return;
        };
        eprintln!("stress: HANG after {limit:?} in {}", round.plan);
        for (lane, step) in round.board.0.iter().enumerate() {
            let step = step.load(Relaxed);
            let name = STEPS.get(step).or_else(|| operations.get(step - STEPS.len())).unwrap_or(&"?");
            eprintln!("  lane {lane}: {name}");
        }
        process::abort();
    }
}
