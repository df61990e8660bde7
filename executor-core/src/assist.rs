//! Threads that wait for results from other processes fetch them themselves while they look, before they sleep.
//!
//! An executor whose results lie in memory shared with its workers enlists an [`Assistant`]. A waiting thread then asks it
//! again and again, for the short while in which looking is cheaper than sleeping; so a result passes from the worker to
//! the waiter with nobody in between. A thread that sleeps may be woken to finish the result it waits for itself
//! ([`Task::wake_waiter`](crate::task::Task::wake_waiter)).

use crate::spin;
use parking_lot::RwLock;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An executor that can be asked to fetch results.
///
/// ```
/// use executor_core::assist::{Assistant, Enlisted};
/// use executor_core::{ExecutorExt, SerialExecutor};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
///
/// /// Has nothing to fetch, and counts how often it was asked.
/// #[derive(Default)]
/// struct Idle(AtomicUsize);
///
/// impl Assistant for Idle {
///     fn begin(&self) {}
///     fn fetch(&self) {
///         self.0.fetch_add(1, Relaxed);
///     }
///     fn end(&self, _found: bool) {}
///     fn pick_up(&self) {}
/// }
///
/// let idle = Arc::new(Idle::default());
/// let enlisted = Enlisted::new(idle.clone());
/// // What is done already is not waited for.
/// assert_eq!(SerialExecutor::new().submit(u64::isqrt, 49)?.result()?, 7);
/// assert_eq!(idle.0.load(Relaxed), 0);
/// drop(enlisted);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Assistant: Send + Sync {
    /// A thread begins to ask.
    fn begin(&self);

    /// Fetches what is there, without waiting for anything. Runs the results' `Deserialize`, no other user code.
    fn fetch(&self);

    /// The thread asks no more; unless it has `found` what it was waiting for, it goes to sleep now.
    fn end(&self, found: bool);

    /// A thread was woken before what it waits for was there: finishes what was left for it. As for `fetch`.
    fn pick_up(&self);
}

/// All assistants of this process.
static ASSISTANTS: RwLock<Vec<Arc<dyn Assistant>>> = RwLock::new(Vec::new());
/// How many there are, for a look without the lock: most programs have none.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Keeps an assistant enlisted until it is dropped.
///
/// See the example of [`Assistant`].
pub struct Enlisted(Arc<dyn Assistant>);

impl Enlisted {
    /// Enlists an assistant.
    ///
    /// See the example of [`Assistant`].
    #[must_use]
    pub fn new(assistant: Arc<dyn Assistant>) -> Self {
        let mut assistants = ASSISTANTS.write();
        assistants.push(assistant.clone());
        COUNT.store(assistants.len(), Ordering::Relaxed);
        Self(assistant)
    }
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        let mut assistants = ASSISTANTS.write();
        assistants.retain(|assistant| !Arc::ptr_eq(assistant, &self.0));
        COUNT.store(assistants.len(), Ordering::Relaxed);
    }
}

impl fmt::Debug for Enlisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Enlisted")
    }
}

/// The assistants there are. Most programs have one; it costs no allocation.
struct All {
    first: Option<Arc<dyn Assistant>>,
    others: Vec<Arc<dyn Assistant>>,
}

impl All {
    fn now() -> Self {
        let all = ASSISTANTS.read();
        Self { first: all.first().cloned(), others: all.get(1..).unwrap_or_default().to_vec() }
    }

    fn each(&self, ask: impl FnMut(&Arc<dyn Assistant>)) {
        self.first.iter().chain(&self.others).for_each(ask);
    }
}

/// Picks up what was left for the calling thread, which was woken early.
pub(crate) fn pick_up() {
    if COUNT.load(Ordering::Relaxed) > 0 {
        All::now().each(|assistant| assistant.pick_up());
    }
}

/// As `spin::look`, fetching results meanwhile.
pub(crate) fn look(mut found: impl FnMut() -> bool) -> bool {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return spin::look(found);
    }
    if found() {
        return true;
    }
    let assistants = All::now();
    assistants.each(|assistant| assistant.begin());
    let success = spin::look(|| {
        found() || {
            assistants.each(|assistant| assistant.fetch());
            found()
        }
    });
    assistants.each(|assistant| assistant.end(success));
    success
}
