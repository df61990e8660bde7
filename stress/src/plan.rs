//! What a round is like, all of it drawn from the round's seed.

use std::fmt;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use process_executor::{ProcessPoolBuilder, ProcessPoolExecutor, TransportKind};
use thread_executor::ThreadPoolExecutor;

use crate::pool::Pool;
use crate::remote::{self, Leniency};
use crate::{leftovers, panics};

/// How the pools' lives end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    Drop,
    Wait,
    NoWait,
    WaitCancelling,
    NoWaitCancelling,
    TimeoutThenWait,
    Polled,
    /// Of processes.
    Terminate,
    /// Of processes.
    Kill,
}

const ENDINGS: [Ending; 9] = [
    Ending::Drop,
    Ending::Wait,
    Ending::NoWait,
    Ending::WaitCancelling,
    Ending::NoWaitCancelling,
    Ending::TimeoutThenWait,
    Ending::Polled,
    Ending::Terminate,
    Ending::Kill,
];

impl Ending {
    fn random(rng: &mut Rng) -> Self {
        let count = if remote::is_remote() { ENDINGS.len() } else { ENDINGS.len() - 2 };
        ENDINGS[rng.usize(..count)]
    }

    /// Returns whether it may keep accepted tasks from running.
    fn cancels(self) -> bool {
        matches!(self, Self::WaitCancelling | Self::NoWaitCancelling) || self.ends_workers()
    }

    fn ends_workers(self) -> bool {
        matches!(self, Self::Terminate | Self::Kill)
    }
}

/// What a round is like.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    workers: usize,
    capacity: Option<usize>,
    keep_alive: Option<Duration>,
    pub(crate) actors: usize,
    pub(crate) operations: usize,
    pub(crate) ending: Ending,
    /// The pools end so long after the actors began, and not after them.
    pub(crate) racing: Option<u64>,
    /// Another ending that then races with the first.
    pub(crate) rival: Ending,
    pub(crate) nested: bool,
    /// Tasks end their worker, and workers are killed.
    pub(crate) deadly: bool,
    /// Also before they are ready.
    pub(crate) wild: bool,
    processes: Option<Processes>,
}

/// What only pools of processes have.
#[derive(Debug)]
struct Processes {
    pools: usize,
    most_tasks: Option<u64>,
    run_timeout: Option<Duration>,
    transport: TransportKind,
    stop_grace: Option<Duration>,
    soft_memory_limit: bool,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let ending = Ending::random(&mut rng);
        let mut plan = Self {
            seed,
            workers: rng.usize(1..=4),
            capacity: rng.bool().then(|| [1, 2, 16][rng.usize(..3)]),
            keep_alive: rng.bool().then_some(Duration::from_millis(1)),
            actors: rng.usize(1..=4),
            operations: rng.usize(10..=300),
            ending,
            // A pool cannot be dropped while it is borrowed, so that ending has nothing to race with.
            racing: (ending != Ending::Drop && rng.bool()).then(|| rng.u64(0..5_000)),
            rival: Ending::random(&mut rng),
            nested: rng.bool(),
            deadly: false,
            wild: false,
            processes: None,
        };
        if remote::is_remote() {
            plan.make_processes(&mut rng);
        }
        plan
    }

    fn make_processes(&mut self, rng: &mut Rng) {
        // Processes take as long to start as threads for all of it.
        self.operations = self.operations / 2 + 1;
        self.racing = self.racing.map(|micros| 10 * micros);
        self.keep_alive = self.keep_alive.filter(|_| rng.u8(..3) == 0);
        self.deadly = rng.bool();
        self.wild = self.deadly && rng.u8(..4) == 0;
        self.processes = Some(Processes {
            pools: rng.usize(1..=3),
            most_tasks: (rng.u8(..4) == 0).then(|| rng.u64(1..20)),
            run_timeout: (rng.u8(..4) == 0).then(|| Duration::from_micros(rng.u64(100..20_000))),
            transport: [TransportKind::SharedMemory, TransportKind::IpcChannel][usize::from(rng.u8(..4) == 0)],
            stop_grace: rng.bool().then(|| Duration::from_micros(rng.u64(..3_000))),
            soft_memory_limit: rng.u8(..8) == 0,
        });
    }

    /// What may become of tasks through no fault of their own.
    pub(crate) fn leniency(&self) -> Leniency {
        let ends_workers = self.ending.ends_workers() || self.racing.is_some() && self.rival.ends_workers();
        Leniency {
            deaths: self.deadly || ends_workers,
            breakdowns: self.wild,
            limits: self.processes.as_ref().is_some_and(|processes| processes.run_timeout.is_some()),
        }
    }

    /// Returns whether accepted tasks have to run, unless their own submitters keep them from it.
    pub(crate) fn drains(&self) -> bool {
        let Leniency { deaths, breakdowns, limits } = self.leniency();
        let cancels = self.ending.cancels() || self.racing.is_some() && self.rival.cancels();
        !(cancels || deaths || breakdowns || limits)
    }

    pub(crate) fn build(&self) -> Vec<Arc<Pool>> {
        let Some(processes) = &self.processes else { return vec![Arc::new(Pool::of_threads(self.build_threads()))] };
        let build = |_| Arc::new(Pool::of_processes(self.build_processes(processes)));
        (0..processes.pools).map(build).collect()
    }

    fn build_threads(&self) -> ThreadPoolExecutor {
        let mut builder = ThreadPoolExecutor::builder().workers(self.workers);
        if let Some(capacity) = self.capacity {
            builder = builder.queue_capacity(capacity);
        }
        if let Some(keep_alive) = self.keep_alive {
            builder = builder.keep_alive(keep_alive);
        }
        builder.build().expect("the workers start")
    }

    fn build_processes(&self, processes: &Processes) -> ProcessPoolExecutor {
        let builder = Self::marked(ProcessPoolExecutor::builder(), self.seed);
        let mut builder = builder.workers(self.workers).transport(processes.transport);
        if let Some(capacity) = self.capacity {
            builder = builder.queue_capacity(capacity);
        }
        if let Some(keep_alive) = self.keep_alive {
            builder = builder.keep_alive(keep_alive);
        }
        if let Some(most) = processes.most_tasks {
            builder = builder.max_tasks_per_child(most);
        }
        if let Some(limit) = processes.run_timeout {
            builder = builder.run_timeout(limit);
        }
        if let Some(grace) = processes.stop_grace {
            builder = builder.stop_grace(grace);
        }
        if processes.soft_memory_limit {
            // Each worker is above it, and so is replaced all the time.
            builder = builder.soft_memory_limit(1);
        }
        builder.build().expect("a pool of processes")
    }

    /// A builder whose workers, and what they start, can be told by their environment.
    pub(crate) fn marked(builder: ProcessPoolBuilder, seed: u64) -> ProcessPoolBuilder {
        builder.env(leftovers::MARK, Self::mark(seed)).initializer(panics::initialize_worker)
    }

    /// What marks the processes of the round.
    pub(crate) fn mark(seed: u64) -> String {
        format!("{}-{seed}", process::id())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "round --seed {}: {} workers, capacity {:?}, keep-alive {:?}, {} actors x {} operations, nested {}, {:?}",
            self.seed,
            self.workers,
            self.capacity,
            self.keep_alive,
            self.actors,
            self.operations,
            self.nested,
            self.ending
        )?;
        match self.racing {
            Some(micros) => write!(f, " after {micros} us, racing with the actors and with {:?}", self.rival)?,
            None => write!(f, " after the actors")?,
        }
        if let Some(processes) = &self.processes {
            write!(f, "; deadly {}, wild {}, {processes:?}", self.deadly, self.wild)?;
        }
        Ok(())
    }
}
