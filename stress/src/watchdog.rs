//! Ends the program when a round hangs, and says who was doing what.
#![expect(clippy::print_stderr, reason = "reporting is what this program is for")]

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{process, thread};

use parking_lot::Mutex;

use crate::pool::Pool;

/// What a thread of the round is doing, for the report; one for each actor and one for the thread that shuts down.
pub(crate) struct Board {
    steps: Vec<AtomicUsize>,
    /// The actors' operations.
    operations: Vec<&'static str>,
}

impl Board {
    pub(crate) fn new(lanes: usize, operations: Vec<&'static str>) -> Arc<Self> {
        Arc::new(Self { steps: (0..lanes).map(|_| AtomicUsize::new(0)).collect(), operations })
    }

    /// Notes the step, an index into [`STEPS`] or, behind these, into the operations. Relaxed: a report may be a step behind, and must not synchronize.
    pub(crate) fn note(&self, lane: usize, step: usize) {
        self.steps[lane].store(step, Relaxed);
    }
}

/// Names of the steps that are not an actor's operation.
pub(crate) const STEPS: [&str; 7] = [
    "not begun",
    "taking what is left",
    "finished",
    "shutting down",
    "waiting for the actors",
    "dropping the pool",
    "looking for what is left",
];

/// Numbers of [`STEPS`]; the actors' operations follow after them.
pub(crate) mod step {
    pub(crate) const LEFTOVERS: usize = 1;
    pub(crate) const FINISHED: usize = 2;
    pub(crate) const ENDING: usize = 3;
    pub(crate) const JOINING: usize = 4;
    pub(crate) const DROPPING: usize = 5;
    pub(crate) const LOOKING_FOR_LEFTOVERS: usize = 6;
}

/// The round that is watched: since when, what it is, what its threads do, and its pools.
struct Watched {
    since: Instant,
    plan: String,
    board: Arc<Board>,
    pools: Pools,
}

type Pools = Arc<Mutex<Vec<Weak<Pool>>>>;

/// How long a pool may take to say what it is doing: one that hangs may hang there.
const PATIENCE: Duration = Duration::from_secs(5);

/// The watching thread's side of the current round.
#[derive(Clone)]
pub(crate) struct Watchdog(Arc<Mutex<Option<Watched>>>);

impl Watchdog {
    /// Starts the watching thread; it runs until the process ends. `hold`: a hang is not ended.
    pub(crate) fn start(limit: Duration, hold: bool) -> Self {
        let watchdog = Self(Arc::default());
        let watching = watchdog.clone();
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(500));
                if watching.hangs(limit) && !hold {
                    process::abort();
                }
            }
        });
        watchdog
    }

    /// A round begins.
    pub(crate) fn watch(&self, plan: String, board: Arc<Board>, pools: Pools) {
        *self.0.lock() = Some(Watched { since: Instant::now(), plan, board, pools });
    }

    /// The round ended.
    pub(crate) fn relax(&self) {
        *self.0.lock() = None;
    }

    /// Says what the round is doing if it takes longer than it may.
    fn hangs(&self, limit: Duration) -> bool {
        let mut watched = self.0.lock();
        let Some(round) = watched.take_if(|round| round.since.elapsed() > limit) else {
            return false;
        };
        eprintln!("stress: HANG after {limit:?} in {}", round.plan);
        let names: Vec<&str> = STEPS.iter().chain(&round.board.operations).copied().collect();
        for (lane, step) in round.board.steps.iter().enumerate() {
            let name = names.get(step.load(Relaxed)).unwrap_or(&"?");
            eprintln!("  lane {lane}: {name}");
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        thread::spawn(move || {
            for pool in round.pools.lock().iter().filter_map(Weak::upgrade) {
                eprintln!("  pool: {pool}");
            }
            let _ = sender.send(());
        });
        if receiver.recv_timeout(PATIENCE).is_err() {
            eprintln!("  and that takes more than {PATIENCE:?}");
        }
        true
    }
}
