//! Processes that were killed and that the system does not let end yet: their tasks are over and their seats free. They are reaped
//! when they can be, if need be after the pool's end.

use super::epoll_data::UNREAPED;
use crate::dispatch::next_wakeup::HEARTBEAT;
use process_core::Process;
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::process::Signal;
use std::time::Duration;

/// Processes that are left of workers.
#[derive(Debug, Default)]
pub(super) struct Unreaped(Vec<Process>);

impl Unreaped {
    /// Takes over a process that was killed, or is to be.
    pub(super) fn add(&mut self, epoll: &OwnedFd, mut process: Process) {
        if process.try_reap().is_some() {
            return;
        }
        if let Some(end) = process.end() {
            // Once is enough: one whose end is seen but that cannot be reaped, since a debugger has it, would ring for ever.
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
            let data = epoll::EventData::new_u64(UNREAPED);
            let _ = epoll::delete(epoll, end);
            // Where that fails, the process is looked at from time to time all the same.
            let _ = epoll::add(epoll, end, data, flags);
        }
        self.0.push(process);
    }

    /// Stops waiting for the events of their ends; from now on these processes are polled.
    pub(super) fn leave_files(&mut self) {
        self.0.iter_mut().for_each(Process::leave_end);
    }

    /// Reaps the processes that have ended. Returns the time until the next look, if one is due.
    pub(super) fn reap(&mut self) -> Option<Duration> {
        self.0.retain_mut(|process| {
            let is_left = process.try_reap().is_none();
            if is_left {
                // The right to kill it may have come back.
                let _ = process.signal(Signal::KILL);
            }
            is_left
        });
        (!self.0.is_empty()).then_some(HEARTBEAT)
    }
}
