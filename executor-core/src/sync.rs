//! The door to the atomics, cells, locks and sleeping that model checkers explore.
//!
//! A normal build uses std's atomics and `parking_lot`; `--cfg loom` and `--cfg shuttle` swap in the checkers' types.
//! What no model explores uses `std::sync::atomic` itself: counters, flags that are read for a hint, words that other
//! processes share, and what is made once in a process.

pub(crate) mod futex_waitv;
pub(crate) mod spin;

#[cfg(not(any(loom, shuttle)))]
pub(crate) use self::native::{
    AtomicPtr, AtomicU64, AtomicUsize, Mutex, Ordering, UnsafeCell, hint, kept, local, parking, yield_now,
};

#[cfg(loom)]
pub(crate) use self::loom_model::{
    AtomicPtr, AtomicU64, AtomicUsize, Kept, Mutex, Ordering, UnsafeCell, hint, kept, local, parking, yield_now,
};

#[cfg(shuttle)]
pub(crate) use self::shuttle_model::{
    AtomicPtr, AtomicU64, AtomicUsize, Kept, Mutex, Ordering, UnsafeCell, hint, kept, local, parking, yield_now,
};

/// A cell that is read and written through closures, the shape loom asks for.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct PlainCell<T: ?Sized>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> PlainCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

#[cfg(not(any(loom, shuttle)))]
mod native {
    pub(crate) use super::PlainCell as UnsafeCell;
    pub(crate) use parking_lot::Mutex;
    pub(crate) use std::hint;
    pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use std::thread::yield_now;

    pub(crate) use crate::kept;
    pub(crate) use crate::local;

    /// Sleeping keyed by an address: the sleeping object needs no lock and no list of its own.
    pub(crate) mod parking {
        use parking_lot_core::{DEFAULT_PARK_TOKEN, DEFAULT_UNPARK_TOKEN, ParkResult};
        use std::time::Instant;

        /// Sleeps until `unpark_all(key)`, unless `validate` says no. Returns false if `deadline` came first.
        pub(crate) fn park(key: usize, validate: impl FnOnce() -> bool, deadline: Option<Instant>) -> bool {
            // SAFETY: `validate` reads one atomic and neither panics nor parks; the two other hooks do nothing.
            // The key is the address of an object of ours, so no foreign user of the lot shares it.
            let result =
                unsafe { parking_lot_core::park(key, validate, || {}, |_, _| {}, DEFAULT_PARK_TOKEN, deadline) };
            result != ParkResult::TimedOut
        }

        /// Wakes all threads that sleep there.
        pub(crate) fn unpark_all(key: usize) {
            // SAFETY: the key is the address of an object of ours (see `park`).
            unsafe { parking_lot_core::unpark_all(key, DEFAULT_UNPARK_TOKEN) };
        }
    }
}

/// The same door over a checker's types.
#[cfg(any(loom, shuttle))]
macro_rules! model {
    ($d:tt $name:ident, $checker:ident, $cell:path) => {
        mod $name {
            use std::sync::PoisonError;
            pub(crate) use $cell as UnsafeCell;
            pub(crate) use $checker::hint;
            pub(crate) use $checker::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
            pub(crate) use $checker::thread::yield_now;

            /// A variable local to a thread of the model.
            macro_rules! local {
                ($d(static $d name:ident: $d type:ty = $d start:expr;)*) => {
                    ::$checker::thread_local! { $d(static $d name: $d type = $d start;)* }
                };
            }
            pub(crate) use local;

            /// The same with a destructor, as `local::Kept` has it.
            macro_rules! kept {
                        (static $d name:ident: $d type:ty = $d start:expr;) => {
                            static $d name: $crate::sync::Kept<$d type> = {
                                ::$checker::thread_local! {
                                    static KEY: ::std::cell::RefCell<$d type> = ::std::cell::RefCell::new($d start);
                                }
                                $crate::sync::Kept(&KEY)
                            };
                        };
                    }
            pub(crate) use kept;

            pub(crate) struct Kept<T: 'static>(pub(crate) &'static $checker::thread::LocalKey<std::cell::RefCell<T>>);

            impl<T> Kept<T> {
                pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
                    self.0.try_with(|value| f(&mut value.borrow_mut())).ok()
                }
            }

            /// `parking_lot::Mutex`'s shape over the checker's.
            #[derive(Debug)]
            pub(crate) struct Mutex<T>($checker::sync::Mutex<T>);

            impl<T> Mutex<T> {
                pub(crate) fn new(value: T) -> Self {
                    Self($checker::sync::Mutex::new(value))
                }

                pub(crate) fn lock(&self) -> $checker::sync::MutexGuard<'_, T> {
                    self.0.lock().unwrap_or_else(PoisonError::into_inner)
                }
            }

            pub(crate) mod parking {
                use std::sync::PoisonError;
                use std::time::Instant;

                $checker::lazy_static! {
                    static ref LOT: ($checker::sync::Mutex<()>, $checker::sync::Condvar) =
                        ($checker::sync::Mutex::new(()), $checker::sync::Condvar::new());
                }

                pub(crate) fn park(_key: usize, validate: impl FnOnce() -> bool, deadline: Option<Instant>) -> bool {
                    if deadline.is_some() {
                        // A model has no clock: a timed wait is a chance for others to run.
                        $checker::thread::yield_now();
                        return false;
                    }
                    let guard = LOT.0.lock().unwrap_or_else(PoisonError::into_inner);
                    if validate() {
                        drop(LOT.1.wait(guard));
                    }
                    true
                }

                pub(crate) fn unpark_all(_key: usize) {
                    let _guard = LOT.0.lock().unwrap_or_else(PoisonError::into_inner);
                    LOT.1.notify_all();
                }
            }
        }
    };
}

#[cfg(loom)]
model!($ loom_model, loom, loom::cell::UnsafeCell);
#[cfg(shuttle)]
model!($ shuttle_model, shuttle, super::PlainCell);
