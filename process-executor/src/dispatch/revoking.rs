//! What the holder of a future asks of its task, by the task's token: to revoke it, whether it has begun, to stop it.

use super::Dispatch;
use super::ring::Ring;
use super::whereabouts::Whereabouts;
use executor_core::remote::Token;

impl Dispatch {
    /// Revokes a task that is about to be cancelled or to expire. Returns false if that comes too late.
    pub(crate) fn revoke(&mut self, token: &Token) -> bool {
        let revoked = match Whereabouts::read(token) {
            Whereabouts::Queued => {
                self.revoked += 1;
                true
            }
            Whereabouts::Entering | Whereabouts::Preparing | Whereabouts::Withdrawn => true,
            Whereabouts::InRing { worker, slot } => self.ring_of(worker).is_some_and(|ring| ring.revoke_unbegun(slot)),
            Whereabouts::InHand | Whereabouts::Requeued | Whereabouts::Revoked => false,
        };
        if revoked {
            self.count_unqueued(1);
            Whereabouts::Revoked.write(token);
        }
        revoked
    }

    /// Returns whether a task has begun.
    pub(crate) fn has_begun(&self, token: &Token) -> bool {
        match Whereabouts::read(token) {
            Whereabouts::InHand | Whereabouts::Requeued => true,
            Whereabouts::InRing { worker, slot } => {
                self.seats.get(worker).and_then(Option::as_ref).is_some_and(|seat| seat.ring.has_begun(slot))
            }
            Whereabouts::Entering
            | Whereabouts::Queued
            | Whereabouts::Preparing
            | Whereabouts::Withdrawn
            | Whereabouts::Revoked => false,
        }
    }

    /// Raises the flag of a task that has begun; with `end_worker`, has its worker ended.
    pub(crate) fn ask_to_stop(&mut self, token: &Token, end_worker: bool) {
        match Whereabouts::read(token) {
            Whereabouts::InRing { worker, slot } => {
                if let Some(ring) = self.ring_of(worker) {
                    ring.ask_to_stop(slot, end_worker);
                }
            }
            Whereabouts::Queued if end_worker => {
                // The stop came while we believed it was running; its worker died before starting it.
                let queued = self.queue.iter_mut().find(|entry| std::ptr::eq(entry.task.token(), token));
                queued.into_iter().for_each(|entry| entry.stopping = true);
            }
            _ => {}
        }
    }

    fn ring_of(&mut self, worker: usize) -> Option<&mut Ring> {
        self.seats.get_mut(worker)?.as_mut().map(|seat| &mut seat.ring)
    }
}
