//! When the supervisor wakes up next to look at the workers. A thread that deals a task with a limit, or one behind another, needs it
//! to look in time, and calls it if it would not.

use crate::dispatch::entry::Entry;
use crate::settings::Settings;
use executor_core::task::deadline_after;
use std::time::{Duration, Instant};

/// How often to look at the memory of a worker that has a limit, while it works.
pub(crate) const MEMORY_TICK: Duration = Duration::from_millis(20);
/// Tasks are taken back from a worker that has not moved on for this long while they wait behind the one that runs.
pub(crate) const STUCK_TICK: Duration = Duration::from_millis(1);
/// How often to look at a pool in use, whatever the workers say: a task that writes over the memory it shares with its parent may also
/// silence the doorbell.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);

/// Under the pool's lock.
#[derive(Debug)]
pub(crate) struct NextWakeup {
    /// The run limit of tasks that have none of their own.
    run_limit: Option<Duration>,
    /// How long workers stay without a task, unless for ever.
    keep_alive: Option<Duration>,
    /// How often the supervisor must look at a worker that has a task, whatever that is.
    tick: Duration,
    /// When it looks next; `None`: when it is called.
    next: Option<Instant>,
    /// The longest time from any moment until it looks again.
    pause: Option<Duration>,
    /// It is looking now.
    looking: bool,
    /// What was dealt meanwhile needs it to look again within this time.
    asked: Option<Duration>,
}

impl NextWakeup {
    pub(crate) fn new(settings: &Settings) -> Self {
        let has_memory_limit = settings.soft_memory_limit.or(settings.hard_memory_limit).is_some();
        let tick = if has_memory_limit { MEMORY_TICK } else { HEARTBEAT };
        let (run_limit, keep_alive) = (settings.run_limit, settings.keep_alive);
        Self { run_limit, keep_alive, tick, next: None, pause: None, looking: false, asked: None }
    }

    /// Returns how long a task may run.
    pub(crate) fn limit_of(&self, entry: &Entry) -> Option<Duration> {
        if entry.timed { entry.task.run_limit().or(self.run_limit) } else { None }
    }

    /// Notes that the supervisor begins to look. It may miss what is dealt from now on, and hears of that by `end`.
    pub(crate) fn begin(&mut self) {
        self.looking = true;
        self.asked = None;
    }

    /// Notes that it has looked, and would do so again after `wait`. Returns the time after which it does.
    pub(crate) fn end(&mut self, wait: Option<Duration>) -> Option<Duration> {
        let wait = [wait, self.asked].into_iter().flatten().min();
        self.looking = false;
        self.next = wait.and_then(deadline_after);
        self.pause = wait;
        wait
    }

    /// Returns how long workers stay without a task.
    pub(crate) fn keep_alive(&self) -> Option<Duration> {
        self.keep_alive
    }

    /// Returns whether the supervisor is to be called. A worker was given something to do, or just ended it, for which it must look
    /// again within this time, if that is less than usual.
    pub(crate) fn must_call(&mut self, within: Option<Duration>) -> bool {
        let within = within.map_or(self.tick, |within| within.min(self.tick));
        if self.looking {
            self.asked = Some(self.asked.map_or(within, |asked| asked.min(within)));
            return false;
        }
        if self.pause.is_some_and(|pause| pause <= within) {
            return false;
        }
        let now = Instant::now();
        let late = self.next.is_none_or(|next| now.checked_add(within).is_some_and(|time| time < next));
        if late {
            // The caller calls it: it is on its way.
            self.next = Some(now);
            self.pause = Some(Duration::ZERO);
        }
        late
    }
}
