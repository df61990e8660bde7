//! What a thread is to a pool: its supervisor, one of its callback threads, or a thread of the program.

use std::cell::Cell;
use std::ptr;

executor_core::local! {
    static IS_SUPERVISOR: Cell<bool> = Cell::new(false);
    /// The pool whose callbacks this thread runs.
    static CALLBACKS_OF: Cell<*const ()> = Cell::new(ptr::null());
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
pub(crate) fn become_callback_thread_of<P>(pool: &P) {
    CALLBACKS_OF.set(address_of(pool));
}

/// Returns whether this thread runs callbacks of that pool: it must not wait for the pool's end, which waits for it.
pub(crate) fn runs_callbacks_of<P>(pool: &P) -> bool {
    ptr::eq(CALLBACKS_OF.get(), address_of(pool))
}

/// Runs callbacks of that pool on this thread.
pub(crate) fn running_callbacks_of<P>(pool: &P, run: impl FnOnce()) {
    struct Restore(*const ());
    impl Drop for Restore {
        fn drop(&mut self) {
            CALLBACKS_OF.set(self.0);
        }
    }
    let _before = Restore(CALLBACKS_OF.replace(address_of(pool)));
    run();
}

fn address_of<P>(pool: &P) -> *const () {
    ptr::from_ref(pool).cast()
}
