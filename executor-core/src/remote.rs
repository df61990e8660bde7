//! Tasks that run in other processes, on the side of the parent: how the work of a task crosses, and how its outcome comes back.
//! For authors of executors.
//!
//! ```text
//!  parent                                        ║ worker
//!  Task ── pack ──► function + input bytes ──────║──► Trampoline::run(code, Job { input, .. })
//!    ▲                                           ║      decode, call, encode
//!  finish(Reply, Cause) ◄── reply bytes ◄────────║──◄ reply
//! ```
//! A portable task is a plain function and a value that serde carries. The function is named by two addresses of the
//! executable both processes run: its own, and that of a [`Trampoline`] made for its types, which knows how to decode the
//! argument, call the function and encode the result. What comes back is data only.
//!
//! An executor whose worker is the submitting thread itself:
//!
//! ```
//! use executor_core::remote::{Cause, Job, Output, Phase, Progress, Reply};
//! use executor_core::task::{Dequeued, Owner, Task, TaskOwner};
//! use executor_core::{Admission, Executor, ExecutorExt, Rejected, Shutdown, TimedOut};
//! use std::sync::{Arc, atomic::AtomicU32};
//! use std::task::{Context, Poll, Waker};
//! use std::time::Duration;
//!
//! /// Counts the items of a chunk that are over.
//! struct Items(usize);
//!
//! impl Progress for Items {
//!     fn enter(&mut self, _phase: Phase) {}
//!     fn begin_items(&mut self) {}
//!     fn begin_item(&mut self) {}
//!     fn end_item(&mut self, _output: &mut Output<'_>) -> bool {
//!         self.0 += 1;
//!         true
//!     }
//! }
//!
//! struct NoQueue;
//!
//! impl TaskOwner for NoQueue {
//!     fn task_dequeued(&self, _how: Dequeued) -> Vec<Waker> {
//!         Vec::new()
//!     }
//! }
//!
//! struct Here(Owner);
//!
//! impl Executor for Here {
//!     fn submit_task(&self, task: Task, _admission: Admission) -> Result<(), Rejected> {
//!         // SAFETY: the owner outlives the task, which is ended here.
//!         if !task.is_portable() || !unsafe { task.set_remote_owner(&raw const self.0) } {
//!             return Ok(()); // its future ends with it
//!         }
//!         // The parent: the input goes to the worker,
//!         let mut input = Vec::new();
//!         let function = match task.pack(&mut Output::new(&mut input)) {
//!             Ok(function) => function,
//!             Err(cause) => return Ok(drop(task.finish(Reply::NONE, cause, &|_| {}))),
//!         };
//!         // which runs the function,
//!         let (mut reply, mut items, stop) = (Vec::new(), Items(0), AtomicU32::new(0));
//!         let output = Output::new(&mut reply);
//!         let mut job =
//!             Job { input: &input, output, stop: &stop, timed: false, worker: "here", progress: &mut items };
//!         assert!(function.trampoline.is_genuine());
//!         // SAFETY: trampoline and function come from one task.
//!         unsafe { function.trampoline.run(function.code, &mut job) };
//!         drop(job);
//!         // and the reply comes back.
//!         task.finish(Reply { bytes: &reply, items: items.0, ..Reply::NONE }, Cause::Replied, &|_| {});
//!         Ok(())
//!     }
//!     // All else is as for an executor without a queue.
//! #   fn poll_ready(&self, _cx: &mut Context<'_>) -> Poll<()> { Poll::Ready(()) }
//! #   fn workers(&self) -> usize { 1 }
//! #   fn shutdown(&self, _how: Shutdown) {}
//! #   fn shutdown_timeout(&self, _limit: Duration) -> Result<(), TimedOut> { Ok(()) }
//! #   fn poll_shutdown(&self, _how: Shutdown, _cx: &mut Context<'_>) -> Poll<()> { Poll::Ready(()) }
//! }
//!
//! let here = Here(Owner::new(Arc::new(NoQueue)));
//! assert_eq!(here.submit(u64::isqrt, 81)?.result()?, 9);
//! assert!(here.submit(|divisor: u32| 10 / divisor, 0)?.result().unwrap_err().is_panic());
//! assert_eq!(here.map(u64::isqrt, [4, 9, 16]).filter_map(Result::ok).sum::<u64>(), 9);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The bytes themselves, and the worker's side, are those of `executor_wire`.

pub use crate::cell::owner::Token;
use crate::cell::owner::{Ended, Owner};
pub use crate::cell::remote_work::{Cause, Reply};
use crate::cell::task::Task;
use crate::cell::transition::Owned;
pub use crate::info::Remains;
pub use crate::map::pace::Pace;
use crate::map::pace::part_size;
pub use executor_wire::codec::serializing_once;
use executor_wire::items::{count_items, cut_items};
pub use executor_wire::items::{refuse_item, skip_items};
pub use executor_wire::reply::{is_value, push_codec_error as write_codec_error};
pub use executor_wire::{
    Function, Initializer, InitializerError, Job, Memory, Output, Phase, Progress, Trampoline, Window,
};
use std::time::Duration;

/// The rest of a chunk of which some items are over.
#[derive(Debug)]
pub struct Rest {
    /// The task, still to be ended.
    pub task: Task,
    /// How many items of its input are over: [`skip_items`] takes them off the bytes.
    pub over: usize,
}

/// A part that was cut off a chunk: a remote task of its own, of the same executor.
#[derive(Debug)]
pub struct Part {
    /// The task. It has not begun.
    pub task: Task,
    /// Its packed input.
    pub input: Vec<u8>,
}

impl Rest {
    /// Cuts the rest into parts, of which the chunk keeps the first, and returns the others: each about a chunk's worth, and at
    /// least so many that `idle` more workers have one. `input` is the input of the rest, `elapsed` how long the items took that are
    /// over.
    ///
    /// Call it before a worker has the rest.
    pub fn share(&self, input: &mut Vec<u8>, elapsed: Duration, idle: usize) -> Vec<Part> {
        let cell = self.task.cell();
        let split = cell.header().vtable.remote.and_then(|remote| remote.split);
        let mut parts = Vec::new();
        let Some(split) = split.filter(|_| !cell.header().is_stop_requested()) else { return parts };
        let size = part_size(count_items(input), self.over, elapsed, idle);
        for (items, bytes) in cut_items(input, size).into_iter().rev() {
            // SAFETY: a live cell of the vtable's types, whose work is ours while the task is remote.
            let task = unsafe { split(cell.pointer(), items) };
            parts.extend(task.map(|task| Part { task, input: bytes }));
        }
        parts.reverse();
        parts
    }
}

/// The parent's side of a task that runs in another process.
impl Task {
    /// Returns whether the work of the task can cross: that of `submit` and `map` can, a closure cannot.
    #[must_use]
    pub fn is_portable(&self) -> bool {
        self.cell().header().vtable.remote.is_some()
    }

    /// Returns whether the task is a chunk of `map`, whose items have outcomes of their own.
    #[must_use]
    pub fn has_items(&self) -> bool {
        self.cell().header().vtable.remote.is_some_and(|remote| remote.has_items)
    }

    /// Like [`set_owner`](Self::set_owner), for an executor that runs the task in another process: from now on the task
    /// is remote, and the owner is asked before it is cancelled.
    ///
    /// # Safety
    /// `owner` stays alive and at its address until the task was ended by [`finish`](Self::finish),
    /// [`fail`](Self::fail) or drop, none of which may be called under a lock that the owner's methods take.
    #[must_use = "false means that the task was cancelled"]
    pub unsafe fn set_remote_owner(&self, owner: *const Owner) -> bool {
        self.cell().header().set_owner(owner, true) == Owned::Waiting
    }

    /// Returns the word by which the executor knows a remote task.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.cell().header().token
    }

    /// Appends the encoding of the input to `bytes`, and drops the input. Both are user code, whose panics are caught. Call it once,
    /// for a portable task that is remote.
    ///
    /// # Errors
    ///
    /// What the input's `Serialize` said. Finish the task with it.
    ///
    /// # Panics
    ///
    /// If the task is not portable.
    pub fn pack(&self, bytes: &mut Output<'_>) -> Result<Function, Cause> {
        let cell = self.cell();
        let remote = cell.header().vtable.remote.expect("the task is portable");
        // SAFETY: a live cell of the vtable's types; REMOTE makes its work ours.
        unsafe { (remote.pack)(cell.pointer(), bytes) }.map_err(|(phase, text)| Cause::Codec(phase, text))
    }

    /// Returns whether the task is still to be run: it was not cancelled and has not expired.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.cell().header().is_pending()
    }

    /// Returns whether the holder of its future has asked the task to stop.
    #[must_use]
    pub fn is_stop_requested(&self) -> bool {
        self.cell().header().is_stop_requested()
    }

    /// Returns whether ending the task runs user code of those who wait: callbacks, or an async task's waker.
    #[must_use]
    pub fn has_listeners(&self) -> bool {
        self.cell().header().load().has_user_listeners()
    }

    /// Returns the limit on the task's run, if it has one.
    #[must_use]
    pub fn run_limit(&self) -> Option<Duration> {
        self.cell().header().options()?.run_limit()
    }

    /// Returns how many deaths of its worker the task survives.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.cell().header().options().map_or(0, crate::options::TaskOptions::retry_limit)
    }

    /// Ends the task with the reply and the cause of its end. Of a chunk, takes in the items that are over, and returns the rest, if
    /// items are left.
    ///
    /// `on_end` hears how the task ended, just before the future shows it; nothing if it was cancelled or has expired before. The
    /// result's `Deserialize`, and callbacks and wakers of the future, run on this thread; panics are caught.
    pub fn finish(self, reply: Reply<'_>, cause: Cause, on_end: &dyn Fn(Ended)) -> Option<Rest> {
        let header = self.cell().header();
        // A task of which a part has run has begun for its owner, but is pending and REMOTE here until it is over.
        if !header.is_pending() || header.vtable.remote.is_none() {
            return None;
        }
        let finish = header.vtable.remote.map(|remote| remote.finish)?;
        // SAFETY: the types are the cell's, and the work is ours while the task is remote.
        let (cell, over) = unsafe { finish(self.into_cell(), reply, cause, on_end) }?;
        Some(Rest { task: Self::from_cell(cell), over })
    }
}
