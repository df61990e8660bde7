//! Workers come: processes are started for the tasks that wait, and welcomed as they get their seats.

use super::Supervisor;
use super::transport::Opened;
use super::worker::{End, Worker};
use crate::dispatch::ring::Ring;
use crate::dispatch::seat::Seat;
use crate::supervisor::process::{self, Started, Welcome};
use process_core::NotStarted;
use process_core::start_error::{Calling, StartError};
use process_core::system::out_of_memory_kills;
use process_core::untrusted_file;
use process_core::waking::{ARMED, DoorbellWord};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How soon to look again whether what workers have sent is closed.
const LOOK_AT_CLOSING: Duration = Duration::from_millis(1);

impl Supervisor {
    /// Starts the workers that are wanted. Returns the time until the next try, if one is due.
    pub(super) fn start_workers(&mut self) -> Option<Duration> {
        if let Some(broken) = self.pool.halted() {
            // These were on their way in when that began.
            self.pool.end_queue(Some(&broken));
            return None;
        }
        let wanted = self.pool.with_dispatch(|dispatch, _| {
            let wanted = dispatch.still_wanted();
            // Until they have seats, no other thread can tell that there are processes.
            dispatch.starting = wanted > 0;
            wanted
        });
        if wanted == 0 {
            self.starts.forget_pause();
            return None;
        }
        let next = self.start_as_many(wanted);
        self.pool.with_dispatch(|dispatch, _| dispatch.starting = false);
        next
    }

    fn start_as_many(&mut self, mut wanted: usize) -> Option<Duration> {
        if let Some(left) = self.starts.left() {
            return Some(left);
        }
        while wanted > 0 {
            if untrusted_file::is_closing() {
                return Some(LOOK_AT_CLOSING);
            }
            let free = self.workers.iter().position(Option::is_none)?;
            if let Err(error) = self.start_worker(free) {
                return self.put_off_start(error);
            }
            wanted -= 1;
        }
        None
    }

    pub(super) fn start_worker(&mut self, index: usize) -> Result<(), StartError> {
        let Opened { worker_ends, start_relay } = self.transport.open().calling("socketpair")?;
        let entry = self.transport.entry();
        let started =
            process::start(entry, self.pool.settings(), self.pool.image(), index, &self.environment, &worker_ends);
        let Started { process, shared, link, welcome, credentials } =
            started.map_err(|NotStarted { error, process }| {
                process.into_iter().for_each(|process| self.unreaped.add(&self.epoll, process));
                error
            })?;
        DoorbellWord::set_all([shared.bell()].into_iter(), ARMED);
        let seated = self
            .listen_to(index, &process, link.socket())
            .calling("epoll_ctl")
            .and_then(|()| {
                start_relay.map(|start| start(&self.pool, index, &link).calling("pthread_create")).transpose()
            })
            .and_then(|relay| {
                let ring = Ring::new(Arc::new(shared));
                self.seat(index, Seat::new(ring, link.clone(), relay, process.pid(), credentials), &welcome)
            });
        let now = Instant::now();
        let mut worker = Worker {
            process,
            link,
            started: now,
            is_ready: false,
            ending: None,
            is_retiring: false,
            end: End::Nothing,
            position: None,
            dealt: 0,
            memory_looked_at: now,
            out_of_memory_kills: out_of_memory_kills(),
        };
        if let Err(error) = seated {
            self.listen_no_more(&worker.process, worker.link.socket());
            worker.kill(None);
            self.unreaped.add(&self.epoll, worker.process);
            return Err(error);
        }
        self.workers[index] = Some(worker);
        Ok(())
    }

    /// Welcomes a worker and gives it its seat, under one lock: whatever its initializer does, the pool lists it by then.
    fn seat(&mut self, index: usize, seat: Seat, welcome: &Welcome) -> Result<(), StartError> {
        let restart = self.used[index];
        let link = seat.link.clone();
        let mut seat = Some(seat);
        let welcomed = self.pool.with_dispatch(|dispatch, _| {
            welcome.send(&link).calling("sendmsg")?;
            dispatch.seats[index] = seat.take();
            dispatch.wanted = dispatch.wanted.saturating_sub(1);
            dispatch.stats.restarts += u64::from(restart);
            Ok(())
        });
        self.used[index] |= welcomed.is_ok();
        if let Some(relay) = seat.and_then(|seat| seat.relay) {
            // The worker was not welcomed: the relay has no task.
            let _ = relay.close();
        }
        welcomed
    }
}
