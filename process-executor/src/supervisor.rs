//! The supervisor's thread starts workers, hears their doorbells, enforces limits, and sees to it that a worker's death costs one
//! task. It never runs user code and never waits for anything but its own events.
//!
//! ```text
//!  no process ──start──► starting ──Ready──► ready ──retire──► leaving ──end──► no process
//!                           │                  │                                  ▲
//!                           └── end: a failed start     end: a death ─────────────┘
//! ```

mod deaths;
pub(crate) mod ending;
pub(crate) mod environment;
mod epoll_data;
mod failed_starts;
mod last_rites;
mod limits;
mod listening;
pub(crate) mod process;
mod starting;
mod starts;
pub(crate) mod transport;
mod unreaped;
mod wait;
mod worker;

use crate::dispatch::batch::Batch;
use crate::dispatch::seat::SeatState;
use crate::link::Event;
use crate::pool::events::CALL;
use crate::pool::faults::FaultPoint;
use crate::pool::{Pool, thread_role};
#[cfg(any(test, fuzzing))]
pub(crate) use deaths::Loss;
use ending::Ending;
use epoll_data::{END, UNREAPED};
use executor_core::BrokenExecutor;
use executor_core::remote::Initializer;
use executor_core::task::guarded;
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use starts::Starts;
use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use transport::Transport;
use unreaped::Unreaped;
use wait::sooner;
use worker::{Reason, Worker};

pub(crate) struct Supervisor {
    pool: Arc<Pool>,
    epoll: OwnedFd,
    transport: &'static dyn Transport,
    workers: Vec<Option<Worker>>,
    unreaped: Unreaped,
    environment: Vec<(OsString, OsString)>,
    starts: Starts,
    /// The seats that have had a worker before.
    used: Vec<bool>,
    /// The program has closed the descriptors of the pool.
    has_lost_files: bool,
    fetches_seen: usize,
}

/// How often to check at least whether the program has closed the pool's descriptors. After that nobody can call the supervisor.
const LOOK_AT_FILES: Duration = Duration::from_secs(2);
/// How often to look for work once the descriptors are gone.
const LOOK_WITHOUT_FILES: Duration = Duration::from_millis(10);

impl Supervisor {
    pub(crate) fn new(
        pool: Arc<Pool>,
        transport: &'static dyn Transport,
        environment: Vec<(OsString, OsString)>,
    ) -> io::Result<Self> {
        let epoll = pool.events().epoll().try_clone_to_owned()?;
        let seats = pool.settings().workers;
        Ok(Self {
            pool,
            epoll,
            transport,
            workers: (0..seats).map(|_| None).collect(),
            unreaped: Unreaped::default(),
            environment,
            starts: Starts::default(),
            used: vec![false; seats],
            has_lost_files: false,
            fetches_seen: 0,
        })
    }

    pub(crate) fn run(mut self) {
        thread_role::become_supervisor();
        if let Err(broken) = guarded("supervisor", || self.supervise()) {
            self.give_last_rites(broken);
        }
        self.pool.announce_end();
        self.pool.callback_threads().close();
        self.see_to_the_rest();
    }

    /// Supervises until the pool has ended.
    fn supervise(&mut self) {
        loop {
            self.pool.may_panic_at(FaultPoint::Supervisor);
            self.pool.with_dispatch(|dispatch, _| dispatch.next_wakeup.begin());
            self.collect();
            let mut wait = self.pool.look_after_callbacks();
            sooner(&mut wait, self.start_workers());
            sooner(&mut wait, self.look_at_workers());
            sooner(&mut wait, self.unreaped.reap());
            if self.pool.is_stopping() {
                self.pool.end_queue(self.pool.broken());
            }
            if self.pool.is_ended() {
                break;
            }
            sooner(&mut wait, self.pool.settle_doorbells(&mut self.fetches_seen));
            if self.collect() {
                wait = Some(Duration::ZERO);
            }
            let wait = self.pool.with_dispatch(|dispatch, _| dispatch.next_wakeup.end(wait));
            self.wait(wait);
        }
    }

    /// Sleeps until something happens, and sees to it.
    fn wait(&mut self, limit: Option<Duration>) {
        let mut space = [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 64];
        if self.has_lost_files {
            return std::thread::park_timeout(limit.unwrap_or(LOOK_WITHOUT_FILES).min(LOOK_WITHOUT_FILES));
        }
        let limit = Some(limit.unwrap_or(LOOK_AT_FILES).min(LOOK_AT_FILES));
        // A limit is met, not missed by the part of a millisecond that rounding cuts off.
        let limit = limit.and_then(|limit| limit.try_into().ok());
        let is_ours = || self.pool.events().are_in(&self.epoll);
        let count = if is_ours() { epoll::wait(&self.epoll, &mut space[..], limit.as_ref()) } else { Err(Errno::BADF) };
        let count = match count {
            // The program may have closed them meanwhile.
            Ok(count) if is_ours() => count,
            Err(Errno::INTR) => return,
            Ok(_) | Err(_) => return self.lose_files(),
        };
        for event in &space[..count] {
            match event.data.u64() {
                CALL => self.hear_what_others_read(),
                // What has ended is reaped with each look.
                UNREAPED => {}
                data if data & END != 0 => self.reap_worker((data & !END) as usize),
                data => self.hear(data as usize),
            }
        }
    }

    /// Hears workers whose sockets were read by threads that looked for memory of theirs.
    fn hear_what_others_read(&mut self) {
        for index in 0..self.workers.len() {
            if self.workers[index].as_ref().is_some_and(|worker| worker.link.has_news()) {
                self.hear(index);
            }
        }
    }

    /// Reads what a worker says, and acts on it.
    fn hear(&mut self, index: usize) {
        let Some(worker) = self.workers.get(index).and_then(Option::as_ref) else { return };
        for event in worker.link.read() {
            match event {
                Event::Ready { image, initializer } => self.welcome(index, image, initializer),
                Event::Failed { text } => {
                    let text = self.first_block(index, text);
                    self.end_worker(index, Ending::Failed(String::from_utf8_lossy(&text).into_owned()));
                }
                Event::NotBegun(reason) => self.end_worker(index, Ending::Failed(reason)),
                Event::Closed => self.lose_connection(index, Reason::Closed),
                Event::Refused(violation) => self.lose_connection(index, Reason::Violation(violation)),
            }
        }
    }

    /// Reads no more of what a worker says: the end of its process follows, or is forced.
    fn lose_connection(&mut self, index: usize, why: Reason) {
        if let Some(worker) = self.workers[index].as_mut() {
            let _ = epoll::delete(&self.epoll, worker.link.socket());
            worker.lose_connection(why);
        }
    }

    /// Returns what a worker wrote before its first task.
    fn first_block(&self, index: usize, length: u64) -> Vec<u8> {
        self.pool.with_dispatch(|dispatch, _| {
            dispatch.seats[index].as_ref().map(|seat| seat.ring.first_reply(length)).unwrap_or_default()
        })
    }

    /// Takes a worker in that is ready, unless its initializer failed.
    fn welcome(&mut self, index: usize, image: u64, initializer: u64) {
        if image != self.pool.image().digest() {
            return self.end_worker(index, Ending::Failed("it runs another executable".to_owned()));
        }
        if self.pool.settings().initializer.is_some()
            && let Err(error) = Initializer::read_reply(&self.first_block(index, initializer))
        {
            let event = format!("the initializer of worker {index} failed");
            self.pool.break_down(BrokenExecutor::new(event, error));
            return self.end_worker(index, Ending::Unwanted);
        }
        if let Some(worker) = self.workers[index].as_mut() {
            worker.is_ready = true;
        }
        self.starts.succeed();
        self.pool.resume();
        self.pool.with_dispatch(|dispatch, wakes| {
            if let Some(seat) = dispatch.seats[index].as_mut() {
                seat.state = SeatState::Ready;
                seat.idle_since = Some(Instant::now());
            }
            dispatch.deal(wakes);
        });
    }

    /// Takes what workers have left, and has callback threads finish it. Returns whether there was anything.
    fn collect(&mut self) -> bool {
        let mut batch = Batch::default();
        self.pool.with_dispatch(|dispatch, wakes| self.pool.gather(dispatch, &mut batch, wakes));
        self.hand_over(batch)
    }

    fn hand_over(&self, batch: Batch) -> bool {
        let any = !batch.is_empty();
        if any {
            self.pool.callback_threads().push(batch);
        }
        any
    }
}

#[cfg(test)]
mod tests;
