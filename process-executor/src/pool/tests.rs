//! Waiting threads and the pool's lock.

use super::fetching::Fetcher;
use super::{Pool, TICK};
use crate::ProcessPoolExecutor;
use executor_core::driver::Driver;
use process_core::image::Image;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// Far beyond what anything here takes on a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `f` on another thread while the pool's lock is held; it must end before the lock is released.
fn while_locked(pool: &Pool, f: impl FnOnce() + Send) {
    thread::scope(|scope| {
        pool.with_dispatch(|_, _| {
            let (done, hear) = channel();
            scope.spawn(move || {
                f();
                let _ = done.send(());
            });
            assert!(hear.recv_timeout(LIMIT).is_ok(), "it waits for the lock");
        });
    });
}

/// A thread that waits for some pool fetches for all of them: none may keep it waiting. The doorbells come on again.
#[test]
fn a_waiting_thread_does_not_wait_for_the_lock() {
    let (settings, _) = ProcessPoolExecutor::builder().workers(1).settings().unwrap();
    let pool = Pool::new(settings, Image::of_this_process().unwrap()).unwrap();
    let fetcher = Fetcher(pool.clone());
    let are_on = || pool.doorbells.load(Ordering::Relaxed);
    while_locked(&pool, || fetcher.begin());
    assert!(are_on());
    fetcher.begin();
    assert!(!are_on());
    while_locked(&pool, || {
        fetcher.fetch();
        fetcher.end(false);
    });
    // The supervisor was called, looks once more whether anybody fetches, and then turns them on.
    assert!(!are_on());
    let mut seen = 0;
    assert_eq!(pool.settle_doorbells(&mut seen), Some(TICK));
    assert_eq!(pool.settle_doorbells(&mut seen), None);
    assert!(are_on());
}
