//! Futures whose callbacks complete further futures: a long chain needs no more stack than a short one.

#![cfg(not(any(loom, shuttle)))]

use executor_core::{Future, Promise};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A chain of futures in which each one's callback fulfils the next: the first promise, and the last future.
fn chain(links: usize) -> (Promise<usize>, Future<usize>) {
    let (first, mut last) = Promise::new();
    for _ in 0..links {
        let (promise, future) = Promise::new();
        last.add_done_callback(move |outcome| promise.set_result(outcome.as_ref().unwrap() + 1).unwrap());
        // The callback stays although the handle goes.
        drop(last);
        last = future;
    }
    (first, last)
}

#[test]
fn a_chain_of_a_million_callbacks_needs_little_stack() {
    let (first, last) = chain(1_000_000);
    first.set_result(0).unwrap();
    assert_eq!(last.result().unwrap(), 1_000_000);
}

#[test]
fn a_callback_may_wait_for_what_it_has_put_off() {
    let (first, deep) = chain(100);
    let seen = Arc::new(AtomicUsize::new(0));
    deep.add_done_callback({
        let seen = seen.clone();
        move |_| {
            // By now completions are put off; this one's value is asked for inside the callback that makes it.
            let (inner, waited_for) = chain(100);
            inner.set_result(5).unwrap();
            seen.store(waited_for.result().unwrap(), Ordering::SeqCst);
        }
    });
    first.set_result(0).unwrap();
    deep.wait();
    assert_eq!(seen.load(Ordering::SeqCst), 105);
}

#[test]
fn a_chain_of_cancels_needs_little_stack() {
    let links: Vec<_> =
        (0..1000).map(|_| Promise::<()>::new()).map(|(promise, future)| (promise, Arc::new(future))).collect();
    for pair in links.windows(2) {
        let next = pair[1].1.clone();
        pair[0].1.add_done_callback(move |_| assert!(next.cancel()));
    }
    assert!(links[0].1.cancel());
    assert!(links.iter().all(|(promise, future)| promise.is_cancelled() && future.is_cancelled()));
}
