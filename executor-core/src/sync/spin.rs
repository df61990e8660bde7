//! Spinning before a sleep: a hand-over between two running threads costs 0.1 µs, a sleep and a wake-up 5 to 50.
//!
//! Each thread learns whether spinning pays. A success lengthens its next spin, a failure halves it; and now and then it tries a
//! full one again, the more rarely the longer none has paid. On one processor no thread spins: the other side could not run
//! meanwhile.

use crate::sync::hint;
use std::cell::Cell;
use std::sync::LazyLock;

/// The longest spin, in spin-loop hints: some 20 µs.
const MOST: u32 = 1024;
/// The shortest spin.
const LEAST: u32 = 8;
/// After this many failures in a row a full spin is tried again; then after twice as many, and so on.
const FIRST_RETRY: u32 = 32;
/// The longest time without a full spin, in failures.
const LAST_RETRY: u32 = 1024;

static SEVERAL_PROCESSORS: LazyLock<bool> =
    LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|count| count.get() > 1));

crate::local! {
    static HABIT: Cell<Habit> = Cell::new(Habit::NEW);
}

/// What a thread has learnt.
#[derive(Clone, Copy)]
struct Habit {
    budget: u32,
    failures: u32,
    /// A full spin is tried again after so many failures.
    retry: u32,
}

impl Habit {
    const NEW: Self = Self { budget: MOST, failures: 0, retry: FIRST_RETRY };
}

/// Spins until `found` says true, for a short while. Returns whether it did.
pub(crate) fn spin_until(mut found: impl FnMut() -> bool) -> bool {
    if cfg!(any(loom, shuttle)) || !*SEVERAL_PROCESSORS {
        return found();
    }
    let habit = HABIT.get();
    let mut left = habit.budget;
    let success = loop {
        if found() {
            break true;
        }
        if left == 0 {
            break false;
        }
        left -= 1;
        hint::spin_loop();
    };
    HABIT.set(if success { longer(habit) } else { shorter(habit) });
    success
}

fn longer(habit: Habit) -> Habit {
    Habit { budget: (habit.budget * 2).min(MOST), ..Habit::NEW }
}

fn shorter(habit: Habit) -> Habit {
    if habit.failures + 1 == habit.retry {
        Habit { budget: MOST, failures: 0, retry: (habit.retry * 2).min(LAST_RETRY) }
    } else {
        Habit { budget: (habit.budget / 2).max(LEAST), failures: habit.failures + 1, ..habit }
    }
}
