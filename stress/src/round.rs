//! One round: random pools, threads that use them, an ending that may race with them, and the balance of the books.

use std::future::poll_fn;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use executor_core::{Executor, Shutdown};
use fastrand::Rng;
use futures::executor::block_on;

use crate::actor::Actor;
use crate::entry::{Entry, Settled};
use crate::leftovers::Before;
use crate::plan::{Ending, Plan};
use crate::pool::Pool;
use crate::shared::Shared;
use crate::watchdog::{Board, Watchdog, step};
use crate::{home, operations, remote};

/// What all rounds together did.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) rounds: u64,
    pub(crate) tasks: u64,
    pub(crate) runs: u64,
    pub(crate) callbacks: u64,
}

impl Totals {
    fn add(&mut self, settled: &Settled) {
        self.tasks += 1;
        self.runs += u64::from(settled.runs);
        self.callbacks += u64::from(settled.callbacks);
    }
}

/// Runs the round to its end and checks the books; a broken invariant panics.
pub(crate) fn run(plan: &Plan, watchdog: &Watchdog, totals: &mut Totals) {
    let before = remote::is_remote().then(Before::look);
    if before.is_some() {
        home::begin_round(plan.leniency());
    }
    let board = Board::new(plan.actors + 1, operations::names());
    let shared = Arc::new(Shared::new(plan));
    watchdog.watch(plan.to_string(), Arc::clone(&board), Arc::clone(&shared.watched));
    let mut entries = live(plan, &shared, &board);
    entries.append(&mut die(plan, shared, &board));
    if let Some(before) = before {
        board.note(plan.actors, step::LOOKING_FOR_LEFTOVERS);
        home::end_round();
        before.check(&Plan::mark(plan.seed));
    }
    for entry in &mut entries {
        totals.add(&Entry::settle(entry, plan.drains()));
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
                scope.spawn(move || operations::act(actor, plan.operations))
            })
            .collect();
        if let Some(micros) = plan.racing {
            thread::sleep(Duration::from_micros(micros));
            board.note(closer, step::ENDING);
            scope.spawn(|| end_all(plan.rival, shared));
            end_all(plan.ending, shared);
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
        end_all(plan.ending, &shared);
    }
    if plan.ending == Ending::Drop {
        // Futures that nobody took are dropped while their tasks may still be queued.
        shared.swapped.lock().clear();
    } else {
        // Whatever the ending did not wait for: afterwards no thread of the pool is left.
        shared.pools.iter().for_each(|pool| pool.shutdown(Shutdown::wait()));
        check_end(&shared);
    }
    board.note(closer, step::DROPPING);
    // Dropped by whichever thread is last, the pool could have to join its own worker: let the tasks give it up.
    while Arc::strong_count(&shared) > 1 {
        assert!(plan.ending == Ending::Drop, "the pool was shut down and yet one of its tasks is alive");
        thread::yield_now();
    }
    let shared = Arc::into_inner(shared).expect("no task is left that could hold the pool");
    for pool in shared.pools {
        drop(Arc::into_inner(pool).expect("the actors are gone, and nobody else has the pools"));
    }
    shared.entries.into_inner()
}

/// What is so after a shutdown that waited.
fn check_end(shared: &Shared) {
    let swapped = std::mem::take(&mut *shared.swapped.lock());
    for (entry, future) in swapped {
        // The clock may be about to end one whose limit passed.
        assert!(
            entry.is_limited() || future.is_done(),
            "the pool was shut down and a task of it is not done: {entry:?}"
        );
    }
    shared.pools.iter().for_each(|pool| pool.check_end());
}

fn end_all(ending: Ending, shared: &Shared) {
    shared.pools.iter().for_each(|pool| end(ending, pool));
}

fn end(ending: Ending, pool: &Pool) {
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
        Ending::Terminate => pool.processes().expect("drawn for processes only").terminate_workers(),
        Ending::Kill => pool.processes().expect("drawn for processes only").kill_workers(),
    }
}
