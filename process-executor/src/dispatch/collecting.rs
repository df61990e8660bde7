//! Replies are taken from the rings into a batch, which is finished outside the lock.

use super::Dispatch;
use super::batch::Batch;
use super::entry::Entry;
use super::seat::SeatState;
use super::wakes::Wakes;
use super::whereabouts::Whereabouts;
use std::sync::atomic::{Ordering, fence};
use std::time::Instant;

impl Dispatch {
    /// Returns whether a worker has left at least that many results.
    pub(crate) fn has_results(&self, least: u64) -> bool {
        self.seats.iter().flatten().any(|seat| seat.ring.has_results(least))
    }

    /// Drops the tombstones of revoked tasks if nothing else is in the queue.
    pub(crate) fn drop_revoked(&mut self) {
        if self.revoked > 0 && self.revoked == self.queue.len() {
            self.revoked = 0;
            debug_assert!(self.queue.iter().all(|entry| entry.is_at(Whereabouts::Revoked)), "none is lost");
            self.tombstones.extend(std::mem::take(&mut self.queue));
        }
    }

    /// Keeps the tombstone of a task that is over, for the next batch.
    pub(crate) fn tombstone(&mut self, entry: Entry) {
        self.tombstones.push(entry);
    }

    /// Takes all replies there are into a batch.
    pub(crate) fn collect(&mut self, batch: &mut Batch, wakes: &mut Wakes) {
        self.drop_revoked();
        batch.tombstones.append(&mut self.tombstones);
        for index in 0..self.seats.len() {
            self.collect_from(index, batch, wakes);
        }
    }

    /// Finds the workers that sleep with something before them. Called before the lock is released.
    pub(crate) fn find_sleepers(&mut self, wakes: &mut Wakes) {
        let mut rings = self.seats.iter_mut().flatten().map(|seat| &mut seat.ring).filter(|ring| ring.may_sleep());
        let Some(first) = rings.next() else { return };
        // ORDERING: SeqCst, with the fence of `Asleep::sleep_until`: between what was dealt and the look whether its worker sleeps.
        // One fence for all rings.
        fence(Ordering::SeqCst);
        for ring in std::iter::once(first).chain(rings) {
            if ring.take_sleeper() {
                wakes.workers.push(ring.shared().clone());
            }
        }
    }

    /// Takes the replies of one worker into a batch.
    pub(crate) fn collect_from(&mut self, index: usize, batch: &mut Batch, wakes: &mut Wakes) {
        let Some(seat) = self.seats[index].as_mut() else { return };
        if !seat.ring.has_results(1) {
            return;
        }
        seat.stuck = false;
        let (bytes, tasks) = (batch.bytes.len(), batch.collected.len());
        let begun = seat.ring.collect(&mut self.functions, &seat.link, seat.relay.as_ref(), batch);
        wakes.capacity_freed |= begun > 0;
        seat.done += (batch.collected.len() - tasks) as u64;
        let is_idle = seat.ring.depth() == 0;
        if is_idle && let Some(keep_alive) = self.next_wakeup.keep_alive() {
            seat.idle_since = Some(Instant::now());
            wakes.supervisor |= self.next_wakeup.must_call(Some(keep_alive));
        }
        self.stats.bytes_received += (batch.bytes.len() - bytes) as u64;
        for collected in &batch.collected[tasks..] {
            // As long as the worker says it is.
            let out_of_band = collected.bytes_out_of_band();
            self.stats.bytes_received = self.stats.bytes_received.saturating_add(out_of_band);
        }
        let may_leave = seat.state == SeatState::Leaving || seat.dealt >= self.most_tasks || (self.closed && is_idle);
        wakes.supervisor |= may_leave;
        self.count_unqueued(begun as usize);
        self.begin(index, wakes);
    }
}
