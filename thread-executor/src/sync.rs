//! Atomics, locks and threads, which a model checker replaces here.

#[cfg(not(any(loom, shuttle)))]
pub(crate) use self::native::{AtomicU64, AtomicUsize, Condvar, Mutex, Ordering, fence, thread};

#[cfg(loom)]
pub(crate) use self::loom_model::{AtomicU64, AtomicUsize, Condvar, Mutex, Ordering, fence, thread};

#[cfg(shuttle)]
pub(crate) use self::shuttle_model::{AtomicU64, AtomicUsize, Condvar, Mutex, Ordering, fence, thread};

#[cfg(not(any(loom, shuttle)))]
mod native {
    pub(crate) use parking_lot::{Condvar, Mutex};
    pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
    pub(crate) use std::thread;
}

#[cfg(any(loom, shuttle))]
macro_rules! model {
    ($name:ident, $checker:ident) => {
        mod $name {
            use std::ops::{Deref, DerefMut};
            use std::sync::PoisonError;
            use std::time::Instant;
            pub(crate) use $checker::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
            pub(crate) use $checker::thread;

            /// `parking_lot::Mutex`'s shape over the checker's.
            pub(crate) struct Mutex<T>($checker::sync::Mutex<T>);

            /// `inner` is `None` only while a condition variable waits with it.
            pub(crate) struct MutexGuard<'a, T> {
                mutex: &'a Mutex<T>,
                inner: Option<$checker::sync::MutexGuard<'a, T>>,
            }

            impl<T> Mutex<T> {
                pub(crate) fn new(value: T) -> Self {
                    Self($checker::sync::Mutex::new(value))
                }

                pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
                    let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                    MutexGuard { mutex: self, inner: Some(inner) }
                }
            }

            impl<T> Deref for MutexGuard<'_, T> {
                type Target = T;

                fn deref(&self) -> &T {
                    self.inner.as_ref().expect("held")
                }
            }

            impl<T> DerefMut for MutexGuard<'_, T> {
                fn deref_mut(&mut self) -> &mut T {
                    self.inner.as_mut().expect("held")
                }
            }

            /// `parking_lot::Condvar`'s shape over the checker's.
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
                    let inner = guard.inner.take().expect("held");
                    guard.inner = Some(self.0.wait(inner).unwrap_or_else(PoisonError::into_inner));
                }

                /// A model has no clock: the time is up as soon as other threads have had a chance to run.
                pub(crate) fn wait_until<T>(
                    &self,
                    guard: &mut MutexGuard<'_, T>,
                    _deadline: Instant,
                ) -> WaitTimeoutResult {
                    guard.inner = None;
                    thread::yield_now();
                    guard.inner = guard.mutex.lock().inner.take();
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
