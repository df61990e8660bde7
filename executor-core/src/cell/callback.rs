//! The list of done callbacks: pushed by any thread, run in registration order by one.

use crate::cell::outcome::Outcome;
use crate::sync::{AtomicPtr, Ordering};
use executor_wire::panic::contain;
use std::ptr;

/// One callback.
pub(crate) type Callback<T> = Box<dyn FnOnce(&Outcome<T>) + Send>;

/// A stack of callbacks, newest on top.
pub(crate) struct CallbackList<T> {
    head: AtomicPtr<Node<T>>,
}

struct Node<T> {
    next: *mut Node<T>,
    callback: Callback<T>,
}

impl<T> CallbackList<T> {
    pub(crate) fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Adds a callback. The caller then sets CALLBACKS, which is what gets it run.
    pub(crate) fn push(&self, callback: Callback<T>) {
        let node = Box::into_raw(Box::new(Node { next: ptr::null_mut(), callback }));
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: the node is ours until the exchange below succeeds.
            unsafe { (*node).next = head };
            // ORDERING: Release, with the Acquire of `take`: publishes the node.
            match self.head.compare_exchange_weak(head, node, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Takes all callbacks and runs them in registration order; a panicking one stops none of the others.
    pub(crate) fn run(&self, outcome: &Outcome<T>) {
        for callback in self.take() {
            contain(|| callback(outcome));
        }
    }

    /// Forgets all callbacks without dropping them.
    pub(crate) fn forget(&self) {
        self.head.store(ptr::null_mut(), Ordering::Relaxed);
    }

    fn take(&self) -> Vec<Callback<T>> {
        let mut callbacks = Vec::new();
        // ORDERING: Acquire, with the Release of `push`: the nodes are written.
        let mut node = self.head.swap(ptr::null_mut(), Ordering::Acquire);
        while !node.is_null() {
            // SAFETY: the swap made the whole chain ours, and each node came from `Box::into_raw`.
            let owned = unsafe { Box::from_raw(node) };
            node = owned.next;
            callbacks.push(owned.callback);
        }
        callbacks.reverse();
        callbacks
    }
}

impl<T> Drop for CallbackList<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}
