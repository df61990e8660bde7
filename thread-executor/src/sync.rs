//! The one door to atomics, locks and threads, so that a model checker can stand in for them.

#[cfg(not(any(loom, shuttle)))]
pub(crate) use self::native::{AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, fence, thread};

#[cfg(loom)]
pub(crate) use self::loom_model::{AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, fence, thread};

#[cfg(shuttle)]
pub(crate) use self::shuttle_model::{AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, fence, thread};

#[cfg(not(any(loom, shuttle)))]
mod native {
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
    pub(crate) use std::thread;
}

#[cfg(any(loom, shuttle))]
macro_rules! model {
    ($name:ident, $checker:ident) => {
        mod $name {
            use std::time::Instant;
            pub(crate) use $checker::sync::MutexGuard;
            pub(crate) use $checker::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
            pub(crate) use $checker::thread;

            /// `parking_lot::Mutex`'s shape over the checker's.
            #[derive(Debug)]
            pub(crate) struct Mutex<T>($checker::sync::Mutex<T>);

            impl<T> Mutex<T> {
                pub(crate) fn new(value: T) -> Self {
                    Self($checker::sync::Mutex::new(value))
                }

                pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
                    self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
                }
            }

            /// `parking_lot::Condvar`'s shape over the checker's. A model has no clock: a timed wait is over at once.
            #[derive(Debug)]
            pub(crate) struct Condvar($checker::sync::Condvar);

            pub(crate) struct WaitTimeoutResult;

            impl WaitTimeoutResult {
                pub(crate) fn timed_out(&self) -> bool {
                    true
                }
            }

            impl Condvar {
                pub(crate) fn new() -> Self {
                    Self($checker::sync::Condvar::new())
                }

                pub(crate) fn notify_one(&self) {
                    self.0.notify_one();
                }

                pub(crate) fn notify_all(&self) {
                    self.0.notify_all();
                }

                pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
                    // SAFETY: the guard is moved out and back in before anyone can see the gap; the checker's wait does
                    // not unwind but to end the whole model.
                    unsafe {
                        let owned = std::ptr::read(guard);
                        let owned = self
                            .0
                            .wait(owned)
                            .unwrap_or_else(std::sync::PoisonError::into_inner);
                        std::ptr::write(guard, owned);
                    }
                }

                pub(crate) fn wait_until<T>(
                    &self,
                    guard: &mut MutexGuard<'_, T>,
                    _deadline: Instant,
                ) -> WaitTimeoutResult {
                    // SAFETY: as in `wait`: unlock, let others run, lock.
                    unsafe {
                        let owned = std::ptr::read(guard);
                        let (owned, _) = self
                            .0
                            .wait_timeout(owned, std::time::Duration::ZERO)
                            .unwrap_or_else(std::sync::PoisonError::into_inner);
                        std::ptr::write(guard, owned);
                    }
                    WaitTimeoutResult
                }
            }
        }
    };
}

#[cfg(loom)]
model!(loom_model, loom);
#[cfg(shuttle)]
model!(shuttle_model, shuttle);
