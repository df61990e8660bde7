//! What happens when the supervisor itself has panicked, so that nobody waits for it in vain. It relies on as little as possible, and
//! each step is taken whatever becomes of the others.

use super::Supervisor;
use super::deaths::{Loss, killed_for};
use super::worker::Reason;
use executor_core::remote::{Phase, Remains};
use executor_core::task::contain;
use executor_core::{BrokenExecutor, Death};
use std::time::Duration;

/// How often to check whether all is over: other threads may still be finishing what they have in hand.
const LOOK: Duration = Duration::from_millis(10);

impl Supervisor {
    /// Ends all workers and all futures, and waits until nothing is left that needs a supervisor.
    pub(super) fn give_last_rites(&mut self, broken: BrokenExecutor) {
        let pool = self.pool.clone();
        let _ = contain(|| pool.break_down(broken));
        let _ = contain(|| pool.with_dispatch(|dispatch, _| dispatch.starting = false));
        for index in 0..self.workers.len() {
            let _ = contain(|| self.end_for_good(index));
        }
        while !contain(|| pool.is_ended()).unwrap_or(true) {
            let _ = contain(|| {
                self.collect();
                pool.end_queue(pool.broken());
                pool.look_after_callbacks();
            });
            if contain(|| self.wait(Some(LOOK))).is_err() {
                std::thread::park_timeout(LOOK);
            }
        }
    }

    /// Kills a worker, and ends its tasks without waiting for it.
    fn end_for_good(&mut self, index: usize) {
        let pid = self.pool.with_dispatch(|dispatch, _| dispatch.seats[index].as_ref().map(|seat| seat.pid));
        if let Some(mut worker) = self.workers[index].take() {
            self.listen_no_more(&worker.process, worker.link.socket());
            worker.kill(Some(Reason::Unsupervised));
            self.unreaped.add(&self.epoll, worker.process);
        }
        let Some(pid) = pid else { return };
        let death = |phase: Option<Phase>| {
            let words = killed_for(Reason::Unsupervised);
            Death::new(index, pid, words, phase.map_or_else(|| "running".to_owned(), |phase| phase.to_string()))
        };
        let loss = Loss { expected: false, ending: None, remains: Remains::Nothing, may_run_on: false };
        let batch = self.pool.drain_dead(index, &loss, &death);
        self.hand_over(batch);
    }
}
