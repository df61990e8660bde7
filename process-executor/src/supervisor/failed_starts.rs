//! When workers are started again after starts that came to nothing.
//!
//! | what happened | what follows |
//! | --- | --- |
//! | the system refuses for now (no process, no descriptor, no memory) | tried again, ever more slowly; tasks wait a second for that if there is no worker |
//! | the system refuses for good | with others at work as above, else the pool is broken for a while |
//! | the worker ended before it was ready | tried again, ever more slowly; if nobody is at work and it happens too often or for too long, the pool is broken for a while |
//! | somebody else killed it before it was ready | tried again, ever more slowly; tasks wait for that while it may be an accident |

use super::Supervisor;
use super::starts::Starts;
use executor_core::BrokenExecutor;
use executor_core::task::deadline_after;
use process_core::start_error::StartError;
use std::time::Duration;

/// How long the system may refuse to start a process before the tasks that wait for one are told.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Puts starts off, because the system refuses one.
    pub(super) fn put_off_start(&mut self, error: StartError) -> Option<Duration> {
        let (pause, refused) = self.starts.pause();
        if self.workers.iter().all(Option::is_none) {
            let may_pass = error.may_pass();
            let broken = BrokenExecutor::new("no worker process could be started", error);
            if !may_pass {
                self.halt(broken);
            } else if self.starts.is_hopeless || refused >= REFUSAL_LIMIT {
                self.give_up_starts(&broken);
            }
        }
        Some(pause)
    }

    /// Notes that a worker ended before it was ready.
    pub(super) fn note_failed_start(&mut self, text: String) {
        let (_, _) = self.starts.pause();
        let (most, within) = self.pool.settings().restart_intensity;
        if self.starts.fail(text, most, within) && !self.is_at_work() {
            let causes: Vec<_> = self.starts.failures.drain(..).map(|(_, text)| text).collect();
            self.halt(BrokenExecutor::new("no worker process gets as far as its first task", causes.join("; ")));
        }
    }

    /// Notes that somebody else killed a worker before it was ready, which says nothing of the program.
    pub(super) fn note_killed_start(&mut self, text: String) {
        let (_, since) = self.starts.pause();
        let (_, within) = self.pool.settings().restart_intensity;
        if !self.is_at_work() && (self.starts.is_hopeless || since > within) {
            self.give_up_starts(&BrokenExecutor::new("worker processes are killed as they start", text));
        }
    }

    /// Ends the tasks that wait. Those that come later are tried once each until a start succeeds.
    fn give_up_starts(&mut self, broken: &BrokenExecutor) {
        self.starts.is_hopeless = true;
        self.starts.forget_pause();
        self.pool.end_queue(Some(broken));
    }

    /// Takes no tasks for a while. The first that comes after it is tried as if nothing had happened.
    fn halt(&mut self, broken: BrokenExecutor) {
        self.starts = Starts::default();
        let (_, within) = self.pool.settings().restart_intensity;
        self.pool.halt(broken, deadline_after(within));
    }

    fn is_at_work(&self) -> bool {
        self.workers.iter().flatten().any(|worker| worker.is_ready)
    }
}
