//! A short look before a sleep: a hand-over between two running threads costs 0.1 µs, a sleep and a wake-up 5 to 50.
//!
//! Each thread learns whether looking pays: a look that succeeds lengthens the next, one that fails halves it, and now
//! and then a full one is tried again, the more rarely the longer it has not paid. On one processor nobody looks: the other side could not run meanwhile.

use crate::sync::hint;
use std::cell::Cell;
use std::sync::LazyLock;

/// The longest look, in spin-loop hints: some 20 µs.
const MOST: u32 = 1024;
/// The shortest look.
const LEAST: u32 = 8;
/// After this many failures in a row a full look is tried again; then after twice as many, and so on.
const FIRST_RETRY: u32 = 32;
/// The longest time without a full look, in failures.
const LAST_RETRY: u32 = 1024;

static SEVERAL_PROCESSORS: LazyLock<bool> =
    LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|count| count.get() > 1));

crate::local! {
    static LOOK: Cell<Look> = Cell::new(Look::NEW);
}

#[derive(Clone, Copy)]
struct Look {
    budget: u32,
    failures: u32,
    /// A full look is tried again after so many failures.
    retry: u32,
}

impl Look {
    const NEW: Self = Self { budget: MOST, failures: 0, retry: FIRST_RETRY };
}

/// Looks for `found` for a while; true as soon as it is.
pub(crate) fn spin_until(mut found: impl FnMut() -> bool) -> bool {
    if cfg!(any(loom, shuttle)) || !*SEVERAL_PROCESSORS {
        return found();
    }
    let mut look = LOOK.get();
    let mut left = look.budget;
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
    look = if success { longer(look) } else { shorter(look) };
    LOOK.set(look);
    success
}

fn longer(look: Look) -> Look {
    Look { budget: (look.budget * 2).min(MOST), ..Look::NEW }
}

fn shorter(look: Look) -> Look {
    if look.failures + 1 == look.retry {
        Look { budget: MOST, failures: 0, retry: (look.retry * 2).min(LAST_RETRY) }
    } else {
        Look { budget: (look.budget / 2).max(LEAST), failures: look.failures + 1, ..look }
    }
}
