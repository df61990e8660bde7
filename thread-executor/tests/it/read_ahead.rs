//! How far `map` reads ahead while the outcome that comes next takes long.

use crate::support::{pool, until};
use crate::watchdog::{step, watched};
use executor_core::{ExecutorExt, MapOptions};
use futures::Stream;
use parking_lot::{Condvar, Mutex};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

const WORKERS: u64 = 2;
const CHUNK: u64 = 1000;
/// The documented bound: half a million values for each worker, and the chunks in flight.
const MOST: u64 = WORKERS * (512 * 1024 + 2 * 4 * CHUNK);

static HEAD_MAY_END: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

fn hold_the_head(number: u64) {
    if number == 0 {
        let mut open = HEAD_MAY_END.0.lock();
        while !*open {
            HEAD_MAY_END.1.wait(&mut open);
        }
    }
}

/// Lets the head end, also if the test fails: declare it after the pool.
struct Release;

impl Drop for Release {
    fn drop(&mut self) {
        *HEAD_MAY_END.0.lock() = true;
        HEAD_MAY_END.1.notify_all();
    }
}

/// Values without a size take no memory, yet reading ahead is bounded.
#[test]
fn values_without_a_size_are_bounded() {
    watched(|| {
        let pool = pool(WORKERS as usize);
        let release = Release;
        let pulled = AtomicU64::new(0);
        // The input ends, so that the test does if there is no bound.
        let inputs = (0..=MOST).inspect(|_| _ = pulled.fetch_add(1, Ordering::Relaxed));
        let mut map = pool.map_with(MapOptions::new().chunk_size(CHUNK as usize), hold_the_head, inputs);
        let mut read = || Pin::new(&mut map).poll_next(&mut Context::from_waker(Waker::noop())).is_pending();
        step("reading ahead of one that does not end");
        let mut before = 0;
        loop {
            assert!(read(), "the first outcome does not come");
            let now = pulled.load(Ordering::Relaxed);
            if now == before {
                break;
            }
            before = now;
            // All that was pulled has ended but the head, so the next read pulls more if any does.
            until("only the head runs", || {
                let stats = pool.stats();
                let begun = stats.completed + stats.running as u64;
                begun >= now.div_ceil(CHUNK) && stats.queued == 0 && stats.running == 1
            });
        }
        assert!(before < MOST, "{before} inputs were pulled");
        drop(release);
        assert_eq!(map.take(before as usize).filter(Result::is_ok).count() as u64, before);
    });
}
