//! When the supervisor looks at the workers next, as far as those who deal tasks know: a task with a limit, or one behind
//! another, needs it to look in time, and it is called if it would not.

use crate::dispatch::entry::Entry;
use crate::settings::Settings;
use executor_core::task::deadline_after;
use std::time::{Duration, Instant};

/// How often a worker's memory is looked at while it works, if it has a limit.
pub(crate) const MEMORY_TICK: Duration = Duration::from_millis(20);
/// A worker that has not moved on for so long while tasks lie ready behind the one that runs gives them back.
pub(crate) const STUCK_TICK: Duration = Duration::from_millis(1);
/// How often the pool is looked at while it is in use, whatever the workers say: a task that writes over the memory it shares
/// with its parent may also silence the bell.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);

/// Under the pool's lock.
#[derive(Debug)]
pub(crate) struct NextWakeup {
    /// The limit on the run of tasks that have none of their own.
    run_limit: Option<Duration>,
    /// How long workers stay without a task, if not for ever.
    keep_alive: Option<Duration>,
    /// How often it must look at a worker that has a task, whatever that is.
    tick: Duration,
    /// When it looks next; `None` is when it is called.
    next: Option<Instant>,
    /// How long it waits at most, counted from any time until it begins to look again.
    pause: Option<Duration>,
    /// It is looking.
    looking: bool,
    /// What was dealt meanwhile wants it to look again after this time.
    asked: Option<Duration>,
}

impl NextWakeup {
    pub(crate) fn new(settings: &Settings) -> Self {
        let has_memory_limit = settings.soft_memory_limit.or(settings.hard_memory_limit).is_some();
        let tick = if has_memory_limit { MEMORY_TICK } else { HEARTBEAT };
        let (run_limit, keep_alive) = (settings.run_limit, settings.keep_alive);
        Self { run_limit, keep_alive, tick, next: None, pause: None, looking: false, asked: None }
    }

    /// How long a task may run.
    pub(crate) fn limit_of(&self, entry: &Entry) -> Option<Duration> {
        if entry.timed { entry.task.run_limit().or(self.run_limit) } else { None }
    }

    /// The supervisor begins to look. What is dealt from now on it may miss, but hears of in the end.
    pub(crate) fn begin(&mut self) {
        self.looking = true;
        self.asked = None;
    }

    /// It has looked, and would do so again after this time; gives the time after which it does.
    pub(crate) fn end(&mut self, wait: Option<Duration>) -> Option<Duration> {
        let wait = [wait, self.asked].into_iter().flatten().min();
        self.looking = false;
        self.next = wait.and_then(deadline_after);
        self.pause = wait;
        wait
    }

    /// How long workers stay without a task.
    pub(crate) fn keep_alive(&self) -> Option<Duration> {
        self.keep_alive
    }

    /// A worker has something to do, or just ended it, for which the supervisor is to look again within this time, if it is
    /// less than usual. True: it is to be called.
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
            // It is on its way then.
            self.next = Some(now);
            self.pause = Some(Duration::ZERO);
        }
        late
    }
}
