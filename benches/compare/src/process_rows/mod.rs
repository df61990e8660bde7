//! The timed rows of process pools: what each does, how often, and what each peer's ratio is to be.

mod busy;
mod large;
mod map_tiny;
mod map_uneven;
mod round_trip;
pub(crate) mod starts;
mod submits;

use crate::peers::{our_processes::TRANSPORTS, python};
use crate::rounds::Contender;
use process_executor::TransportKind;

const PYTHON_EXECUTOR: &str = "CPython ProcessPoolExecutor";
const PYTHON_POOL: &str = "CPython multiprocessing.Pool";
const OUR_THREADS: &str = "our thread pool";

/// A row ready to be timed: the pools are built, nothing has been timed.
pub(crate) struct Row {
    /// How many tasks one run of one contender does, if it does not say otherwise.
    pub(crate) tasks: u64,
    /// Ours first, then the peers.
    pub(crate) contenders: Vec<Contender>,
    /// Peers that cannot run here, and why.
    pub(crate) absent: Vec<(&'static str, String)>,
    /// What the reader has to know about this run of the row.
    pub(crate) note: Option<String>,
}

impl Row {
    /// A row with our contenders, one for each transport.
    fn new(tasks: u64, ours: impl Fn(&'static str, TransportKind) -> Contender) -> Self {
        let contenders = TRANSPORTS.iter().map(|&(name, transport)| ours(name, transport)).collect();
        Self { tasks, contenders, absent: Vec::new(), note: None }
    }

    fn with(mut self, peer: Contender) -> Self {
        self.contenders.push(peer);
        self
    }

    /// A script that takes so many tasks and further arguments.
    fn with_python(mut self, name: &'static str, script: &'static str, arguments: Vec<u64>) -> Self {
        match python::available() {
            Ok(()) => {
                self.with(Contender::measured_elsewhere(name, move || python::nanoseconds_per_task(script, &arguments)))
            }
            Err(reason) => {
                self.absent.push((name, reason));
                self
            }
        }
    }
}

/// What ours is to stay at or under, as a ratio to one peer.
pub(crate) struct Target {
    pub(crate) peer: &'static str,
    pub(crate) ratio: f64,
    /// A better ratio that is hoped for.
    pub(crate) aim: Option<f64>,
}

impl Target {
    const fn new(peer: &'static str, ratio: f64) -> Self {
        Self { peer, ratio, aim: None }
    }
}

/// A row by name, and its targets; peers without one are printed only.
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) targets: &'static [Target],
    /// Builds the row's pools; the factor shrinks its counts.
    pub(crate) build: fn(f64) -> Row,
}

/// All timed rows, in the order in which they run. Those that leave much memory behind come last: the system is busy for
/// seconds with it, in a virtual machine with giving it back to the host.
pub(crate) const ROWS: &[Spec] = &[
    Spec { name: "process_round_trip", targets: round_trip::TARGETS, build: round_trip::build },
    Spec { name: "process_submit_collect", targets: submits::TARGETS, build: submits::build },
    Spec { name: "process_map_tiny", targets: map_tiny::TARGETS, build: map_tiny::build },
    Spec { name: "process_map_uneven", targets: map_uneven::TARGETS, build: map_uneven::build },
    Spec { name: "busy_1ms", targets: busy::TARGETS, build: busy::build },
    Spec { name: "large_argument_16mib", targets: large::SHARED_TARGETS, build: large::shared_16 },
    Spec { name: "large_argument_256mib", targets: large::SHARED_TARGETS, build: large::shared_256 },
    Spec { name: "large_fresh_16mib", targets: &[], build: large::fresh_16 },
    Spec { name: "large_fresh_256mib", targets: &[], build: large::fresh_256 },
    Spec { name: "large_vec_16mib", targets: large::VEC_TARGETS, build: large::vec_16 },
    Spec { name: "large_vec_256mib", targets: large::VEC_TARGETS, build: large::vec_256 },
    Spec { name: "worker_start", targets: starts::TARGETS, build: starts::small },
    Spec { name: "worker_start_8gib", targets: starts::LARGE_TARGETS, build: starts::large },
];
