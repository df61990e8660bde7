//! Memory that a task needs is handed to its worker before the task is, over the worker's socket, which may have no room for all
//! of it at once.

use super::Dispatch;
use super::wakes::Wakes;
use crate::dispatch::entry::Entry;
use crate::dispatch::seat::{Full, Seat, SeatState};
use std::io;
use std::time::{Duration, Instant};

/// How soon it is tried again.
pub(crate) const TRY_AGAIN: Duration = Duration::from_millis(1);
/// A worker whose socket takes nothing for so long does not read it.
const PATIENCE: Duration = Duration::from_secs(1);

impl Dispatch {
    /// Hands over what a task needs; what was handed over before, is there. False: the task is not for this worker now.
    pub(super) fn lend_to(&mut self, index: usize, entry: &Entry, wakes: &mut Wakes) -> bool {
        let Some(seat) = self.seats[index].as_mut() else { return false };
        let mut sent = 0;
        let lent = entry.buffers().try_for_each(|buffer| {
            sent += usize::from(seat.link.lend(buffer)?);
            Ok(())
        });
        let Err(error) = lent else { return true };
        // Whom it concerns: who tries again, and who sees to the end of a worker.
        wakes.supervisor = true;
        if may_pass(&error) {
            let now = Instant::now();
            let since = seat.full.filter(|_| sent == 0).map_or(now, |full| full.since);
            seat.full = Some(Full { since, until: now + TRY_AGAIN });
            if now - since > PATIENCE {
                seat.state = SeatState::Leaving;
            }
        } else {
            // The worker is gone, or has closed its end. If it is not gone, it ends with the connection.
            seat.lost = true;
            seat.link.shut();
        }
        false
    }

    /// Whether a worker's socket was full when it was last tried, and is to be tried again.
    pub(crate) fn is_full(&mut self, index: usize, now: Instant) -> bool {
        let Some(seat) = self.seats[index].as_mut() else { return false };
        // What did not fit may have gone elsewhere.
        seat.full = seat.full.filter(|full| now < full.until + 10 * TRY_AGAIN);
        seat.full.is_some()
    }
}

/// Whether an error says that there is no room now, in the socket or in the kernel.
fn may_pass(error: &io::Error) -> bool {
    const PASSING: [i32; 3] = [libc::ENOBUFS, libc::ENOMEM, libc::ETOOMANYREFS];
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error().is_some_and(|code| PASSING.contains(&code))
}

impl Seat {
    /// Whether its socket may have room again.
    pub(super) fn may_be_lent(&self) -> bool {
        self.full.is_none_or(|full| full.until <= Instant::now())
    }
}
