//! Model checks of how parent and worker wake each other: the code of `src/waking.rs` itself, on the checker's atomics and on
//! sleepers that stand in for the kernel's futexes; every interleaving, and every reordering that the memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p concurrent-futures-process-core --test loom`

#![cfg(loom)]

#[expect(unreachable_pub, reason = "the library's own file, whose items are public there")]
#[path = "../src/waking.rs"]
mod waking;

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use sync::{AtomicU32, Ordering, fence, store_and_fence};
use waking::{ARMED, Asleep, DoorbellWord, LISTENED, QUIET};

/// As `src/sync.rs`. The checker knows fences, but takes a sequentially consistent swap for a weaker one.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU32, Ordering, fence};

    pub(crate) fn store_and_fence(word: &AtomicU32, value: u32) {
        word.swap(value, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }
}

/// As `src/system.rs`: the futexes. There is no clock, so limits never pass.
mod system {
    use super::sync::{AtomicU32, Ordering};
    use loom::sync::{Condvar, Mutex};
    use std::time::Duration;

    loom::lazy_static! {
        /// The words that are slept on, once for each sleeper.
        static ref SLEEPERS: Mutex<Vec<usize>> = Mutex::new(Vec::new());
        static ref WOKEN: Condvar = Condvar::new();
    }

    fn key(word: &AtomicU32) -> usize {
        std::ptr::from_ref(word).addr()
    }

    pub(crate) fn sleep_while(word: &AtomicU32, expected: u32, _limit: Option<Duration>) {
        let mut sleepers = SLEEPERS.lock().unwrap();
        if word.load(Ordering::Relaxed) != expected {
            return;
        }
        sleepers.push(key(word));
        while sleepers.contains(&key(word)) {
            sleepers = WOKEN.wait(sleepers).unwrap();
        }
    }

    pub(crate) fn wake(word: &AtomicU32) {
        SLEEPERS.lock().unwrap().retain(|sleeper| *sleeper != key(word));
        WOKEN.notify_all();
    }

    pub(crate) fn wake_one(word: &AtomicU32) -> bool {
        let mut sleepers = SLEEPERS.lock().unwrap();
        let found = sleepers.iter().position(|sleeper| *sleeper == key(word));
        found.map(|index| sleepers.remove(index));
        WOKEN.notify_all();
        found.is_some()
    }
}

/// There are few steps, so that more preemptions than usual take no time.
fn model(steps: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(4);
    builder.check(steps);
}

const FREE: u32 = 0;
const QUEUED: u32 = 1;
const DONE: u32 = 3;

/// What a worker shares with its parent, as far as it matters here; and what is in its socket.
struct Shared {
    asleep: Asleep,
    bell: DoorbellWord,
    slots: [AtomicU32; 2],
    retiring: AtomicU32,
    socket: Mutex<u32>,
    arrived: Condvar,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            asleep: Asleep::default(),
            bell: DoorbellWord::default(),
            slots: [AtomicU32::new(FREE), AtomicU32::new(FREE)],
            retiring: AtomicU32::new(0),
            socket: Mutex::new(0),
            arrived: Condvar::new(),
        })
    }

    /// Has another thread do that.
    fn beside(shared: &Arc<Self>, run: fn(&Self)) -> thread::JoinHandle<()> {
        let shared = shared.clone();
        thread::spawn(move || run(&shared))
    }

    /// The parent hands a task over.
    fn deal(&self, slot: usize) {
        self.slots[slot].store(QUEUED, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.asleep.take() {
            self.asleep.wake();
        }
    }

    fn is(&self, slot: usize, state: u32) -> bool {
        self.slots[slot].load(Ordering::Acquire) == state
    }

    /// The worker waits for a task; false: it is to end.
    fn wait_for(&self, slot: usize) -> bool {
        self.asleep.sleep_until(None, || {
            if self.is(slot, QUEUED) {
                return Some(true);
            }
            (self.retiring.load(Ordering::Acquire) != 0).then(|| self.is(slot, QUEUED))
        })
    }

    /// The worker leaves a result, and rings.
    fn leave(&self, slot: usize) {
        store_and_fence(&self.slots[slot], DONE);
        let rung = match self.bell.take() {
            QUIET => false,
            LISTENED => !self.bell.wake_listener(),
            _ => true,
        };
        if rung {
            *self.socket.lock().unwrap() += 1;
            self.arrived.notify_one();
        }
    }

    /// The supervisor sleeps until the socket has something for it.
    fn hear(&self) {
        let mut socket = self.socket.lock().unwrap();
        while *socket == 0 {
            socket = self.arrived.wait(socket).unwrap();
        }
        *socket -= 1;
    }

    /// Has the worker ring for its first result, and waits for that unless the result is there.
    fn arm_and_hear(&self) {
        self.set(ARMED);
        if !self.is(0, DONE) {
            self.hear();
            assert!(self.is(0, DONE));
        }
    }

    fn set(&self, value: u32) {
        DoorbellWord::set_all([&self.bell].into_iter(), value);
    }
}

#[test]
fn tasks_against_a_worker_falling_asleep() {
    model(|| {
        let shared = Shared::new();
        let worker = Shared::beside(&shared, |shared| assert!(shared.wait_for(0) && shared.wait_for(1)));
        shared.deal(0);
        shared.deal(1);
        worker.join().unwrap();
    });
}

#[test]
fn a_task_and_the_end_against_a_worker_falling_asleep() {
    model(|| {
        let shared = Shared::new();
        let worker = Shared::beside(&shared, |shared| {
            // What was dealt before the order to retire is seen with it.
            assert!(shared.wait_for(0));
            assert!(!shared.wait_for(1));
        });
        shared.deal(0);
        let connection = Shared::beside(&shared, |shared| {
            shared.retiring.store(1, Ordering::Release);
            shared.asleep.call();
        });
        worker.join().unwrap();
        connection.join().unwrap();
    });
}

#[test]
fn a_result_against_bells_that_are_turned_on() {
    model(|| {
        let shared = Shared::new();
        let worker = Shared::beside(&shared, |shared| shared.leave(0));
        shared.arm_and_hear();
        worker.join().unwrap();
    });
}

#[test]
fn results_against_a_thread_that_listens() {
    model(|| {
        let shared = Shared::new();
        let worker = Shared::beside(&shared, |shared| {
            shared.leave(0);
            shared.leave(1);
        });
        loop {
            shared.set(LISTENED);
            if shared.is(1, DONE) {
                break;
            }
            system::sleep_while(shared.bell.word(), LISTENED, None);
        }
        worker.join().unwrap();
    });
}

#[test]
fn a_result_for_which_nobody_listens_any_more() {
    model(|| {
        let shared = Shared::new();
        let worker = Shared::beside(&shared, |shared| shared.leave(0));
        shared.set(LISTENED);
        // Its time is over before it sleeps. The supervisor turns the bells on, and leaves those alone that are listened to.
        if !shared.is(0, DONE) {
            shared.arm_and_hear();
        }
        worker.join().unwrap();
    });
}

#[test]
fn a_thread_that_listens_to_a_worker_that_dies() {
    model(|| {
        let shared = Shared::new();
        shared.set(LISTENED);
        let supervisor = Shared::beside(&shared, |shared| shared.bell.silence());
        system::sleep_while(shared.bell.word(), LISTENED, None);
        supervisor.join().unwrap();
    });
}
