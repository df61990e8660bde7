//! The cases by theme. Each file's `CASES` is its table of contents; the functions follow in the same order.

mod async_use;
mod callback_place;
mod callbacks;
mod cancel;
mod capacity;
mod completed;
mod failure;
mod future;
mod map_end;
mod map_uneven;
mod mapping;
mod nested;
mod outcome;
mod shutdown;
mod shutdown_race;
mod stop;
mod submit;
mod support;
mod waiting;
mod workers;

use crate::case::Case;

/// Every theme, from what needs no executor to what needs all of one.
pub(crate) const THEMES: &[&[Case]] = &[
    future::CASES,
    outcome::CASES,
    cancel::CASES,
    stop::CASES,
    callbacks::CASES,
    callback_place::CASES,
    waiting::CASES,
    completed::CASES,
    submit::CASES,
    failure::CASES,
    capacity::CASES,
    mapping::CASES,
    map_end::CASES,
    map_uneven::CASES,
    workers::CASES,
    nested::CASES,
    shutdown::CASES,
    shutdown_race::CASES,
    async_use::CASES,
];
