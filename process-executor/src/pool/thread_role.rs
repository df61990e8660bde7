//! What a thread is to a pool: its supervisor, one of its callback threads, or a thread of the program.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which pool of this process: no two ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolId(NonZeroU64);

impl PoolId {
    /// Returns the identity of a new pool.
    pub(crate) fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(NonZeroU64::MIN.saturating_add(LAST.fetch_add(1, Ordering::Relaxed)))
    }
}

executor_core::local! {
    static IS_SUPERVISOR: Cell<bool> = Cell::new(false);
    /// The pool whose callbacks this thread runs.
    static CALLBACKS_OF: Cell<Option<PoolId>> = Cell::new(None);
}

/// Makes the calling thread a pool's supervisor, until it ends.
pub(crate) fn become_supervisor() {
    IS_SUPERVISOR.set(true);
}

/// Returns whether the calling thread is a pool's supervisor, which runs no user code.
pub(crate) fn is_supervisor() -> bool {
    IS_SUPERVISOR.get()
}

/// Makes the calling thread a callback thread of that pool, until it ends.
pub(crate) fn become_callback_thread_of(pool: PoolId) {
    CALLBACKS_OF.set(Some(pool));
}

/// Returns whether this thread runs callbacks of that pool: it must not wait for the pool's end, which waits for it.
pub(crate) fn runs_callbacks_of(pool: PoolId) -> bool {
    CALLBACKS_OF.get() == Some(pool)
}

/// Runs callbacks of that pool on this thread.
pub(crate) fn running_callbacks_of(pool: PoolId, run: impl FnOnce()) {
    struct Restore(Option<PoolId>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CALLBACKS_OF.set(self.0);
        }
    }
    let _before = Restore(CALLBACKS_OF.replace(Some(pool)));
    run();
}
