//! [`Driver`]: how waiting threads fetch results of other processes themselves.
//!
//! An executor whose results lie in memory shared with its workers registers a [`Driver`]. A waiting thread asks it again and
//! again for as long as spinning is cheaper than sleeping, so a result passes from the worker to the waiter without a third
//! thread. A thread that goes to sleep listens to the workers' [doorbells](Doorbell), and fetches whenever one rings.

use crate::fork::PerProcess;
pub use crate::sync::futex_waitv::Doorbell;
use crate::sync::futex_waitv::{Woken, Word};
use crate::sync::{futex_waitv, spin};
use parking_lot::RwLock;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// The part of an executor that fetches results for threads that wait for them.
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
///     fn listen(&self, _doorbells: &mut Vec<Doorbell>) {}
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
    /// Called before a waiting thread spins.
    fn begin(&self);

    /// Fetches the results that are there, without waiting. Runs the results' `Deserialize`, and no other user code.
    fn fetch(&self);

    /// Called after a waiting thread has spun. It goes to sleep unless it has `found` what it waits for.
    fn end(&self, found: bool);

    /// Called before a waiting thread sleeps. Adds the doorbells that ring from now on when there is something to fetch, and
    /// fetches what came before, as `fetch` does.
    ///
    /// A doorbell that no thread hears must reach the executor otherwise. The thread may listen to all of them, to as many as
    /// the system allows (some 127), or to none; and it calls this again only if it has to sleep again.
    fn listen(&self, doorbells: &mut Vec<Doorbell>);
}

/// All drivers of this process.
#[derive(Default)]
struct Drivers {
    list: RwLock<Vec<Arc<dyn Driver>>>,
    /// The length of the list, to be read without the lock.
    count: AtomicUsize,
}

/// Most programs have no drivers.
static DRIVERS: PerProcess<Drivers> = PerProcess::new(Drivers::default);

impl Drivers {
    /// Returns the drivers of this process, if there are any.
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

/// The drivers at one moment. A single one, as most programs have, costs no allocation.
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

/// How a thread that listened to doorbells went on.
pub(crate) enum Heard {
    /// What it waits for is there.
    Done,
    TimedOut,
    /// There is nothing to listen to, or no way to: the thread has to sleep otherwise.
    Nothing,
}

/// Sleeps until what the calling thread waits for is there, and fetches whenever a doorbell rings.
///
/// `announce` says that the thread sleeps on `word`, and returns the word as it is then; `None` if what the thread waits for is
/// there.
pub(crate) fn listen(word: &impl Word, announce: impl Fn() -> Option<usize>, deadline: Option<Instant>) -> Heard {
    let Some(all) = Drivers::any() else { return Heard::Nothing };
    let mut doorbells = Vec::new();
    let mut heard = Woken::ByDoorbell;
    loop {
        if heard == Woken::ByDoorbell {
            doorbells.clear();
            // Not kept: a thread that sleeps must not keep alive an executor that ends meanwhile.
            All::of(all).each(|driver| driver.listen(&mut doorbells));
        }
        let Some(expected) = announce() else { return Heard::Done };
        // The system may find again and again that a doorbell has rung before it finds that the time is up.
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Heard::TimedOut;
        }
        heard = futex_waitv::sleep(word, expected, &doorbells, deadline);
        match heard {
            Woken::ByWord | Woken::ByDoorbell => {}
            Woken::TimedOut => return Heard::TimedOut,
            Woken::NotAsleep => return Heard::Nothing,
        }
    }
}

/// Like `spin::spin_until`, and fetches results meanwhile.
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
