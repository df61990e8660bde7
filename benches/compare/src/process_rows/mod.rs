//! The timed rows of process pools: what each does, how often, and what each peer's ratio is to be.

mod busy;
mod large;
mod map_tiny;
mod map_uneven;
mod round_trip;
mod row;
pub(crate) mod starts;
mod submits;

use row::{OUR_THREADS, PYTHON_EXECUTOR, PYTHON_POOL};
pub(crate) use row::{Row, Spec, Target};

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
