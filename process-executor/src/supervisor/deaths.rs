//! What becomes of a worker's tasks when it has ended.

use super::Supervisor;
use super::limits::Ending;
use crate::batch::{Batch, Collected};
use crate::dispatch::{Dispatch, Wakes};
use crate::entry::Entry;
use crate::exit_words::{describe, out_of_memory_kills};
use crate::lane::Interrupted;
use crate::link::Event;
use crate::pool::Pool;
use crate::seat::SeatState;
use executor_core::Death;
use executor_core::remote::{Cause, Phase};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// A task that was the next to begin when so many workers died is taken to have killed them, whatever its slot says.
const MOST_SUSPICIONS: u8 = 5;

impl Supervisor {
    /// A worker's process has ended: its results are taken, its unbegun tasks go elsewhere, the one it was running ends.
    pub(super) fn bury(&mut self, index: usize) {
        let Some(worker) = self.workers.get_mut(index).and_then(Option::take) else { return };
        // What it said last counts: that it could not begin, and memory that its last results need.
        let mut ending = worker.ending;
        let was_ready = worker.is_ready;
        for event in worker.link.read() {
            if let Event::Failed { text } = event {
                let text = self.first_block(index, text);
                ending = Some(Ending::Failed(String::from_utf8_lossy(&text).into_owned()));
            }
        }
        let pid = worker.process.pid();
        self.listen_no_more(&worker.process, &worker.link);
        let status = worker.process.reap();
        let expected = worker.retired.is_some() && ending.is_none();
        let mut exit = exit_words(status, ending.as_ref());
        let is_killed = status.and_then(|status| status.signal()) == Some(libc::SIGKILL);
        if ending.is_none() && is_killed && out_of_memory_kills() > worker.out_of_memory_kills {
            exit.push_str(
                "; since it was started the kernel has killed a process of this control group for want of memory",
            );
        }
        let death = |phase: Option<Phase>| {
            Death::new(index, pid, exit.clone(), phase.map_or_else(|| "running".to_owned(), |phase| phase.to_string()))
        };
        let batch = self.pool.salvage(index, expected, ending.as_ref(), &death);
        self.hand_over(batch);
        if !was_ready && !expected && !matches!(ending, Some(Ending::Unwanted | Ending::Ordered)) {
            let text = match ending {
                Some(Ending::Failed(text)) => text,
                Some(Ending::NotReady(limit)) => format!("worker {index} (pid {pid}) was not ready after {limit:?}"),
                _ => format!("worker {index} (pid {pid}) {exit} before it was ready"),
            };
            self.note_failed_start(text);
        }
    }
}

/// How a worker ended, and what brought that about.
fn exit_words(status: Option<ExitStatus>, ending: Option<&Ending>) -> String {
    match ending {
        Some(Ending::Memory(limit)) => {
            format!("was ended because it used more memory than its limit of {limit} bytes")
        }
        Some(Ending::Spoiled) => "was ended because it overwrote the memory it shares with its parent".to_owned(),
        Some(Ending::Deaf) => "was ended because it did not go on with its work: it was stopped".to_owned(),
        Some(Ending::Ordered) => describe(status) + ", as the pool's owner ordered",
        _ => describe(status),
    }
}

impl Pool {
    /// Empties the seat of a worker that has ended.
    pub(crate) fn salvage(
        &self,
        index: usize,
        expected: bool,
        ending: Option<&Ending>,
        death: &dyn Fn(Option<Phase>) -> Death,
    ) -> Batch {
        let mut batch = Batch::default();
        self.with_dispatch(|dispatch, wakes| {
            dispatch.collect_from(index, &mut batch, wakes);
            let Some(mut seat) = dispatch.seats[index].take() else { return };
            if let Some(entry) = seat.porter.take().and_then(|porter| porter.close()) {
                dispatch.unload_porter(wakes);
                dispatch.return_unbegun(entry, wakes);
            }
            seat.lane.shared().bell().silence();
            let wreck = seat.lane.salvage(&seat.link, &mut batch.bytes);
            dispatch.stats.bytes_sent += seat.lane.bytes_sent();
            dispatch.stats.deaths += u64::from(!expected && seat.state != SeatState::Starting);
            batch.husks.extend(wreck.husks);
            for (mut entry, counted) in wreck.unbegun.into_iter().rev() {
                if std::mem::take(&mut entry.stopping) {
                    dispatch.end_waiting(&entry, counted, wakes);
                    dispatch.stats.failed += 1;
                    batch.collected.push(Collected::without_reply(entry, Cause::Stopped));
                    continue;
                }
                entry.suspicions += u8::from(counted);
                if entry.suspicions >= MOST_SUSPICIONS {
                    dispatch.end_waiting(&entry, counted, wakes);
                    entry.add_death(death(None));
                    let cause = Cause::Died(entry.take_deaths());
                    dispatch.stats.failed += 1;
                    batch.collected.push(Collected::without_reply(entry, cause));
                    continue;
                }
                if counted && !entry.begun {
                    dispatch.note_queued();
                }
                dispatch.put_back(entry);
            }
            for Interrupted { mut collected, phase, began } in wreck.running {
                dispatch.end_waiting(&collected.entry, began, wakes);
                let cause = cause_of(&mut collected, ending, death(phase));
                dispatch.stats.failed += u64::from(!matches!(cause, Cause::Retry));
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
    /// A task is over with its worker. If it did not count as begun, it took room until now: only the oldest can have begun,
    /// unless the worker wrote otherwise.
    fn end_waiting(&mut self, entry: &Entry, began: bool, wakes: &mut Wakes) {
        if !began {
            self.note_unqueued(entry);
            wakes.room_freed = true;
        }
    }
}

/// Why the task that was running is over.
fn cause_of(collected: &mut Collected, ending: Option<&Ending>, death: Death) -> Cause {
    match ending {
        // Another item of its chunk was running by then: that one ran in vain, and runs again.
        Some(Ending::TimedOut(_, items)) if collected.items != *items => Cause::Retry,
        Some(Ending::TimedOut(limit, _)) => Cause::TimedOut(*limit),
        Some(Ending::Stopped) => Cause::Stopped,
        Some(Ending::Ordered) => {
            collected.entry.add_death(death);
            Cause::Died(collected.entry.take_deaths())
        }
        _ => {
            let entry = &mut collected.entry;
            let deaths = entry.add_death(death);
            if deaths as u64 <= u64::from(entry.task.retries()) {
                Cause::Retry
            } else {
                Cause::Died(entry.take_deaths())
            }
        }
    }
}
