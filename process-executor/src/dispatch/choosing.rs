//! Which worker gets a task, and when there should be more workers.

use super::Dispatch;
use super::entry::Entry;
use super::seat::SeatState;
use super::wakes::Wakes;
use crate::protocol::layout::SLOTS;

/// How much work a worker is given ahead, in nanoseconds.
const AHEAD: u64 = 100_000;
/// Tasks that take less are kept together with one worker, as long as it has less than this to do: waking another costs more.
const CHEAP: u32 = 10_000;

impl Dispatch {
    /// Asks for more workers if tasks are queued that no worker can take now.
    pub(super) fn want_workers(&mut self, wakes: &mut Wakes) {
        if self.queue.is_empty() || self.stopping {
            self.wanted = 0;
            return;
        }
        let starting = self.seats.iter().flatten().filter(|seat| seat.state == SeatState::Starting).count();
        let free = self.seats.iter().filter(|seat| seat.is_none()).count();
        let wanted = self.queue.len().saturating_sub(starting).min(free);
        if wanted > self.wanted {
            wakes.supervisor = true;
        }
        self.wanted = wanted;
    }

    /// Returns how many workers are to be started: none if the tasks that they were wanted for have gone meanwhile.
    pub(crate) fn still_wanted(&mut self) -> usize {
        if self.queue.is_empty() || self.stopping {
            self.wanted = 0;
        }
        self.wanted
    }

    /// Returns the worker for a task, if one can take it now.
    pub(super) fn choose(&self, entry: &Entry) -> Option<usize> {
        if self.one_by_one {
            return self.seats.iter().position(|seat| seat.as_ref().is_some_and(|seat| seat.is_free(self.most_tasks)));
        }
        let cost = self.functions.get(entry.function).estimate;
        // Each large input that waits with a worker costs a descriptor here and there.
        let is_large = entry.payload.needs_shared_memory() || entry.buffers().next().is_some();
        let most_ahead = if is_large { 1 } else { SLOTS };
        let (mut idle, mut may_start) = (None, false);
        let mut ahead: Option<(usize, u64, bool)> = None;
        for (index, seat) in self.seats.iter().enumerate() {
            let Some(seat) = seat else {
                may_start = true;
                continue;
            };
            // A worker that leaves makes room for another.
            may_start |= seat.state != SeatState::Ready || seat.dealt >= self.most_tasks;
            if !seat.takes_tasks(self.most_tasks) || !seat.may_be_lent() || seat.stuck || seat.ring.depth() > most_ahead
            {
                continue;
            }
            let load = seat.ring.load();
            if seat.ring.depth() == 0 {
                idle = idle.or(Some(index));
            } else if load + u64::from(cost) <= AHEAD && ahead.is_none_or(|(_, least, _)| load < least) {
                ahead = Some((index, load, seat.ring.has_room_for(entry)));
            }
        }
        // Cheap tasks stay with a worker that is busy with cheap tasks, as long as it has little to do: waking another would cost
        // more than waiting for this one.
        if let Some((index, load, has_room)) = ahead
            && (idle.is_none() || (cost <= CHEAP && load <= AHEAD / 2))
        {
            return has_room.then_some(index);
        }
        if idle.is_some() || (may_start && !self.stopping) {
            return idle;
        }
        // All workers are busy: each gets one task behind the one that runs.
        let next = self.seats.iter().enumerate().filter_map(|(index, seat)| Some((index, seat.as_ref()?)));
        next.filter(|(_, seat)| seat.takes_tasks(self.most_tasks) && seat.may_be_lent() && seat.ring.depth() == 1)
            .find(|(_, seat)| seat.ring.has_room_for(entry))
            .map(|(index, _)| index)
    }
}
