//! Waiting threads fetch results themselves, for all pools of the program, and the doorbells by which workers tell of results.
//!
//! While threads of the program fetch results one after the other, workers do not ring. The supervisor then checks every [`TICK`]
//! whether that goes on. A thread that sleeps for a result listens to the doorbells itself; a worker whose doorbell nobody listens
//! to rings for the supervisor.
//!
//! A waiting thread does not wait for the lock of a pool. A doorbell that stays on costs time, and the next thread that fetches turns
//! it off; one that stays off is turned on by the supervisor, which then takes what came meanwhile.

use super::{Pool, SPARE, TICK};
use crate::dispatch::Dispatch;
use executor_core::driver::{self, Driver};
use process_core::waking::{ARMED, DoorbellWord, LISTENED, QUIET};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a thread waits for the lock before it sleeps: far longer than the lock is held, and nothing compared to the sleep.
const MOMENT: Duration = Duration::from_micros(50);

impl Pool {
    /// Fetches what is there, unless another thread has the lock.
    fn try_collect(self: &Arc<Self>) {
        let Some(dispatch) = self.dispatch.try_lock() else { return };
        if !dispatch.has_results(1) {
            return;
        }
        let mut batch = SPARE.take();
        self.with_locked(dispatch, |dispatch, wakes| self.gather(dispatch, &mut batch, wakes));
        self.finish_and_keep(batch);
    }

    /// Turns the doorbells off for the time being, because a thread of the program fetches.
    pub(super) fn note_fetch(&self) {
        // The count only has to change.
        self.fetches.store(self.fetches.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        if self.doorbells.load(Ordering::Relaxed)
            && let Some(dispatch) = self.dispatch.try_lock()
        {
            self.set_doorbells(&dispatch, QUIET);
            drop(dispatch);
            self.call_supervisor();
        }
    }

    /// Turns the doorbells on or off. The thread that turns them on looks for results afterwards: workers did not ring for those.
    fn set_doorbells(&self, dispatch: &Dispatch, value: u32) {
        self.doorbells.store(value != QUIET, Ordering::Relaxed);
        DoorbellWord::set_all(dispatch.seats.iter().flatten().map(|seat| seat.ring.shared().bell()), value);
    }

    /// Turns the doorbells on before the supervisor sleeps, unless threads of the program have fetched since `seen`; then it returns
    /// when to look again. The caller looks afterwards for what came before.
    pub(crate) fn settle_doorbells(&self, seen: &mut usize) -> Option<Duration> {
        let fetches = self.fetches.load(Ordering::Relaxed);
        if !self.doorbells.load(Ordering::Relaxed) && std::mem::replace(seen, fetches) != fetches {
            return Some(TICK);
        }
        self.set_doorbells(&self.dispatch.lock(), ARMED);
        None
    }
}

/// A pool, as waiting threads know it.
#[derive(Debug)]
pub(crate) struct Fetcher(pub(crate) Arc<Pool>);

impl Driver for Fetcher {
    fn begin(&self) {
        // Turning the doorbells off and on for a look in vain costs more than one ring.
        if self.0.fetching_pays.load(Ordering::Relaxed) {
            self.0.note_fetch();
        }
    }

    fn fetch(&self) {
        self.0.try_collect();
    }

    fn end(&self, found: bool) {
        if self.0.fetching_pays.load(Ordering::Relaxed) != found {
            self.0.fetching_pays.store(found, Ordering::Relaxed);
        }
    }

    fn listen(&self, doorbells: &mut Vec<driver::Doorbell>) {
        let Some(dispatch) = self.0.dispatch.try_lock_for(MOMENT) else {
            // The supervisor turns the doorbells on, and takes what is there.
            return self.0.call_supervisor();
        };
        let mut batch = SPARE.take();
        self.0.with_locked(dispatch, |dispatch, wakes| {
            self.0.set_doorbells(dispatch, LISTENED);
            self.0.gather(dispatch, &mut batch, wakes);
            // Workers without a task ring for the supervisor.
            let busy = dispatch.seats.iter().flatten().filter(|seat| seat.ring.depth() > 0);
            doorbells.extend(busy.map(|seat| driver::Doorbell::new(seat.ring.shared().clone(), LISTENED)));
        });
        self.0.finish_and_keep(batch);
    }
}
