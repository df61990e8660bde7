//! The supervisor's thread: starts workers, hears their bells, enforces limits, and sees to it that a worker's death costs one
//! task. It never runs user code and never waits for anything but its own events.
//!
//! ```text
//!  no process ──start──► starting ──Ready──► ready ──retire──► leaving ──end──► no process
//!                           │                  │                                  ▲
//!                           └── end: a failed start     end: a death ─────────────┘
//! ```

mod deaths;
pub(crate) mod environment;
mod last_rites;
mod limits;
mod reaping;
mod starts;
pub(crate) mod transport;
mod worker;

use crate::dispatch::batch::Batch;
use crate::dispatch::ring::Ring;
use crate::dispatch::seat::{Seat, SeatState};
use crate::exit_words::out_of_memory_kills;
use crate::link::Event;
use crate::pool::events::CALL;
use crate::pool::faults::FaultPoint;
use crate::pool::{Pool, thread_role};
use crate::process::{self, NotStarted, Started, Welcome};
use crate::start_error::{Calling, StartError};
use crate::untrusted_file;
use crate::waking::{ARMED, DoorbellWord};
#[cfg(any(test, fuzzing))]
pub(crate) use deaths::Loss;
use executor_core::BrokenExecutor;
use executor_core::remote::Initializer;
use executor_core::task::guarded;
pub(crate) use limits::Ending;
use reaping::Unreaped;
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use starts::Starts;
use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use transport::{Opened, Transport};
use worker::{Due, End, Reason, Worker};

/// How soon it is looked again whether what a worker has sent is closed.
const LOOK_AT_CLOSING: Duration = Duration::from_millis(1);

pub(crate) struct Supervisor {
    pool: Arc<Pool>,
    epoll: OwnedFd,
    transport: &'static dyn Transport,
    workers: Vec<Option<Worker>>,
    unreaped: Unreaped,
    environment: Vec<(OsString, OsString)>,
    starts: Starts,
    /// Which seats had a worker before.
    used: Vec<bool>,
    /// The program has closed the descriptors of the pool.
    has_lost_files: bool,
    fetches_seen: usize,
}

/// How often it is looked at least whether the program has closed the pool's descriptors. If it has, nobody can say so.
const LOOK_AT_FILES: Duration = Duration::from_secs(2);
/// If it has, how often it is looked what is left to be done.
const LOOK_WITHOUT_FILES: Duration = Duration::from_millis(10);

/// What an epoll event is about.
/// A process of which nothing else is left has ended.
const UNREAPED: u64 = u64::MAX - 1;
const END: u64 = 1 << 32;

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

    /// Until the pool has ended.
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
            sooner(&mut wait, self.pool.settle_bells(&mut self.fetches_seen));
            if self.collect() {
                wait = Some(Duration::ZERO);
            }
            let wait = self.pool.with_dispatch(|dispatch, _| dispatch.next_wakeup.end(wait));
            self.wait(wait);
        }
    }

    /// Sleeps until something happens, and notes what.
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

    /// What a worker said may have been read by a thread that looked for memory of its.
    fn hear_what_others_read(&mut self) {
        for index in 0..self.workers.len() {
            if self.workers[index].as_ref().is_some_and(|worker| worker.link.has_news()) {
                self.hear(index);
            }
        }
    }

    /// Reads what a worker says.
    fn hear(&mut self, index: usize) {
        let Some(worker) = self.workers.get(index).and_then(Option::as_ref) else { return };
        for event in worker.link.read() {
            match event {
                Event::Ready { image, initializer } => self.welcome(index, image, initializer),
                Event::Failed { text } => {
                    let text = self.first_block(index, text);
                    self.end_worker(index, Ending::Failed(String::from_utf8_lossy(&text).into_owned()));
                }
                Event::Closed => self.lose_connection(index, Reason::Closed),
                Event::Refused(violation) => self.lose_connection(index, Reason::Violation(violation)),
            }
        }
    }

    /// Nothing more is read of what a worker says: the end of its process follows, or is brought about.
    fn lose_connection(&mut self, index: usize, why: Reason) {
        if let Some(worker) = self.workers[index].as_mut() {
            let _ = epoll::delete(&self.epoll, worker.link.socket());
            worker.lose_connection(why);
        }
    }

    /// What a worker wrote before its first task.
    fn first_block(&self, index: usize, length: u64) -> Vec<u8> {
        self.pool.with_dispatch(|dispatch, _| {
            dispatch.seats[index].as_ref().map(|seat| seat.ring.first_reply(length)).unwrap_or_default()
        })
    }

    /// A worker is ready, unless its initializer failed.
    fn welcome(&mut self, index: usize, image: u64, initializer: u64) {
        let identity = self.pool.image().identity();
        if image.to_le_bytes() != identity[..8] {
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

    /// Takes what workers have left, and lets couriers finish it. True if there was anything.
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

    // Workers come.

    /// Starts the workers that are wanted; gives the time until the next try, if one is due.
    fn start_workers(&mut self) -> Option<Duration> {
        if let Some(broken) = self.pool.halted() {
            // What was on its way in when that began.
            self.pool.end_queue(Some(&broken));
            return None;
        }
        let wanted = self.pool.with_dispatch(|dispatch, _| {
            let wanted = dispatch.still_wanted();
            // Until they have seats, nobody else can tell that there are processes.
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

    fn start_worker(&mut self, index: usize) -> Result<(), StartError> {
        let Opened { worker_ends, start_relay } = self.transport.open().calling("socketpair")?;
        let started = process::start(self.pool.settings(), self.pool.image(), index, &self.environment, worker_ends);
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

/// The sooner of two times; `None` is never.
fn sooner(wait: &mut Option<Duration>, other: Option<Duration>) {
    *wait = match (*wait, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
}

#[cfg(test)]
mod tests;
