//! What becomes of a worker's tasks when it has ended.

use super::Supervisor;
use super::ending::Ending;
use super::worker::{Kill, Reason, Worker};
use crate::dispatch::Dispatch;
use crate::dispatch::batch::{Batch, Collected};
use crate::dispatch::entry::Entry;
use crate::dispatch::ring::replies::Interrupted;
use crate::dispatch::seat::SeatState;
use crate::dispatch::wakes::Wakes;
use crate::link::Event;
use crate::pool::Pool;
use executor_core::Death;
use executor_core::remote::{Cause, Phase, Remains};
use process_core::Refusal;
use process_core::exit_status::{By, describe};
use process_core::system::out_of_memory_kills;
use rustix::event::epoll;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// A task that was the next to begin when this many workers died is taken to have killed them, whatever its slot says.
const MOST_SUSPICIONS: u8 = 5;

/// How a worker's process has ended.
#[derive(Clone, Copy)]
enum Exit {
    /// With this status, if it is known.
    Reaped(Option<ExitStatus>),
    /// Not yet: it was killed, and the system has not let it end.
    Unreaped(Kill),
    /// Nobody knows: it was killed, and the program has closed the descriptor that would tell of its end.
    Unseen(Kill),
}

impl Supervisor {
    /// Reaps a worker whose process has ended: takes its results, moves its unbegun tasks elsewhere, ends the one it was running.
    pub(super) fn reap_worker(&mut self, index: usize) {
        let Some(worker) = self.workers.get_mut(index).and_then(Option::as_mut) else { return };
        let Some(status) = worker.process.try_reap() else {
            // It is dead, but a debugger has it. It does not ring again, and is given up in time.
            worker.kill(None);
            let _ = worker.process.end().map(|end| epoll::delete(&self.epoll, end));
            return;
        };
        if let Some(worker) = self.workers[index].take() {
            self.listen_no_more(&worker.process, worker.link.socket());
            self.settle(index, &worker, Exit::Reaped(status));
        }
    }

    /// Abandons a killed worker whose end is not seen.
    pub(super) fn give_up(&mut self, index: usize) {
        let Some(worker) = self.workers[index].take() else { return };
        self.listen_no_more(&worker.process, worker.link.socket());
        let kill = worker.kill_sent().unwrap_or(Kill::Signal);
        let exit = if self.has_lost_files { Exit::Unseen(kill) } else { Exit::Unreaped(kill) };
        self.settle(index, &worker, exit);
        self.unreaped.add(&self.epoll, worker.process);
    }

    /// Returns who has sent a worker the signal that ended it.
    fn killed_by(&self, index: usize, worker: &Worker, exit: Exit) -> By {
        match worker.killed_by() {
            By::Others if exit.is_killed() => self.pool.with_dispatch(|dispatch, _| {
                let seat = dispatch.seats[index].as_ref();
                seat.and_then(|seat| seat.ring.shared().last_word()).map_or(By::Others, |word| By::Itself(word.words()))
            }),
            by => by,
        }
    }

    /// Sees to what a worker has left.
    fn settle(&mut self, index: usize, worker: &Worker, exit: Exit) {
        // What it said last counts: that it could not begin, and memory that its last results need.
        let failed = worker.link.read().into_iter().find_map(|event| match event {
            Event::Failed { text } => Some(String::from_utf8_lossy(&self.first_block(index, text)).into_owned()),
            Event::NotBegun(reason) => Some(reason),
            Event::Ready { .. } | Event::Closed | Event::Refused(_) => None,
        });
        let failed = failed.map(Ending::Failed);
        let ending = failed.as_ref().or(worker.ending.as_ref());
        let by = self.killed_by(index, worker, exit);
        let pid = worker.process.pid();
        let expected = worker.is_expected_to_end() && failed.is_none();
        let mut words = exit_words(exit, worker, by, ending);
        if !worker.is_ready
            && let Exit::Reaped(Some(status)) = exit
        {
            // A task may end with any code.
            let refusal = status.code().and_then(Refusal::of_code);
            words += &refusal.map(|refusal| format!(", {}", refusal.words())).unwrap_or_default();
        }
        let death = |phase: Option<Phase>| {
            Death::new(index, pid, words.clone(), phase.map_or_else(|| "running".to_owned(), |phase| phase.to_string()))
        };
        let remains = exit.remains(pid);
        let may_run_on = matches!(exit, Exit::Unreaped(Kill::Connection) | Exit::Unseen(Kill::Connection));
        let loss = Loss { expected, ending, remains, may_run_on };
        let batch = self.pool.drain_dead(index, &loss, &death);
        self.hand_over(batch);
        if !worker.is_ready && !expected && !matches!(ending, Some(Ending::Unwanted | Ending::Ordered)) {
            let text = match ending {
                Some(Ending::Failed(text)) => text.clone(),
                Some(Ending::NotReady(limit)) => format!("worker {index} (pid {pid}) was not ready after {limit:?}"),
                _ => format!("worker {index} (pid {pid}) {words} before it was ready"),
            };
            match ending.is_none() && exit.is_by_others(by) {
                true => self.note_killed_start(text),
                false => self.note_failed_start(text),
            }
        }
    }
}

impl Exit {
    /// Returns whether it was killed, and neither by its pool nor by itself.
    fn is_by_others(self, by: By) -> bool {
        self.is_killed() && matches!(by, By::Others)
    }

    /// Returns what is left of the process of that number.
    fn remains(self, pid: u32) -> Remains {
        match self {
            Self::Reaped(_) | Self::Unseen(_) => Remains::Nothing,
            Self::Unreaped(_) => Remains::Unreaped(pid),
        }
    }

    /// Returns whether a signal that cannot be caught has ended it.
    fn is_killed(self) -> bool {
        matches!(self, Self::Reaped(Some(status)) if status.signal() == Some(libc::SIGKILL))
    }
}

/// A worker that is lost, as its tasks are told.
pub(crate) struct Loss<'a> {
    /// Nobody needed it any more.
    pub(crate) expected: bool,
    pub(crate) ending: Option<&'a Ending>,
    pub(crate) remains: Remains,
    /// Its task may still be running, and go on to the next item of its chunk: nothing of it runs anywhere else.
    pub(crate) may_run_on: bool,
}

impl Loss<'_> {
    /// Returns whether it died by itself: it was not ended for a reason that is not its own.
    fn is_death(&self) -> bool {
        !self.expected && !matches!(self.ending, Some(Ending::Stopped | Ending::Ordered | Ending::Unwanted))
    }
}

/// Returns how a worker ended, and what brought that about, in words.
fn exit_words(exit: Exit, worker: &Worker, by: By, ending: Option<&Ending>) -> String {
    let mut words = match (exit, ending) {
        (_, Some(Ending::Memory(limit))) => {
            format!("was ended because it used more memory than its limit of {limit} bytes")
        }
        (_, Some(Ending::Corrupted)) => {
            "was ended because it overwrote the memory it shares with its parent".to_owned()
        }
        (_, Some(Ending::Unresponsive)) => {
            "was ended because it did not go on with its work: it was stopped".to_owned()
        }
        (Exit::Unreaped(_) | Exit::Unseen(_), _) => match by {
            By::Us(Some(why)) => format!("was killed by its pool: {why}"),
            By::Us(None) | By::Itself(_) | By::Others => "was killed".to_owned(),
        },
        (Exit::Reaped(status), _) => describe(status, by),
    };
    if matches!(ending, Some(Ending::Ordered)) {
        words += ", as the pool's owner ordered";
    }
    words += &exit.remains(worker.process.pid()).to_string();
    if ending.is_none() && exit.is_by_others(by) && out_of_memory_kills() > worker.out_of_memory_kills {
        words += "; since it was started the kernel has killed a process of this control group for want of memory";
    }
    words
}

/// Returns how a worker ended that was killed for that reason.
pub(super) fn killed_for(why: Reason) -> String {
    describe(Some(ExitStatus::from_raw(libc::SIGKILL)), By::Us(Some(why.words())))
}

impl Pool {
    /// Empties the seat of a worker that has ended.
    pub(crate) fn drain_dead(&self, index: usize, loss: &Loss<'_>, death: &dyn Fn(Option<Phase>) -> Death) -> Batch {
        let mut batch = Batch::default();
        self.with_dispatch(|dispatch, wakes| {
            dispatch.collect_from(index, &mut batch, wakes);
            let Some(mut seat) = dispatch.seats[index].take() else { return };
            if let Some(entry) = seat.relay.as_ref().and_then(|relay| relay.close()) {
                dispatch.unload_relay(wakes);
                dispatch.return_unbegun(entry, wakes);
            }
            seat.ring.shared().bell().silence();
            let unfinished = seat.ring.drain_dead(&seat.link, seat.relay.as_ref(), &mut batch.bytes);
            dispatch.stats.bytes_sent += seat.ring.bytes_sent();
            dispatch.stats.deaths += u64::from(loss.is_death() && seat.state != SeatState::Starting);
            batch.tombstones.extend(unfinished.tombstones);
            for (mut entry, counted) in unfinished.unbegun.into_iter().rev() {
                if std::mem::take(&mut entry.stopping) {
                    dispatch.end_waiting(&entry, counted, wakes);
                    batch.collected.push(Collected::without_reply(entry, Cause::Stopped(loss.remains)));
                    continue;
                }
                entry.suspicions += u8::from(counted);
                if entry.suspicions >= MOST_SUSPICIONS {
                    dispatch.end_waiting(&entry, counted, wakes);
                    entry.add_death(death(None));
                    let cause = Cause::Died(entry.take_deaths());
                    batch.collected.push(Collected::without_reply(entry, cause));
                    continue;
                }
                if counted && !entry.begun {
                    dispatch.note_queued();
                }
                dispatch.put_back(entry);
            }
            for Interrupted { mut collected, phase, began } in unfinished.running {
                dispatch.end_waiting(&collected.entry, began, wakes);
                if phase == Some(Phase::Dropping) && !loss.may_run_on {
                    // What was left is the whole reply, of the call or of the items so far: only a destructor was cut short.
                    batch.collected.push(collected);
                    continue;
                }
                let cause = cause_of(&mut collected, loss, death(phase));
                if loss.may_run_on {
                    collected.entry.forsake(match cause {
                        Cause::Stopped(_) => cause.clone(),
                        _ => Cause::Died(vec![death(phase)]),
                    });
                }
                collected.cause = Some(Box::new(cause));
                batch.collected.push(collected);
            }
            self.take_in_hand(&batch);
            dispatch.deal(wakes);
        });
        batch
    }
}

impl Dispatch {
    /// Counts a task that is over with its worker. If it did not count as begun, it took capacity until now: only the oldest can have
    /// begun, unless the worker wrote otherwise.
    fn end_waiting(&mut self, entry: &Entry, began: bool, wakes: &mut Wakes) {
        if !began {
            self.note_unqueued(entry);
            wakes.capacity_freed = true;
        }
    }
}

/// Returns why the task that was running is over.
fn cause_of(collected: &mut Collected, loss: &Loss<'_>, death: Death) -> Cause {
    match loss.ending {
        Some(Ending::TimedOut(limit, items)) if collected.items == *items => Cause::TimedOut(*limit, loss.remains),
        // Another item of its chunk was running by then: that one ran in vain, and runs again.
        Some(Ending::TimedOut(..)) if !loss.may_run_on => Cause::Retry,
        Some(Ending::Stopped) => Cause::Stopped(loss.remains),
        Some(Ending::Ordered) => {
            collected.entry.add_death(death);
            Cause::Died(collected.entry.take_deaths())
        }
        _ => {
            let entry = &mut collected.entry;
            let deaths = entry.add_death(death);
            if !loss.may_run_on && deaths as u64 <= u64::from(entry.task.retries()) {
                Cause::Retry
            } else {
                Cause::Died(entry.take_deaths())
            }
        }
    }
}
