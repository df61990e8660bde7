//! What is tested: a named way to build an executor, and what that executor can do.

use std::error::Error;

use executor_core::Executor;

/// What every worker runs before its first task. A plain function, so that a worker process can run it too.
pub type Initializer = fn() -> Result<(), String>;

/// What a case asks of the executor that is built for it; `None` leaves the subject's own choice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Config {
    /// How many workers.
    pub workers: Option<usize>,
    /// How many tasks may wait in the queue.
    pub queue_capacity: Option<usize>,
    /// What each worker runs first.
    pub initializer: Option<Initializer>,
}

/// What an executor can do, so that a case which needs more is listed as not applicable instead of silently passing.
#[derive(Debug, Clone, Copy)]
pub struct Traits {
    /// Tasks run elsewhere than in the submitting thread, so that one can be pending while the caller goes on.
    pub concurrent: bool,
    /// The most tasks it ever runs at once, whatever [`Config::workers`] says.
    pub max_workers: usize,
    /// The most tasks it ever holds in its queue if [`Config::queue_capacity`] is `None`; `usize::MAX` is unbounded.
    pub max_queue: usize,
    /// Honours [`Config::queue_capacity`].
    pub bounded: bool,
    /// Honours [`Config::workers`], and refuses zero.
    pub sized: bool,
    /// Honours [`Config::initializer`].
    pub initializer: bool,
    /// A task shares memory with the thread that submitted it.
    pub in_process: bool,
    /// Enforces the time limits of `TaskOptions`.
    pub time_limits: bool,
}

/// Builds an executor.
pub type Factory = fn(&Config) -> Result<Box<dyn Executor>, Box<dyn Error>>;

/// An executor under test.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// Shown in the report and in the names of scratch folders.
    pub name: &'static str,
    /// Builds a fresh executor for each case.
    pub factory: Factory,
    /// What such an executor can do.
    pub traits: Traits,
}

impl Subject {
    /// Builds a fresh executor. Panics if that fails, for the cases that expect it to start.
    pub(crate) fn build(&self, config: &Config) -> Box<dyn Executor> {
        match (self.factory)(config) {
            Ok(pool) => pool,
            Err(error) => panic!("{} could not be built with {config:?}: {error}", self.name),
        }
    }
}
