//! One round: a random pool, threads that use it, an ending that may race with them, and the balance of the books.

use std::fmt;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use executor_core::{Executor, Shutdown};
use fastrand::Rng;
use futures::executor::block_on;
use parking_lot::Mutex;
use thread_executor::ThreadPoolExecutor;

use crate::Totals;
use crate::actor::Actor;
use crate::ledger::Entry;
use crate::tasks::Held;
use crate::watchdog::{Board, Watchdog, step};

/// What the threads of a round share.
pub(crate) struct Shared {
    pub(crate) pool: ThreadPoolExecutor,
    /// Futures that one thread gave up for another to take.
    pub(crate) swapped: Mutex<Vec<Held>>,
    entries: Mutex<Vec<Arc<Entry>>>,
}

impl Shared {
    /// The books of a task that no actor made.
    pub(crate) fn entry(&self, origin: &'static str) -> Arc<Entry> {
        let entry = Entry::new(origin);
        self.entries.lock().push(Arc::clone(&entry));
        entry
    }
}

/// How the pool's life ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Drop,
    Wait,
    NoWait,
    WaitCancelling,
    NoWaitCancelling,
    TimeoutThenWait,
    Polled,
}

const ENDINGS: [Ending; 7] = [
    Ending::Drop,
    Ending::Wait,
    Ending::NoWait,
    Ending::WaitCancelling,
    Ending::NoWaitCancelling,
    Ending::TimeoutThenWait,
    Ending::Polled,
];

/// A round as its seed decides it.
pub(crate) struct Plan {
    seed: u64,
    workers: usize,
    capacity: Option<usize>,
    keep_alive: Option<Duration>,
    actors: usize,
    operations: usize,
    ending: Ending,
    /// After so many microseconds the pool ends although the actors are at work.
    racing: Option<u64>,
    /// With the racing ending, from another thread: of two shutdowns at once each must keep its promise.
    rival: Ending,
    /// Tasks may submit to the pool and wait.
    pub(crate) nested: bool,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let ending = ENDINGS[rng.usize(..ENDINGS.len())];
        Self {
            seed,
            workers: rng.usize(1..=4),
            capacity: rng.bool().then(|| [1, 2, 16][rng.usize(..3)]),
            keep_alive: rng.bool().then_some(Duration::from_millis(1)),
            actors: rng.usize(1..=4),
            operations: rng.usize(10..=300),
            ending,
            // A pool cannot be dropped while it is borrowed, so that ending has nothing to race with.
            racing: (ending != Ending::Drop && rng.bool()).then(|| rng.u64(0..5_000)),
            rival: ENDINGS[rng.usize(..ENDINGS.len())],
            nested: rng.bool(),
        }
    }

    /// Whether the ending may keep accepted tasks from running.
    fn cancels(&self) -> bool {
        let cancels = |ending| matches!(ending, Ending::WaitCancelling | Ending::NoWaitCancelling);
        cancels(self.ending) || self.racing.is_some() && cancels(self.rival)
    }

    fn build(&self) -> ThreadPoolExecutor {
        let mut builder = ThreadPoolExecutor::builder().workers(self.workers);
        if let Some(capacity) = self.capacity {
            builder = builder.queue_capacity(capacity);
        }
        if let Some(keep_alive) = self.keep_alive {
            builder = builder.keep_alive(keep_alive);
        }
        builder.build().expect("the workers start")
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "round --seed {}: {} workers, capacity {:?}, keep-alive {:?}, {} actors x {} operations, nested {}, {:?}",
            self.seed,
            self.workers,
            self.capacity,
            self.keep_alive,
            self.actors,
            self.operations,
            self.nested,
            self.ending
        )?;
        match self.racing {
            Some(micros) => write!(f, " after {micros} us, racing with the actors and with {:?}", self.rival),
            None => write!(f, " after the actors"),
        }
    }
}

/// Runs the round to its end and checks the books; a broken invariant panics.
pub(crate) fn run(plan: &Plan, watchdog: &Watchdog, totals: &mut Totals) {
    let board = Board::new(plan.actors + 1);
    watchdog.watch(plan.to_string(), Arc::clone(&board));
    let shared = Arc::new(Shared { pool: plan.build(), swapped: Mutex::default(), entries: Mutex::default() });
    let mut entries = live(plan, &shared, &board);
    entries.append(&mut die(plan, shared, &board));
    let drained = !plan.cancels();
    for entry in &mut entries {
        totals.add(&Entry::settle(entry, drained));
    }
    totals.rounds += 1;
    watchdog.relax();
}

/// The actors' time, and the ending if it races with them; returns the books of the actors.
fn live(plan: &Plan, shared: &Arc<Shared>, board: &Arc<Board>) -> Vec<Arc<Entry>> {
    let closer = plan.actors;
    thread::scope(|scope| {
        let actors: Vec<_> = (0..plan.actors)
            .map(|lane| {
                let seed = plan.seed.wrapping_mul(31).wrapping_add(lane as u64);
                let actor = Actor::new(plan, shared, board, lane, Rng::with_seed(seed));
                scope.spawn(move || actor.act(plan.operations))
            })
            .collect();
        if let Some(micros) = plan.racing {
            thread::sleep(Duration::from_micros(micros));
            board.note(closer, step::ENDING);
            scope.spawn(|| end(plan.rival, &shared.pool));
            end(plan.ending, &shared.pool);
        }
        board.note(closer, step::JOINING);
        actors.into_iter().flat_map(|actor| actor.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// The end of the pool; returns the books of the tasks that tasks made.
fn die(plan: &Plan, shared: Arc<Shared>, board: &Board) -> Vec<Arc<Entry>> {
    let closer = plan.actors;
    board.note(closer, step::ENDING);
    if plan.racing.is_none() {
        end(plan.ending, &shared.pool);
    }
    // Futures that nobody took are dropped while their tasks may still be queued.
    let swapped = std::mem::take(&mut *shared.swapped.lock());
    drop(swapped);
    if plan.ending != Ending::Drop {
        // Whatever the ending did not wait for: afterwards no thread of the pool is left.
        shared.pool.shutdown(Shutdown::wait());
    }
    board.note(closer, step::DROPPING);
    // Dropped by whichever thread is last, the pool could have to join its own worker: let the tasks give it up.
    while Arc::strong_count(&shared) > 1 {
        assert!(plan.ending == Ending::Drop, "the pool was shut down and yet one of its tasks is alive");
        thread::yield_now();
    }
    let shared = Arc::into_inner(shared).expect("no task is left that could hold the pool");
    drop(shared.pool);
    shared.entries.into_inner()
}

fn end(ending: Ending, pool: &ThreadPoolExecutor) {
    match ending {
        Ending::Drop => {}
        Ending::Wait => pool.shutdown(Shutdown::wait()),
        Ending::NoWait => pool.shutdown(Shutdown::no_wait()),
        Ending::WaitCancelling => pool.shutdown(Shutdown::wait().cancel_futures()),
        Ending::NoWaitCancelling => pool.shutdown(Shutdown::no_wait().cancel_futures()),
        Ending::TimeoutThenWait => {
            if pool.shutdown_timeout(Duration::from_micros(50)).is_err() {
                pool.shutdown(Shutdown::wait());
            }
        }
        Ending::Polled => block_on(poll_fn(|cx| pool.poll_shutdown(Shutdown::wait(), cx))),
    }
}
