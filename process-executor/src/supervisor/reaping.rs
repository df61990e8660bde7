//! Processes that were killed and that the system does not let end yet: their tasks are over and their seats free. They
//! are reaped when they can be, if need be after the pool's end.

use super::worker::Reason;
use super::{END, Supervisor, UNREAPED, sooner};
use crate::dispatch::next_wakeup::HEARTBEAT;
use crate::process::Process;
use crate::system::leave;
use executor_core::BrokenExecutor;
use rustix::event::epoll;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::process::Signal;
use std::time::Duration;

/// What is left of workers.
#[derive(Debug, Default)]
pub(super) struct Unreaped(Vec<Process>);

impl Unreaped {
    /// Takes a process that was killed, or is to be.
    pub(super) fn add(&mut self, epoll: &OwnedFd, mut process: Process) {
        if process.try_reap().is_some() {
            return;
        }
        if let Some(end) = process.end() {
            // Once is enough: one whose end is seen but that cannot be reaped, since a debugger has it, would ring for ever.
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
            let data = epoll::EventData::new_u64(UNREAPED);
            let _ = epoll::delete(epoll, end);
            // Where that fails, it is looked at from time to time all the same.
            let _ = epoll::add(epoll, end, data, flags);
        }
        self.0.push(process);
    }

    /// From now on they are looked at from time to time.
    fn leave_files(&mut self) {
        self.0.iter_mut().for_each(Process::leave_end);
    }

    /// Reaps those that have ended; gives the time until the next look, if one is due.
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

impl Supervisor {
    /// From now on, what a worker says and its end are events.
    pub(super) fn listen_to(&self, index: usize, process: &Process, socket: BorrowedFd<'_>) -> std::io::Result<()> {
        let events = [(socket, index as u64)].into_iter().chain(process.end().map(|end| (end, index as u64 | END)));
        for (file, data) in events {
            epoll::add(&self.epoll, file, epoll::EventData::new_u64(data), epoll::EventFlags::IN)?;
        }
        Ok(())
    }

    pub(super) fn listen_no_more(&self, process: &Process, socket: BorrowedFd<'_>) {
        if self.has_lost_files {
            return;
        }
        for file in process.end().into_iter().chain([socket]) {
            let _ = epoll::delete(&self.epoll, file);
        }
    }

    /// The program has closed the descriptors of the pool, as one does that makes itself a daemon: what has their numbers now is
    /// left alone. The pool is over, and its workers, whose connections have ended, with it.
    pub(super) fn lose_files(&mut self) {
        self.has_lost_files = true;
        let advice = "make the pool after descriptors are closed, as in a program that makes itself a daemon";
        self.pool.break_down(BrokenExecutor::new("the program has closed the pool's descriptors", advice));
        if let Ok(other) = crate::system::epoll() {
            leave(std::mem::replace(&mut self.epoll, other));
        }
        self.unreaped.leave_files();
        for index in 0..self.workers.len() {
            let Some(worker) = self.workers[index].as_mut() else { continue };
            worker.process.leave_end();
            worker.link.leave();
            worker.kill(Some(Reason::ClosedHere));
            self.give_up(index);
        }
    }

    /// Sees to what is left when the pool has ended: batches that wait behind a waker that blocks, and processes. Nobody waits
    /// for this thread.
    pub(super) fn see_to_the_rest(&mut self) {
        loop {
            let mut wait = self.pool.look_after_callbacks();
            sooner(&mut wait, self.unreaped.reap());
            if wait.is_none() {
                break;
            }
            self.wait(wait);
        }
    }

    fn reap_the_rest(&mut self) {
        while let Some(wait) = self.unreaped.reap() {
            self.wait(Some(wait));
        }
    }
}

impl Drop for Supervisor {
    /// Leaves no process unreaped. There is none left after a run.
    fn drop(&mut self) {
        for mut worker in self.workers.drain(..).flatten() {
            worker.kill(None);
            self.unreaped.add(&self.epoll, worker.process);
        }
        self.reap_the_rest();
    }
}
