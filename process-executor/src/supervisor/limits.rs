//! What the supervisor checks from time to time: limits of tasks and of workers, and workers that are to end.

use super::Supervisor;
use super::ending::Ending;
use super::wait::sooner;
use super::worker::Due;
use crate::dispatch::lending::TRY_AGAIN;
use crate::dispatch::next_wakeup::{HEARTBEAT, MEMORY_TICK, STUCK_TICK};
use crate::dispatch::ring::running::RunningTask;
use crate::dispatch::seat::{Seat, SeatState};
use crate::settings::Settings;
use process_core::system;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// A worker that does not begin a task for this long, and for longer than the task may run, is given up: it was stopped.
const BEGIN_LIMIT: Duration = Duration::from_secs(1);

/// What one look at a seat found.
#[derive(Default)]
struct Finding {
    end: Option<Ending>,
    retire: bool,
    stuck: bool,
    wait: Option<Duration>,
}

impl Supervisor {
    /// Looks at every worker. Returns the time until the next look, if one is due.
    pub(super) fn look_at_workers(&mut self) -> Option<Duration> {
        let mut wait = None;
        self.pool.with_dispatch(|dispatch, wakes| {
            if dispatch.retire_outdated() {
                dispatch.deal(wakes);
            }
        });
        for index in 0..self.workers.len() {
            if self.workers[index].is_none() {
                continue;
            }
            let finding = self.look_at(index);
            sooner(&mut wait, finding.wait);
            if finding.stuck {
                self.pool.with_dispatch(|dispatch, wakes| dispatch.rescue(index, wakes));
            }
            if let Some(ending) = finding.end {
                let grace = self.end_worker_gently(index, ending);
                sooner(&mut wait, grace);
            }
            let Some(worker) = self.workers[index].as_mut() else { continue };
            if finding.retire {
                worker.retire();
            }
            match worker.see_to_the_end() {
                Due::Nothing => {}
                Due::Wait(left) => sooner(&mut wait, Some(left)),
                Due::GiveUp => self.give_up(index),
            }
        }
        wait
    }

    fn look_at(&mut self, index: usize) -> Finding {
        let settings = self.pool.settings();
        let ordered = self.pool.ending().is_some();
        let now = Instant::now();
        let Some(worker) = self.workers[index].as_mut() else { return Finding::default() };
        worker.link.forget_dropped();
        if worker.ending.is_some() {
            return Finding::default();
        }
        if ordered {
            return Finding { end: Some(Ending::Ordered), ..Finding::default() };
        }
        let mut finding = Finding::default();
        if !worker.is_ready {
            match settings.start_timeout.checked_sub(now - worker.started) {
                Some(left) => finding.wait = Some(left),
                None => finding.end = Some(Ending::NotReady(settings.start_timeout)),
            }
        }
        let look_at_memory = now >= worker.memory_looked_at + MEMORY_TICK;
        let in_hand = self.pool.in_hand();
        let (position, dealt, pid) = (&mut worker.position, &mut worker.dealt, worker.process.pid());
        self.pool.with_dispatch(|dispatch, _| {
            let leave = dispatch.wants_to_leave(index, settings.keep_alive, now, in_hand);
            let could_be_taken_over = dispatch.has_free_hands();
            if dispatch.is_full(index, now) {
                sooner(&mut finding.wait, Some(TRY_AGAIN));
            }
            let Some(seat) = dispatch.seats[index].as_mut() else { return };
            if std::mem::replace(dealt, seat.dealt) != seat.dealt || seat.ring.depth() > 0 {
                sooner(&mut finding.wait, Some(HEARTBEAT));
            }
            if seat.ring.depth() == 0 {
                *position = None;
                match leave {
                    Some(Duration::ZERO) => {
                        seat.state = SeatState::Leaving;
                        finding.retire = true;
                    }
                    left => sooner(&mut finding.wait, left),
                }
                return;
            }
            let place = seat.ring.position();
            let since = position.filter(|(before, _)| *before == place).map_or(now, |(_, since)| since);
            *position = Some((place, since));
            look_at_task(seat, settings, now - since, &mut finding);
            if seat.ring.is_corrupted() {
                finding.end = Some(Ending::Corrupted);
            }
            if could_be_taken_over && seat.ring.has_some_behind() {
                finding.stuck = now - since >= STUCK_TICK;
                sooner(&mut finding.wait, Some(STUCK_TICK));
            }
        });
        if settings.soft_memory_limit.or(settings.hard_memory_limit).is_some() && finding.end.is_none() {
            self.look_at_memory(index, pid, look_at_memory, &mut finding);
        }
        finding
    }

    fn look_at_memory(&mut self, index: usize, pid: u32, due: bool, finding: &mut Finding) {
        let settings = self.pool.settings();
        let busy = self
            .pool
            .with_dispatch(|dispatch, _| dispatch.seats[index].as_ref().is_some_and(|seat| seat.ring.depth() > 0));
        if busy {
            sooner(&mut finding.wait, Some(MEMORY_TICK));
        }
        if !due && busy {
            return;
        }
        if let Some(worker) = self.workers[index].as_mut() {
            worker.memory_looked_at = Instant::now();
        }
        let Some(used) = system::own_memory(pid) else { return };
        if let Some(limit) = settings.hard_memory_limit.filter(|limit| used > *limit) {
            finding.end = Some(Ending::Memory(limit));
        } else if settings.soft_memory_limit.is_some_and(|limit| used > limit) {
            finding.retire |= self.replace(index);
        }
    }

    /// Stops dealing tasks to a worker; it ends after the one that it runs. Returns whether it has none.
    fn replace(&mut self, index: usize) -> bool {
        self.pool.with_dispatch(|dispatch, wakes| {
            let Some(seat) = dispatch.seats[index].as_mut().filter(|seat| seat.state == SeatState::Ready) else {
                return false;
            };
            seat.state = SeatState::Leaving;
            let has_none = seat.ring.depth() == 0;
            dispatch.take_back(index, usize::MAX);
            dispatch.deal(wakes);
            has_none
        })
    }

    /// Ends a worker by SIGTERM, and by SIGKILL after the grace, which is returned.
    fn end_worker_gently(&mut self, index: usize, ending: Ending) -> Option<Duration> {
        if !self.aim(index, &ending) {
            return Some(Duration::ZERO);
        }
        let grace = match (&ending, self.pool.ending()) {
            (Ending::Stopped, _) => self.pool.settings().stop_grace,
            (Ending::Ordered, Some(Signal::TERM)) => self.pool.settings().stop_grace,
            _ => Duration::ZERO,
        };
        if grace.is_zero() {
            self.end_worker(index, ending);
            return None;
        }
        let worker = self.workers[index].as_mut()?;
        worker.terminate(grace);
        worker.ending = Some(ending);
        Some(grace)
    }

    /// Makes sure, before a worker is ended because of its task, that no other begins there, and that this task still runs.
    fn aim(&mut self, index: usize, ending: &Ending) -> bool {
        let default = self.pool.settings().run_limit;
        self.pool.with_dispatch(|dispatch, wakes| {
            let Some(seat) = dispatch.seats[index].as_mut() else { return false };
            let before = std::mem::replace(&mut seat.state, SeatState::Leaving);
            dispatch.take_back(index, usize::MAX);
            let Some(seat) = dispatch.seats[index].as_mut() else { return false };
            let running = seat.ring.running();
            let still = match ending {
                Ending::Stopped => running.is_some_and(|running| running.entry.stopping),
                Ending::TimedOut(..) => running.is_some_and(|running| is_over_time(&running, default)),
                // Or it was stopped at its very beginning.
                Ending::Unresponsive => dispatch.take_back_next(index) || dispatch.is_at_a_beginning(index),
                _ => true,
            };
            if !still && let Some(seat) = dispatch.seats[index].as_mut() {
                seat.state = before;
            }
            dispatch.deal(wakes);
            still
        })
    }

    /// Ends a worker at once. Its task ends when the worker is gone.
    pub(super) fn end_worker(&mut self, index: usize, ending: Ending) {
        let Some(worker) = self.workers[index].as_mut() else { return };
        worker.kill(None);
        worker.ending.get_or_insert(ending);
        self.pool.with_dispatch(|dispatch, _| {
            if let Some(seat) = dispatch.seats[index].as_mut() {
                seat.state = SeatState::Leaving;
            }
        });
    }
}

/// Checks the limits of the task that runs, and of those behind it. It has been the next, or run, for `waited` at least.
fn look_at_task(seat: &mut Seat, settings: &Settings, waited: Duration, finding: &mut Finding) {
    // What has not begun yet may begin any time.
    let due = seat.ring.first_due(settings.run_limit);
    sooner(&mut finding.wait, due.map(|due| due.max(STUCK_TICK)));
    let Some(running) = seat.ring.running() else { return };
    if running.entry.stopping {
        finding.end = Some(Ending::Stopped);
        return;
    }
    let Some(limit) = running.limit(settings.run_limit) else { return };
    let (limit, passed, ending) = match running.ran() {
        Some(ran) => (limit, ran, Ending::TimedOut(limit, running.items)),
        None => (limit.max(BEGIN_LIMIT), waited, Ending::Unresponsive),
    };
    match limit.checked_sub(passed) {
        Some(left) if !left.is_zero() => sooner(&mut finding.wait, Some(left)),
        _ => finding.end = Some(ending),
    }
}

fn is_over_time(running: &RunningTask<'_>, default: Option<Duration>) -> bool {
    running.limit(default).zip(running.ran()).is_some_and(|(limit, ran)| ran >= limit)
}
