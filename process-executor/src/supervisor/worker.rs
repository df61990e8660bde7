//! A worker as its supervisor knows it, and how it is brought to its end.
//!
//! ```text
//!  told to end ──deadline──► killed ──REAPING──► given up: its seat is free, the process is reaped when it can be
//! ```

use super::ending::Ending;
use crate::link::Link;
use crate::protocol::message::Message;
use crate::protocol::violation::Violation;
use executor_core::task::deadline_after;
use process_core::exit_status::By;
use process_core::system;
use process_core::{Process, Signalled};
use rustix::process::Signal;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a worker that was told to retire may take for it.
const RETIREMENT: Duration = Duration::from_secs(5);
/// How long the system may take to let a killed process end before its task and its seat wait no longer. A process usually
/// ends within a millisecond; one that waits for a disk or a frozen control group may take for ever.
const REAPING: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    pub(super) process: Process,
    pub(super) link: Arc<Link>,
    pub(super) started: Instant,
    pub(super) is_ready: bool,
    /// It is to end, and why.
    pub(super) ending: Option<Ending>,
    /// It was told to retire: nobody needs it.
    pub(super) is_retiring: bool,
    pub(super) end: End,
    /// The oldest slot in use, and since when it has been that, as far as was seen.
    pub(super) position: Option<(u64, Instant)>,
    /// How many tasks it had been given at the last look.
    pub(super) dealt: u64,
    pub(super) memory_looked_at: Instant,
    /// How often the kernel had killed for want of memory when it was started.
    pub(super) out_of_memory_kills: Option<u64>,
}

/// What was done to bring a worker to its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum End {
    #[default]
    Nothing,
    /// It was told to end, and is killed at that time, if there is one.
    Told(Option<Instant>),
    /// It was killed at that time.
    Killed { since: Instant, how: Kill, why: Option<Reason> },
}

/// Why a worker was killed, where its [`Ending`] does not say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It had closed its connection, and went on.
    Closed,
    /// It sent what it must not.
    Violation(Violation),
    /// It could not be told to end, since it did not read what it was told before.
    Unresponsive,
    /// It was told to end, and did not.
    Late,
    /// The program has closed this end of its connection.
    ClosedHere,
    /// The supervisor has panicked.
    Unsupervised,
}

impl Reason {
    /// Returns the reason, as a clause.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Closed => "it had closed its connection",
            Self::Violation(violation) => violation.words(),
            Self::Unresponsive => "it did not read what it was told",
            Self::Late => "it did not end when it was told to",
            Self::ClosedHere => "the program has closed the pool's descriptors",
            Self::Unsupervised => "the thread that watches over it panicked",
        }
    }
}

/// How a worker was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kill {
    /// By SIGKILL: it runs nothing any more.
    Signal,
    /// Signals are refused, so its connection was ended. It ends itself as soon as it notices.
    Connection,
}

/// What is to be done about a worker's end.
pub(super) enum Due {
    Nothing,
    /// To look again after this time.
    Wait(Duration),
    /// It was killed, and the system does not let it end.
    GiveUp,
}

impl Worker {
    /// Tells it to retire, if it was not told yet.
    pub(super) fn retire(&mut self) {
        if !matches!(self.end, End::Nothing) {
            return;
        }
        self.is_retiring = true;
        self.end = End::Told(deadline_after(RETIREMENT));
        match Message::Retire.send(self.link.socket(), &[]) {
            // A worker that was stopped (SIGSTOP) is to hear of it, too.
            Ok(_) => self.wake(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.kill(Some(Reason::Unresponsive)),
            Err(_) => self.kill(Some(Reason::Closed)),
        }
    }

    /// Asks it to end by SIGTERM, and leaves it so long for that.
    pub(super) fn terminate(&mut self, grace: Duration) {
        if matches!(self.end, End::Killed { .. }) {
            return;
        }
        match self.process.signal(Signal::TERM) {
            Signalled::Sent | Signalled::Gone => self.end = End::Told(deadline_after(grace)),
            Signalled::Refused => return self.kill(None),
        }
        // A stopped process hears nothing but SIGKILL until it is continued.
        self.wake();
    }

    fn wake(&self) {
        match self.process.signal(Signal::CONT) {
            // A worker that may not be woken is killed when its time is up.
            Signalled::Sent | Signalled::Gone | Signalled::Refused => {}
        }
    }

    /// Its connection is over: it is ending, which is not this pool's doing then, or it is killed for that reason.
    pub(super) fn lose_connection(&mut self, why: Reason) {
        if !system::is_exiting(self.process.pid()) {
            self.kill(Some(why));
        } else if matches!(self.end, End::Nothing) {
            self.end = End::Told(deadline_after(REAPING));
        }
    }

    /// Kills it, for its `ending` or for another reason.
    pub(super) fn kill(&mut self, why: Option<Reason>) {
        let how = match self.process.signal(Signal::KILL) {
            Signalled::Sent | Signalled::Gone => Kill::Signal,
            Signalled::Refused => {
                self.link.shut();
                Kill::Connection
            }
        };
        if !matches!(self.end, End::Killed { .. }) {
            self.end = End::Killed { since: Instant::now(), how, why };
        }
    }

    /// Kills it if it was to have ended by now; tells what is left to be done.
    pub(super) fn see_to_the_end(&mut self) -> Due {
        match self.end {
            End::Nothing | End::Told(None) => Due::Nothing,
            End::Told(Some(deadline)) => match left_until(deadline) {
                Some(left) => Due::Wait(left),
                None => {
                    self.kill(Some(Reason::Late));
                    Due::Wait(REAPING)
                }
            },
            End::Killed { since, .. } => match REAPING.checked_sub(since.elapsed()) {
                Some(left) if !left.is_zero() => Due::Wait(left),
                _ => Due::GiveUp,
            },
        }
    }

    /// Returns how it was killed, if it was.
    pub(super) fn kill_sent(&self) -> Option<Kill> {
        match self.end {
            End::Killed { how, .. } => Some(how),
            End::Nothing | End::Told(_) => None,
        }
    }

    /// Returns who has sent the signals that it was sent.
    pub(super) fn killed_by(&self) -> By {
        match (self.end, &self.ending) {
            (End::Killed { why, .. }, _) => By::Us(why.map(Reason::words)),
            (End::Told(_), Some(_)) => By::Us(None),
            (End::Nothing | End::Told(_), _) => By::Others,
        }
    }

    /// Returns whether it was told to end only because nobody needs it.
    pub(super) fn is_expected_to_end(&self) -> bool {
        self.is_retiring && self.ending.is_none()
    }
}

/// Returns the time until then; `None` if that is over.
fn left_until(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}
