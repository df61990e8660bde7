//! Sleeping on a word that several processes share.

use rustix::thread::futex;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

// Not private to this process: the words lie in memory that it shares.
const SHARED: futex::Flags = futex::Flags::empty();

/// Sleeps while `word` is `expected`, until woken or `limit` has passed. May return early.
pub fn sleep_while(word: &AtomicU32, expected: u32, limit: Option<Duration>) {
    let limit = limit.and_then(|limit| limit.try_into().ok());
    let _ = futex::wait(word, SHARED, expected, limit.as_ref());
}

/// Wakes all who sleep on `word`.
pub fn wake(word: &AtomicU32) {
    let _ = futex::wake(word, SHARED, i32::MAX as u32);
}

/// Wakes one of those who sleep on `word`; false if there is none.
pub fn wake_one(word: &AtomicU32) -> bool {
    futex::wake(word, SHARED, 1).is_ok_and(|woken| woken > 0)
}
