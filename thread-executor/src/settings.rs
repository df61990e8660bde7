//! The settings of a pool.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Std's own default for threads.
pub(crate) const DEFAULT_STACK_SIZE: usize = 2 * 1024 * 1024;

/// Runs once in each worker, before its first task.
pub(crate) type Initializer = Box<dyn Fn() -> Result<(), Box<dyn Error + Send + Sync>> + Send + Sync>;

/// Runs once in each worker, after its last task.
pub(crate) type ExitHook = Box<dyn Fn() + Send + Sync>;

/// The settings of one pool, checked.
pub(crate) struct Settings {
    pub(crate) workers: usize,
    pub(crate) thread_name_prefix: String,
    pub(crate) stack_size: usize,
    pub(crate) initializer: Option<Initializer>,
    pub(crate) on_worker_exit: Option<ExitHook>,
    pub(crate) queue_capacity: Option<usize>,
    pub(crate) keep_alive: Option<Duration>,
}

impl Settings {
    pub(crate) fn thread_name(&self, index: usize) -> String {
        format!("{}_{index}", self.thread_name_prefix)
    }
}

/// Returns `ThreadPoolExecutor-<k>`, where k counts the pools of this process.
pub(crate) fn default_prefix() -> String {
    // Std's atomic, not the one of `sync`: a counter that no model needs to explore.
    static POOLS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    format!("ThreadPoolExecutor-{}", POOLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("workers", &self.workers)
            .field("thread_name_prefix", &self.thread_name_prefix)
            .field("stack_size", &self.stack_size)
            .field("queue_capacity", &self.queue_capacity)
            .field("keep_alive", &self.keep_alive)
            .finish_non_exhaustive()
    }
}
