//! [`Job`]: a call as its worker sees it; and [`Progress`], by which the worker tells how far it has come.

use crate::output::Output;
use crate::panic::contain;
use std::any::Any;
use std::fmt;
use std::sync::atomic::AtomicU32;

/// Where a worker is with its task; it tells afterwards where the worker died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    /// The argument is being decoded.
    Decoding = 1,
    /// The function runs.
    Running = 2,
    /// The result is being encoded.
    Encoding = 3,
    /// The reply is complete, and the result is being dropped: whatever happens now, the reply counts.
    Dropping = 4,
}

impl Phase {
    /// Returns the phase of a number that another process wrote.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Decoding),
            2 => Some(Self::Running),
            3 => Some(Self::Encoding),
            4 => Some(Self::Dropping),
            _ => None,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decoding => "decoding the argument",
            Self::Running => "running",
            Self::Encoding => "encoding the result",
            Self::Dropping => "dropping the result",
        })
    }
}

/// The way by which a worker tells its parent how far a job has come. What it tells must be visible to the parent at once: the
/// worker may die at any instruction.
pub trait Progress {
    /// The job enters a phase.
    fn enter(&mut self, phase: Phase);

    /// The user's function has returned, or panicked. Does not return in a fork of the process that called it: what
    /// follows is that process's to do.
    fn returned(&mut self) {}

    /// The job is a chunk: next, the output asks its memory for a window for outcomes.
    fn begin_items(&mut self);

    /// An item of a chunk begins. Called only if the job is [timed](Job::timed).
    fn begin_item(&mut self);

    /// An item of a chunk is over, and all of its outcome is in the output. Returns false if the rest of the chunk is to be
    /// left, for instance because there is no room for another outcome.
    fn end_item(&mut self, output: &mut Output<'_>) -> bool;

    /// The output has the whole reply of a call, or of an item that has ended, and the result is dropped next: by code of the
    /// user, which may end the worker. Told only of results that have a destructor.
    fn begin_drop(&mut self, output: &mut Output<'_>) {
        let _ = output;
    }

    /// Returns whether the reply of a call leaves this process only when the job is over. Its result is then given to
    /// [`drop_later`](Self::drop_later).
    fn sends_later(&self) -> bool {
        false
    }

    /// Takes the result of a call, to be dropped once its reply was sent. Called only for results that have a destructor.
    fn drop_later(&mut self, result: Box<dyn Any>) {
        contain(|| drop(result));
    }

    /// The result of an item has been dropped.
    fn end_drop(&mut self) {}
}

/// A call in its worker: the input, and where the reply goes.
pub struct Job<'a> {
    /// The packed input.
    pub input: &'a [u8],
    /// The reply of a single call, or the outcomes of a chunk.
    pub output: Output<'a>,
    /// Not 0 once the holder of the call's future wants it to stop.
    pub stop: &'a AtomicU32,
    /// Says whether [`Progress::begin_item`] is called.
    pub timed: bool,
    /// The worker's name, for panics.
    pub worker: &'a str,
    /// What hears of the job's progress.
    pub progress: &'a mut dyn Progress,
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("input_bytes", &self.input.len()).finish_non_exhaustive()
    }
}
