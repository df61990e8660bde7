//! When workers are started again after starts that came to nothing.
//!
//! | what happened | what follows |
//! | --- | --- |
//! | the system refuses for now (no process, no descriptor, no memory) | tried again, ever more slowly; tasks wait a second for that if there is no worker |
//! | the system refuses for good | with others at work as above, else the pool is broken for a while |
//! | the worker ended before it was ready | tried again, ever more slowly; if nobody is at work and it happens too often or for too long, the pool is broken for a while |
//! | somebody else killed it before it was ready | tried again, ever more slowly; tasks wait for that while it may be an accident |

use super::Supervisor;
use crate::start_error::StartError;
use executor_core::BrokenExecutor;
use executor_core::task::deadline_after;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long the system may refuse to start a process before the tasks that wait for one are told.
const PATIENCE: Duration = Duration::from_secs(1);
/// The first pause after a start that came to nothing; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What came of the last starts.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// The worker's own failures, each with its time and its cause. Times are values of `paused`: a slow start does not make
    /// failures rarer.
    failures: VecDeque<(Duration, String)>,
    /// The time of the first of its own failures since a worker was last ready.
    failing_since: Option<Duration>,
    /// The total length of all pauses.
    paused: Duration,
    pause: Option<Pause>,
    /// Tasks were told that no worker could be started, and none has been since.
    hopeless: bool,
}

/// No worker is started for a while.
#[derive(Debug)]
struct Pause {
    /// Since when starts come to nothing.
    since: Instant,
    length: Duration,
    end: Option<Instant>,
}

impl Starts {
    /// How long no worker is to be started.
    pub(super) fn left(&self) -> Option<Duration> {
        self.pause.as_ref()?.end?.checked_duration_since(Instant::now())
    }

    /// A worker is ready.
    pub(super) fn succeed(&mut self) {
        *self = Self::default();
    }

    /// Nobody waits for a worker any more.
    pub(super) fn forget_pause(&mut self) {
        self.pause = None;
    }

    /// No worker is started for a while; returns how long, and how long it has been like that.
    fn pause(&mut self) -> (Duration, Duration) {
        let now = Instant::now();
        let left = self.left().unwrap_or_default();
        let pause = self.pause.get_or_insert(Pause { since: now, length: FIRST_PAUSE, end: None });
        let length = pause.length;
        pause.end = deadline_after(length);
        pause.length = (2 * length).min(LONGEST_PAUSE);
        // Workers that fail at the same time share a pause.
        self.paused += length.saturating_sub(left);
        (length, now - pause.since)
    }

    /// Notes a start that failed. Returns whether there were too many, or none has succeeded for too long: pauses grow, so that
    /// many failures may never fit into a short time.
    fn fail(&mut self, text: String, most: usize, within: Duration) -> bool {
        self.failures.push_back((self.paused, text));
        while self.failures.front().is_some_and(|(when, _)| self.paused - *when > within) {
            self.failures.pop_front();
        }
        let since = *self.failing_since.get_or_insert(self.paused);
        self.failures.len() >= most || self.paused - since > within
    }
}

impl Supervisor {
    /// The system refuses.
    pub(super) fn put_off_start(&mut self, error: StartError) -> Option<Duration> {
        let (pause, refused) = self.starts.pause();
        if self.workers.iter().all(Option::is_none) {
            let may_pass = error.may_pass();
            let broken = BrokenExecutor::new("no worker process could be started", error);
            if !may_pass {
                self.halt(broken);
            } else if self.starts.hopeless || refused >= PATIENCE {
                self.give_up_starts(&broken);
            }
        }
        Some(pause)
    }

    /// A worker ended before it was ready.
    pub(super) fn note_failed_start(&mut self, text: String) {
        let (_, _) = self.starts.pause();
        let (most, within) = self.pool.settings().restart_intensity;
        if self.starts.fail(text, most, within) && !self.is_at_work() {
            let causes: Vec<_> = self.starts.failures.drain(..).map(|(_, text)| text).collect();
            self.halt(BrokenExecutor::new("no worker process gets as far as its first task", causes.join("; ")));
        }
    }

    /// Somebody else has killed a worker before it was ready. That says nothing of the program.
    pub(super) fn note_killed_start(&mut self, text: String) {
        let (_, since) = self.starts.pause();
        let (_, within) = self.pool.settings().restart_intensity;
        if !self.is_at_work() && (self.starts.hopeless || since > within) {
            self.give_up_starts(&BrokenExecutor::new("worker processes are killed as they start", text));
        }
    }

    /// Tells the tasks that wait; those that come later are tried once each until a start succeeds.
    fn give_up_starts(&mut self, broken: &BrokenExecutor) {
        self.starts.hopeless = true;
        self.starts.forget_pause();
        self.pool.end_queue(Some(broken));
    }

    /// Takes no tasks for a while; the first that comes after it is tried as if nothing had happened.
    fn halt(&mut self, broken: BrokenExecutor) {
        self.starts = Starts::default();
        let (_, within) = self.pool.settings().restart_intensity;
        self.pool.halt(broken, deadline_after(within));
    }

    fn is_at_work(&self) -> bool {
        self.workers.iter().flatten().any(|worker| worker.is_ready)
    }
}
