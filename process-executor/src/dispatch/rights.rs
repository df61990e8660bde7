//! Workers that have other rights than this process has by now, because it has dropped or changed its own, get no more tasks.
//!
//! To ask the system takes longer than to hand over a task. So it is asked when the supervisor looks, which is once a second at
//! least while the pool is in use, and before the first task after a pause, when the supervisor has to be woken anyway.

use super::Dispatch;
use crate::dispatch::seat::{Seat, SeatState};
use crate::system::Credentials;

impl Dispatch {
    /// Takes those workers back their unbegun tasks; each ends after the one that it runs. True: there are some.
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
