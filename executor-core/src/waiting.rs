//! Blocking until one future is done: help, then spin, then sleep.

pub(crate) mod block_until;
pub mod driver;
pub(crate) mod help;

use crate::cell::current;
use crate::cell::header::Header;
use crate::sync::parking;
use crate::waiting::driver::Heard;
use std::ptr::NonNull;
use std::time::Instant;

/// Waits until the future is done, or `deadline`; returns whether it is done. So it is inside the future's own callbacks, too,
/// where the outcome is there although the future is not done for others.
///
/// # Safety
/// `cell` is kept alive by the caller's handle, and is a pointer to the whole cell.
pub(crate) unsafe fn wait(cell: NonNull<Header>, deadline: Option<Instant>) -> bool {
    // SAFETY: by contract.
    let header = unsafe { cell.as_ref() };
    if header.is_done() || current::runs_callbacks_of(header) {
        return true;
    }
    // SAFETY: by contract.
    if unsafe { help::help(cell) } && header.is_done() {
        return true;
    }
    driver::spin_until(|| header.is_done()) || sleep(header, deadline)
}

fn sleep(header: &Header, deadline: Option<Instant>) -> bool {
    match driver::listen(header.state.word(), || header.announce_multi_waiter(), deadline) {
        Heard::Done => return true,
        Heard::TimedOut => return header.is_done(),
        Heard::Nothing => {}
    }
    while header.announce_parked() {
        let woken = parking::park(header.address(), || header.is_parked(), deadline);
        if !woken {
            return header.is_done();
        }
    }
    true
}
