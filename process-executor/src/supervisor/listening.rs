//! What the supervisor listens to, and what is left when a worker, the pool, or the pool's descriptors are gone.

use super::Supervisor;
use super::epoll_data::END;
use super::wait::sooner;
use super::worker::Reason;
use executor_core::BrokenExecutor;
use process_core::Process;
use process_core::system::leave;
use rustix::event::epoll;
use rustix::fd::BorrowedFd;

impl Supervisor {
    /// Makes events of what a worker says, and of its end.
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

    /// Ends the pool after the program has closed its descriptors, as a program does that makes itself a daemon. What has their numbers
    /// now is left alone. The workers, whose connections have ended, end with the pool.
    pub(super) fn lose_files(&mut self) {
        self.has_lost_files = true;
        let advice = "make the pool after descriptors are closed, as in a program that makes itself a daemon";
        self.pool.break_down(BrokenExecutor::new("the program has closed the pool's descriptors", advice));
        if let Ok(other) = process_core::system::epoll() {
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

    /// Sees to what is left when the pool has ended: batches behind a waker that blocks, and processes. Nobody waits for this thread.
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
