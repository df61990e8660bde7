//! The task: what it is told to do goes wrong.

use std::fmt;
use std::hint::black_box;
use std::process;
use std::ptr;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

const MEBIBYTE: usize = 1 << 20;

/// The most that is hoarded, so that the machine survives if the pool does not intervene.
const HOARD: usize = 512 * MEBIBYTE;

/// The accident that is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Accident {
    Nothing,
    Panic,
    Abort,
    InvalidWrite,
    EndlessLoop,
    TooMuchMemory,
    Exit,
    UnreadableResult,
    StackOverflow,
    LongWork,
}

impl fmt::Display for Accident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Panic => "panic",
            Self::Abort => "abort",
            Self::InvalidWrite => "invalid write",
            Self::EndlessLoop => "endless loop",
            Self::TooMuchMemory => "too much memory",
            Self::Exit => "exit",
            Self::UnreadableResult => "unreadable result",
            Self::StackOverflow => "stack overflow",
            Self::LongWork => "long work",
        })
    }
}

/// A result that can be encoded with any number, and decoded only with an even one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct Even(pub(crate) u64);

impl TryFrom<u64> for Even {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, String> {
        if number.is_multiple_of(2) { Ok(Self(number)) } else { Err(format!("{number} is not even")) }
    }
}

/// Causes the accident.
pub(crate) fn happen(accident: Accident) -> Even {
    match accident {
        Accident::Nothing => Even(42),
        Accident::Panic => panic!("no way out"),
        Accident::Abort => process::abort(),
        Accident::InvalidWrite => write_where_nothing_is(),
        Accident::EndlessLoop | Accident::LongWork => run_for_ever(),
        Accident::TooMuchMemory => hoard(),
        Accident::Exit => exit(),
        Accident::UnreadableResult => Even(43),
        Accident::StackOverflow => Even(descend(0)),
    }
}

fn write_where_nothing_is() -> Even {
    // Next to null, because the compiler's own checks would find null itself first.
    let nowhere = ptr::without_provenance_mut::<u8>(black_box(16));
    // SAFETY: none. The first page of a process is never mapped, so the kernel ends the process.
    unsafe { nowhere.write_volatile(1) };
    Even(0)
}

fn run_for_ever() -> Even {
    loop {
        black_box(());
    }
}

fn hoard() -> Even {
    let mut hoard = Vec::new();
    while hoard.len() * MEBIBYTE < HOARD {
        // Written to, because untouched memory does not count as used.
        hoard.push(black_box(vec![1_u8; MEBIBYTE]));
        // Slowly, so that the pool checks the worker's memory meanwhile.
        thread::sleep(Duration::from_millis(1));
    }
    run_for_ever()
}

#[expect(clippy::disallowed_methods, reason = "what it does to a pool is the question")]
fn exit() -> Even {
    process::exit(0)
}

fn descend(depth: u64) -> u64 {
    if black_box(depth) == u64::MAX { 0 } else { black_box(descend(depth + 1)) + 1 }
}
