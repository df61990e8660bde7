//! A pool whose workers are no processes. One of two may write what it likes over the memory that it shares with the pool:
//! that must cost nobody else anything, and no task may be lost, or end twice.

use super::client::{self, Client, check, echo, message};
use super::worker::{self, Worker};
use super::{below, take};
use crate::dispatch::batch::Batch;
use crate::dispatch::entry::SMALL;
use crate::dispatch::seat::SeatState;
use crate::dispatch::whereabouts::Whereabouts;
use crate::pool::Pool;
use crate::protocol::layout::{BLOCK, INLINE, SLOTS};
use crate::settings::{Settings, TransportKind, WorkerOutput};
use crate::supervisor::Loss;
use crate::supervisor::ending::Ending;
use arbitrary::Unstructured;
use executor_core::remote::Remains;
use executor_core::task::{Owner, Task};
use executor_core::{
    Admission, BrokenExecutor, Death, Executor, ExecutorExt, Map, MapOptions, Rejected, Shutdown, TimedOut,
};
use process_core::image::Image;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Runs a pool: the first bytes are its settings, the others what happens to it.
///
/// # Panics
///
/// If a task is lost, runs twice or after it was cancelled, or is given what is not its own; if the pool's books are wrong in
/// the end.
pub fn ring(bytes: &[u8]) {
    let mut script = Unstructured::new(bytes);
    client::open_book();
    let handle = Handle::new(&mut script);
    Driver::new(&handle).run(&mut script);
}

/// Makes a pool for what only has to name one.
pub(super) fn some_pool() -> Arc<Pool> {
    static SOME: LazyLock<Arc<Pool>> = LazyLock::new(|| Handle::new(&mut Unstructured::new(&[])).pool);
    SOME.clone()
}

/// The pool without threads of its own.
struct Handle {
    pool: Arc<Pool>,
    owner: Box<Owner>,
}

impl Handle {
    fn new(script: &mut Unstructured<'_>) -> Self {
        let settings = Settings {
            restart_intensity: (1, Duration::ZERO),
            workers: WORKERS,
            initializer: None,
            transport: TransportKind::SharedMemory,
            most_tasks: if take::<u8>(script) & 1 == 0 { u64::MAX } else { 5 },
            run_limit: (take::<u8>(script) & 1 != 0).then_some(Duration::from_secs(1)),
            queue_capacity: (take::<u8>(script) & 1 != 0).then_some(6),
            environment: Vec::new(),
            current_dir: None,
            keep_alive: None,
            stdout: WorkerOutput::Inherit,
            stderr: WorkerOutput::Inherit,
            nice: 0,
            soft_memory_limit: None,
            hard_memory_limit: None,
            stop_grace: Duration::ZERO,
            start_timeout: Duration::MAX,
            worker_name_prefix: String::new(),
        };
        let image = Image::of_this_process().expect("it runs");
        let pool = Pool::new(settings, image).expect("there are descriptors");
        Self { owner: Box::new(Owner::new(pool.clone())), pool }
    }
}

impl Executor for Handle {
    fn submit_task(&self, task: Task, admission: Admission) -> Result<(), Rejected> {
        self.pool.submit(&raw const *self.owner, task, admission)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.pool.poll_ready(cx)
    }

    fn workers(&self) -> usize {
        WORKERS
    }

    fn shutdown(&self, how: Shutdown) {
        self.pool.shutdown(how);
    }

    fn shutdown_timeout(&self, limit: Duration) -> Result<(), TimedOut> {
        self.pool.shutdown_timeout(limit)
    }

    fn poll_shutdown(&self, how: Shutdown, cx: &mut Context<'_>) -> Poll<()> {
        self.pool.poll_shutdown(how, cx)
    }
}

const WORKERS: usize = 2;
/// The seat of the one that may write what it likes.
const WILD: usize = 0;
/// Inputs of one chunk.
const CHUNK: usize = 4;

type Inputs = std::iter::Map<Range<u64>, fn(u64) -> client::Message>;
type Outcomes<'e> = Map<'e, Handle, client::Message, client::Message, Inputs>;

struct Driver<'e> {
    handle: &'e Handle,
    workers: [Option<Worker>; WORKERS],
    clients: Vec<Client>,
    /// The numbers of each map's inputs, and the map.
    maps: Vec<(Range<u64>, Outcomes<'e>)>,
    /// What was collected and is not finished.
    batches: VecDeque<Batch>,
    /// The number of the next task.
    number: u64,
    good_workers: bool,
}

impl<'e> Driver<'e> {
    fn new(handle: &'e Handle) -> Self {
        Self {
            handle,
            workers: [const { None }; WORKERS],
            clients: Vec::new(),
            maps: Vec::new(),
            batches: VecDeque::new(),
            number: 1,
            good_workers: true,
        }
    }

    fn pool(&self) -> &'e Arc<Pool> {
        &self.handle.pool
    }

    fn run(mut self, script: &mut Unstructured<'_>) {
        (0..WORKERS).for_each(|index| self.start(index));
        while !script.is_empty() {
            self.step(script);
            self.check_books();
        }
        self.end();
    }

    /// Checks that what waits counts against the capacity, and nothing else does.
    fn check_books(&self) {
        self.pool().with_dispatch(|dispatch, _| {
            let queue = dispatch.queue.iter().filter(|entry| !entry.begun && !entry.is_at(Whereabouts::Revoked));
            let rings = dispatch.seats.iter().flatten().map(|seat| seat.ring.count_waiting());
            let waiting = queue.count() + rings.sum::<usize>();
            assert_eq!(
                (dispatch.capacity.used, dispatch.stats.queued),
                (waiting, waiting),
                "capacity taken, tasks queued"
            );
            let good = dispatch.seats[1 - WILD].as_ref().filter(|seat| seat.ring.depth() == 0);
            let kept = good.filter(|_| self.batches.is_empty()).map_or(0, |seat| seat.link.count_arrivals(None));
            assert_eq!(kept, 0, "memory of replies that are done with");
        });
    }

    fn step(&mut self, script: &mut Unstructured<'_>) {
        match below(script, 24) {
            0..3 => self.submit(script),
            3 => self.map(script),
            4..7 => self.with_client(script),
            7..10 => self.work(script),
            10..15 => self.spoil(script),
            15 | 16 => {
                let batch = self.collect();
                self.pool().finish(&mut { batch }, true);
            }
            17 => {
                let batch = self.collect();
                self.batches.push_back(batch);
            }
            18 => self.finish_oldest(),
            19 => self.deal(script),
            20 => self.look(script),
            21 => self.reap_worker(script),
            22 => self.start(below(script, WORKERS)),
            _ => self.leave(script),
        }
    }

    // The program.

    fn has_room(&self, tasks: usize) -> bool {
        self.pool().with_dispatch(|dispatch, _| {
            !dispatch.closed && dispatch.capacity.limit.is_none_or(|limit| dispatch.capacity.used + tasks <= limit)
        })
    }

    fn submit(&mut self, script: &mut Unstructured<'_>) {
        const LENGTHS: [usize; 6] = [0, 1, SMALL, INLINE, 1000, 40_000];
        let length = match take::<u8>(script) {
            255 => BLOCK + 1,
            length => LENGTHS[usize::from(length) % LENGTHS.len()],
        };
        if self.has_room(1) && self.clients.len() < 2 * SLOTS {
            let number = self.number;
            self.number += 1;
            let future = self.handle.submit(echo, message(number, length)).expect("there is room");
            self.clients.push(Client::new(number, length, future));
        }
    }

    fn map(&mut self, script: &mut Unstructured<'_>) {
        let count = 1 + below(script, 2 * CHUNK);
        if self.has_room(2) && self.maps.len() < SLOTS {
            let numbers = self.number..self.number + count as u64;
            self.number = numbers.end;
            let inputs: Inputs = numbers.clone().map(|number| message(number, 1));
            let options = MapOptions::new().chunk_size(CHUNK);
            self.maps.push((numbers, self.handle.map_with(options, echo, inputs)));
        }
    }

    fn with_client(&mut self, script: &mut Unstructured<'_>) {
        let what = below(script, 6);
        if self.clients.is_empty() {
            return;
        }
        let index = below(script, self.clients.len());
        match what {
            0..3 => self.clients[index].cancel(),
            3 => self.clients[index].stop(),
            4 => self.clients[index].ask(),
            _ => drop(self.clients.swap_remove(index)),
        }
    }

    // The workers.

    fn start(&mut self, index: usize) {
        if self.workers[index].is_none() {
            let (seat, worker) = worker::start(index == WILD);
            self.workers[index] = Some(worker);
            self.pool().with_dispatch(|dispatch, wakes| {
                dispatch.seats[index] = Some(seat);
                dispatch.deal(wakes);
            });
        }
    }

    fn work(&mut self, script: &mut Unstructured<'_>) {
        let Some(worker) = &mut self.workers[below(script, WORKERS)] else { return };
        match take::<u8>(script) {
            255 => worker.begin(),
            most => {
                worker.begin();
                worker.finish(u32::from(most % 8).max(1));
            }
        }
    }

    fn spoil(&mut self, script: &mut Unstructured<'_>) {
        let oldest = self
            .pool()
            .with_dispatch(|dispatch, _| dispatch.seats[WILD].as_ref().map_or(0, |seat| seat.ring.position()));
        let Some(worker) = &mut self.workers[WILD] else { return };
        self.good_workers = false;
        match below(script, 8) {
            0..4 => worker.spoil_state(oldest, script),
            4 | 5 => worker.spoil_slot(oldest, script),
            6 => worker.spoil_memory(script),
            _ => worker.say(script),
        }
    }

    // The parent.

    fn collect(&self) -> Batch {
        let mut batch = Batch::default();
        self.pool().with_dispatch(|dispatch, wakes| self.pool().gather(dispatch, &mut batch, wakes));
        assert!(batch.bytes.len() <= WORKERS * SLOTS * BLOCK);
        batch
    }

    fn finish_oldest(&mut self) {
        if let Some(mut batch) = self.batches.pop_front() {
            self.pool().finish(&mut batch, true);
        }
    }

    fn deal(&self, script: &mut Unstructured<'_>) {
        let index = below(script, WORKERS);
        self.pool().with_dispatch(|dispatch, wakes| match below(script, 4) {
            0 => dispatch.rescue(index, wakes),
            1 => {
                dispatch.take_back(index, below(script, 4));
            }
            2 => dispatch.drop_revoked(),
            _ => dispatch.deal(wakes),
        });
    }

    /// Looks at what the supervisor looks at.
    fn look(&self, script: &mut Unstructured<'_>) {
        let index = below(script, WORKERS);
        let in_hand = self.pool().in_hand();
        self.pool().with_dispatch(|dispatch, _| {
            let _ = dispatch.wants_to_leave(index, Some(Duration::ZERO), Instant::now(), in_hand);
            let _ = dispatch.stats();
            let Some(seat) = dispatch.seats[index].as_mut() else { return };
            if let Some(running) = seat.ring.running() {
                let _ = (running.limit(None), running.ran(), running.items, running.entry.stopping);
            }
            let _ = seat.ring.first_due(None);
            assert!(!seat.ring.is_corrupted() || (index == WILD && !self.good_workers));
            let _ = seat.link.read();
            assert!(seat.ring.first_reply(take(script)).len() <= BLOCK);
        });
    }

    /// Lets a worker die.
    fn reap_worker(&mut self, script: &mut Unstructured<'_>) {
        let index = below(script, WORKERS);
        let kind = take::<u8>(script);
        let ending = match kind {
            1 | 4 => Some(Ending::TimedOut(Duration::ZERO, take(script))),
            2 | 5 => Some(Ending::Stopped),
            3 | 6 => Some(Ending::Ordered),
            _ => None,
        };
        let may_run_on = matches!(kind, 4..=7);
        if self.workers[index].take().is_some() {
            let batch = self.drain_dead(index, ending.as_ref(), may_run_on);
            self.batches.push_back(batch);
        }
    }

    fn drain_dead(&self, index: usize, ending: Option<&Ending>, may_run_on: bool) -> Batch {
        let loss = Loss { expected: false, ending, remains: Remains::Nothing, may_run_on };
        self.pool().drain_dead(index, &loss, &|phase| Death::new(index, 0, "ended", format!("{phase:?}")))
    }

    /// Stops dealing tasks to a worker, or deals to it again; or ends the pool.
    fn leave(&self, script: &mut Unstructured<'_>) {
        let index = below(script, WORKERS);
        match below(script, 16) {
            0 => self.pool().shutdown(Shutdown::no_wait().cancel_futures()),
            1 => self.pool().shutdown(Shutdown::no_wait()),
            even => self.pool().with_dispatch(|dispatch, wakes| {
                if let Some(seat) = dispatch.seats[index].as_mut() {
                    seat.state = if even & 1 == 0 { SeatState::Leaving } else { SeatState::Ready };
                }
                dispatch.take_back(index, SLOTS);
                dispatch.deal(wakes);
            }),
        }
    }

    /// Lets all workers die, and ends what there is.
    fn end(mut self) {
        let broken = BrokenExecutor::new("the end", TimedOut::after(Duration::ZERO));
        self.pool().break_down(broken.clone());
        for index in 0..WORKERS {
            let batch = self.drain_dead(index, None, false);
            self.batches.push_back(batch);
        }
        // Each item of a chunk ends by itself.
        for _ in 0..=2 * CHUNK {
            self.pool().end_queue(Some(&broken));
            let callback_threads = self.pool().callback_threads();
            self.batches.extend(std::iter::from_fn(|| callback_threads.take()));
            while !self.batches.is_empty() {
                self.finish_oldest();
            }
        }
        let rest = self.collect();
        self.pool().finish(&mut { rest }, true);
        for client in self.clients {
            client.end(self.good_workers);
        }
        for (numbers, map) in self.maps {
            let count = numbers.clone().count();
            let outcomes: Vec<_> = map.collect();
            assert_eq!(outcomes.len(), count, "each input has an outcome");
            for (number, outcome) in numbers.zip(outcomes) {
                check(outcome, number, 1, self.good_workers);
            }
        }
        let pool = &self.handle.pool;
        assert_eq!(pool.in_hand(), 0, "tasks in hand");
        pool.with_dispatch(|dispatch, _| {
            assert!(dispatch.queue.is_empty() && dispatch.is_ended());
            assert_eq!((dispatch.capacity.used, dispatch.stats.queued), (0, 0), "capacity taken, tasks queued");
        });
    }
}
