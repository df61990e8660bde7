//! Workers get no more tasks once this process has dropped or changed its rights, so that theirs are others.
//!
//! Asking the system takes longer than handing over a task. So it is asked when the supervisor looks, at least once a second while the
//! pool is in use, and before the first task after a pause, when the supervisor has to be woken anyway.

use super::Dispatch;
use crate::dispatch::seat::{Seat, SeatState};
use process_core::system::Credentials;

impl Dispatch {
    /// Takes back what such workers have not begun; each ends after the task that it runs. Returns whether there are such workers.
    pub(crate) fn retire_outdated(&mut self) -> bool {
        let now = Credentials::now();
        let mut any = false;
        for index in 0..self.seats.len() {
            let outdated = |seat: &Seat| seat.state == SeatState::Ready && now.differ_for_good(&seat.credentials);
            let Some(seat) = self.seats[index].as_mut().filter(|seat| outdated(seat)) else { continue };
            seat.state = SeatState::Leaving;
            self.take_back(index, usize::MAX);
            any = true;
        }
        any
    }
}
