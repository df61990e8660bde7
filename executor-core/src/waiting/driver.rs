//! Threads that wait for results from other processes fetch them themselves while they look, before they sleep.
//!
//! An executor whose results lie in memory shared with its workers enlists an [`Driver`]. A waiting thread then asks it
//! again and again, for the short while in which looking is cheaper than sleeping; so a result passes from the worker to
//! the waiter with nobody in between. When it goes to sleep, it listens to the workers' [bells](Doorbell), and fetches whenever
//! one rings.

use crate::fork::PerProcess;
pub use crate::sync::futex_waitv::Doorbell;
use crate::sync::futex_waitv::{Woken, Word};
use crate::sync::{futex_waitv, spin};
use parking_lot::RwLock;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// An executor that can be asked to fetch results.
///
/// ```
/// use executor_core::driver::{Driver, Doorbell, Registration};
/// use executor_core::{ExecutorExt, SerialExecutor};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
///
/// /// Has nothing to fetch, and counts how often it was asked.
/// #[derive(Default)]
/// struct Idle(AtomicUsize);
///
/// impl Driver for Idle {
///     fn begin(&self) {}
///     fn fetch(&self) {
///         self.0.fetch_add(1, Relaxed);
///     }
///     fn end(&self, _found: bool) {}
///     fn listen(&self, _bells: &mut Vec<Doorbell>) {}
/// }
///
/// let idle = Arc::new(Idle::default());
/// let registration = Registration::new(idle.clone());
/// // What is done already is not waited for.
/// assert_eq!(SerialExecutor::new().submit(u64::isqrt, 49)?.result()?, 7);
/// assert_eq!(idle.0.load(Relaxed), 0);
/// drop(registration);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Driver: Send + Sync {
    /// A thread begins to ask.
    fn begin(&self);

    /// Fetches what is there, without waiting for anything. Runs the results' `Deserialize`, no other user code.
    fn fetch(&self);

    /// The thread asks no more; unless it has `found` what it was waiting for, it goes to sleep.
    fn end(&self, found: bool);

    /// A thread is about to sleep: adds the bells that ring from now on when there is something to fetch, and fetches what
    /// came before. A bell that rings while nobody listens to it must reach somebody else: the thread may have as many as
    /// the system allows (some 127), or none, and it comes back only if it is to sleep again. As for `fetch`.
    fn listen(&self, bells: &mut Vec<Doorbell>);
}

/// All drivers of this process.
#[derive(Default)]
struct Drivers {
    list: RwLock<Vec<Arc<dyn Driver>>>,
    /// How many there are, for a look without the lock.
    count: AtomicUsize,
}

/// Most programs have none.
static DRIVERS: PerProcess<Drivers> = PerProcess::new(Drivers::default);

impl Drivers {
    /// Those of this process, if there are any.
    #[inline]
    fn any() -> Option<&'static Self> {
        DRIVERS.get_if_made().filter(|drivers| drivers.count.load(Ordering::Relaxed) > 0)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<dyn Driver>>)) {
        let mut list = self.list.write();
        change(&mut list);
        self.count.store(list.len(), Ordering::Relaxed);
    }
}

/// Keeps a driver registered until it is dropped.
pub struct Registration(Arc<dyn Driver>);

impl Registration {
    /// Registers a driver.
    #[must_use]
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        DRIVERS.get().change(|list| list.push(driver.clone()));
        Self(driver)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        DRIVERS.get().change(|list| list.retain(|driver| !Arc::ptr_eq(driver, &self.0)));
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registration")
    }
}

/// The drivers there are. Most programs have one; it costs no allocation.
struct All {
    first: Option<Arc<dyn Driver>>,
    others: Vec<Arc<dyn Driver>>,
}

impl All {
    fn of(drivers: &Drivers) -> Self {
        let all = drivers.list.read();
        Self { first: all.first().cloned(), others: all.get(1..).unwrap_or_default().to_vec() }
    }

    fn each(&self, ask: impl FnMut(&Arc<dyn Driver>)) {
        self.first.iter().chain(&self.others).for_each(ask);
    }
}

/// What became of a thread that listened.
pub(crate) enum Heard {
    /// What it waited for is there.
    Done,
    TimedOut,
    /// There is nothing to listen to, or no way to: it has to sleep otherwise.
    Nothing,
}

/// Sleeps until what the calling thread waits for is there, and fetches whenever a bell rings.
///
/// `announce` says that it sleeps on `word`, and gives the word as it is then; `None`: what it waits for is there.
pub(crate) fn listen(word: &impl Word, announce: impl Fn() -> Option<usize>, deadline: Option<Instant>) -> Heard {
    let Some(all) = Drivers::any() else { return Heard::Nothing };
    let mut bells = Vec::new();
    let mut heard = Woken::ByBell;
    loop {
        if heard == Woken::ByBell {
            bells.clear();
            // Not kept: an executor that ends meanwhile is not kept alive by who sleeps.
            All::of(all).each(|driver| driver.listen(&mut bells));
        }
        let Some(expected) = announce() else { return Heard::Done };
        // The system may find a bell that has rung before it finds that the time is up, again and again.
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Heard::TimedOut;
        }
        heard = futex_waitv::sleep(word, expected, &bells, deadline);
        match heard {
            Woken::ByWord | Woken::ByBell => {}
            Woken::TimedOut => return Heard::TimedOut,
            Woken::NotAsleep => return Heard::Nothing,
        }
    }
}

/// Like `spin::spin_until`, fetching results meanwhile.
pub(crate) fn spin_until(mut found: impl FnMut() -> bool) -> bool {
    let Some(all) = Drivers::any() else { return spin::spin_until(found) };
    if found() {
        return true;
    }
    let drivers = All::of(all);
    drivers.each(|driver| driver.begin());
    let success = spin::spin_until(|| {
        found() || {
            drivers.each(|driver| driver.fetch());
            found()
        }
    });
    drivers.each(|driver| driver.end(success));
    success
}
