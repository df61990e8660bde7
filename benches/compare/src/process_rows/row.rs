//! What a timed row of process pools is made of.

use crate::peers::{our_processes::TRANSPORTS, python};
use crate::rounds::Contender;
use process_executor::TransportKind;

pub(super) const PYTHON_EXECUTOR: &str = "CPython ProcessPoolExecutor";
pub(super) const PYTHON_POOL: &str = "CPython multiprocessing.Pool";
pub(super) const OUR_THREADS: &str = "our thread pool";

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
    pub(super) fn new(tasks: u64, ours: impl Fn(&'static str, TransportKind) -> Contender) -> Self {
        let contenders = TRANSPORTS.iter().map(|&(name, transport)| ours(name, transport)).collect();
        Self { tasks, contenders, absent: Vec::new(), note: None }
    }

    pub(super) fn with(mut self, peer: Contender) -> Self {
        self.contenders.push(peer);
        self
    }

    /// A script that takes so many tasks and further arguments.
    pub(super) fn with_python(mut self, name: &'static str, script: &'static str, arguments: Vec<u64>) -> Self {
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
    pub(super) const fn new(peer: &'static str, ratio: f64) -> Self {
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
