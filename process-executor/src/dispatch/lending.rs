//! Memory that a task needs is lent to its worker before the task is dealt, over the worker's socket, which may have no room for all
//! of it at once.

use super::Dispatch;
use super::wakes::Wakes;
use crate::dispatch::entry::Entry;
use crate::dispatch::seat::{Full, Seat, SeatState};
use std::io;
use std::time::{Duration, Instant};

/// How soon to try a full socket again.
pub(crate) const TRY_AGAIN: Duration = Duration::from_millis(1);
/// A worker whose socket takes nothing for this long does not read it.
const FULL_LIMIT: Duration = Duration::from_secs(1);

impl Dispatch {
    /// Lends the worker the memory that a task needs, unless it has it already. Returns false if the task is not for this worker now.
    pub(super) fn lend_to(&mut self, index: usize, entry: &Entry, wakes: &mut Wakes) -> bool {
        let Some(seat) = self.seats[index].as_mut() else { return false };
        let mut sent = 0;
        let lent = entry.buffers().try_for_each(|buffer| {
            sent += usize::from(seat.link.lend(buffer)?);
            Ok(())
        });
        let Err(error) = lent else { return true };
        // The supervisor tries again, or sees to the end of the worker.
        wakes.supervisor = true;
        if may_pass(&error) {
            let now = Instant::now();
            let since = seat.full.filter(|_| sent == 0).map_or(now, |full| full.since);
            seat.full = Some(Full { since, until: now + TRY_AGAIN });
            if now - since > FULL_LIMIT {
                seat.state = SeatState::Leaving;
            }
        } else {
            // The worker is gone, or has closed its end. If it is not gone, it ends with the connection.
            seat.lost = true;
            seat.link.shut();
        }
        false
    }

    /// Returns whether a worker's socket was full when it was last tried, and is to be tried again.
    pub(crate) fn is_full(&mut self, index: usize, now: Instant) -> bool {
        let Some(seat) = self.seats[index].as_mut() else { return false };
        // What did not fit may have gone elsewhere.
        seat.full = seat.full.filter(|full| now < full.until + 10 * TRY_AGAIN);
        seat.full.is_some()
    }
}

/// Returns whether an error says that there is no room now, in the socket or in the kernel.
fn may_pass(error: &io::Error) -> bool {
    const PASSING: [i32; 3] = [libc::ENOBUFS, libc::ENOMEM, libc::ETOOMANYREFS];
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error().is_some_and(|code| PASSING.contains(&code))
}

impl Seat {
    /// Returns whether its socket may have room again.
    pub(super) fn may_be_lent(&self) -> bool {
        self.full.is_none_or(|full| full.until <= Instant::now())
    }
}
