//! How starts of workers have gone, and the pauses between those that come to nothing.

use executor_core::task::deadline_after;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The first pause after a start that came to nothing; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How the last starts have gone.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// The worker's own failures, each with its time and its cause. Times are values of `paused`: a slow start does not make
    /// failures rarer.
    pub(super) failures: VecDeque<(Duration, String)>,
    /// The time of the first of its own failures since a worker was last ready.
    failing_since: Option<Duration>,
    /// The total length of all pauses.
    paused: Duration,
    pause: Option<Pause>,
    /// Tasks were told that no worker could be started, and none has been since.
    pub(super) is_hopeless: bool,
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
    /// Returns how long no worker is to be started yet.
    pub(super) fn left(&self) -> Option<Duration> {
        self.pause.as_ref()?.end?.checked_duration_since(Instant::now())
    }

    /// Notes that a worker is ready.
    pub(super) fn succeed(&mut self) {
        *self = Self::default();
    }

    /// Ends the pause, because nothing waits for a worker any more.
    pub(super) fn forget_pause(&mut self) {
        self.pause = None;
    }

    /// Starts no worker for a while. Returns how long, and how long it has been like that.
    pub(super) fn pause(&mut self) -> (Duration, Duration) {
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
    pub(super) fn fail(&mut self, text: String, most: usize, within: Duration) -> bool {
        self.failures.push_back((self.paused, text));
        while self.failures.front().is_some_and(|(when, _)| self.paused - *when > within) {
            self.failures.pop_front();
        }
        let since = *self.failing_since.get_or_insert(self.paused);
        self.failures.len() >= most || self.paused - since > within
    }
}
