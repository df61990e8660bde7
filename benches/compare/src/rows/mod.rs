//! The timed rows: what each does, how often, and what it is to be measured against.

mod as_completed;
mod await_collect;
mod map_tiny;
pub(crate) mod map_uneven;
mod map_work;
mod nested;
mod row;
mod submits;

pub(crate) use map_work::churn;
pub(crate) use row::{Row, Spec, scaled, timed};

/// All timed rows, in the order in which they run.
pub(crate) const ROWS: &[Spec] = &[
    Spec { name: "submit_collect", target: 1.0, aim: Some(0.7), build: submits::submit_collect },
    Spec { name: "round_trip", target: 0.5, aim: None, build: submits::round_trip },
    Spec { name: "producers_4", target: 1.0, aim: None, build: submits::producers },
    Spec { name: "nested", target: 1.5, aim: None, build: nested::build },
    Spec { name: "map_tiny", target: 0.2, aim: None, build: map_tiny::build },
    Spec { name: "map_100us", target: 1.03, aim: None, build: map_work::build },
    Spec { name: "map_uneven", target: 1.15, aim: None, build: map_uneven::build },
    Spec { name: "as_completed_100k", target: 1.5, aim: None, build: as_completed::loop_alone },
    Spec { name: "as_completed_whole", target: 1.5, aim: None, build: as_completed::with_submits },
    Spec { name: "await_collect", target: 1.0, aim: None, build: await_collect::build },
];
