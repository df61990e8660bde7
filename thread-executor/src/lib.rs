//! A thread pool behind the [`Executor`](executor_core::Executor) trait.
//!
//! ```text
//!  submit ─► room? ─► queue ──oldest──► worker ─► run ─► future
//!                      │ wakes a sleeper
//!                      └─ or starts a worker
//! ```
//! - All submitters append to one queue, and every worker takes the oldest task of it: no task waits behind a younger one,
//!   or behind one that runs, while a worker is free.
//! - Workers sleep without cost and are woken one at a time; a submit that finds no sleeper makes no system call.
//! - Workers hold the pool, not its handle. Closing the queue is what ends them.

mod sync;

mod counters;
mod idle;
mod ledger;
mod room;
mod settings;

mod deep_stack;
mod pool;
mod worker;

mod builder;
mod executor;
mod scope;

pub use builder::ThreadPoolBuilder;
pub use executor::ThreadPoolExecutor;
pub use scope::{Scope, ScopedFuture};

/// Wakes async waiters, whose wakers may be anybody's code: call it without a lock.
fn wake_all(wakers: Vec<std::task::Waker>) {
    for waker in wakers {
        // Reported by the panic hook if it panics; the others are woken all the same.
        let _ = executor_core::task::contain(|| waker.wake());
    }
}
