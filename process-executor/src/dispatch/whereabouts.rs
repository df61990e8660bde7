//! Where a task of the pool is: one word of each task, its token, which is read and written under the pool's lock.
//!
//! The holder of a task ends its future, or passes the task on. A canceller either revokes the task, and what is left is a tombstone
//! for the holder to drop, or comes too late.
//!
//! | whereabouts | holder | the holder moves it to | `cancel` |
//! | --- | --- | --- | --- |
//! | `Entering` | the thread that submits it | `Queued`, or `InHand` if it cannot be carried | revokes it |
//! | `Queued` | the queue | `InRing`, `Preparing`; `InHand` for a relay; `Withdrawn` at the end of the pool | revokes it |
//! | `Preparing` | the thread that moves its large input to shared memory | `Queued`; `InHand` if there is no memory; `Withdrawn` | revokes it |
//! | `Withdrawn` | the thread that took it out of the queue to cancel it | nowhere: its future ends there | revokes it |
//! | `InRing` | the ring of that worker | `InHand` when it comes back; `Queued` when it is taken back before it began | asks the ring: revoked if it has not begun |
//! | `InHand` | a batch, a relay, or a thread that takes it from one place to the next | `InRing`, `Requeued`, `Queued`; nowhere if its future ends there | too late |
//! | `Requeued` | the queue, after a part of it ran or a worker died of it | `InRing`, `InHand` | too late |
//! | `Revoked` | the thread that comes across the tombstone, and drops it | nowhere | was there before |

use executor_core::remote::Token;

/// Where a task is. See [the table](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// On its way into the pool: where every task begins.
    Entering,
    Queued,
    Preparing,
    Withdrawn,
    /// In a slot of a worker's ring; the number counts on and on, modulo [`SLOT_NUMBERS`].
    InRing {
        worker: usize,
        slot: u64,
    },
    InHand,
    Requeued,
    Revoked,
}

/// Marks the word of a task in a ring, which also holds the worker and the slot.
const IN_RING: u64 = 1 << 63;
/// The bits of the slot's number.
const SLOT_BITS: u32 = 40;
/// As many numbers of slots are told apart: far more than a ring has slots.
const SLOT_NUMBERS: u64 = 1 << SLOT_BITS;

impl Whereabouts {
    /// Returns where the task with that token is.
    #[inline]
    pub(crate) fn read(token: &Token) -> Self {
        Self::unpack(token.get())
    }

    /// Notes that the task with that token is here now.
    #[inline]
    pub(crate) fn write(self, token: &Token) {
        token.set(self.pack());
    }

    /// Returns whether the task with that token is here.
    #[inline]
    pub(crate) fn has(self, token: &Token) -> bool {
        token.get() == self.pack()
    }

    #[inline]
    fn pack(self) -> u64 {
        match self {
            // A new task's token is 0.
            Self::Entering => 0,
            Self::Queued => 1,
            Self::Preparing => 2,
            Self::Withdrawn => 3,
            Self::InHand => 4,
            Self::Requeued => 5,
            Self::Revoked => 6,
            Self::InRing { worker, slot } => IN_RING | (worker as u64) << SLOT_BITS | (slot % SLOT_NUMBERS),
        }
    }

    #[inline]
    fn unpack(word: u64) -> Self {
        match word {
            0 => Self::Entering,
            1 => Self::Queued,
            2 => Self::Preparing,
            3 => Self::Withdrawn,
            4 => Self::InHand,
            5 => Self::Requeued,
            6 => Self::Revoked,
            _ => Self::InRing { worker: ((word & !IN_RING) >> SLOT_BITS) as usize, slot: word % SLOT_NUMBERS },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SLOT_NUMBERS, Whereabouts};

    #[test]
    fn each_whereabouts_has_a_word_of_its_own() {
        use Whereabouts::{Entering, InHand, InRing, Preparing, Queued, Requeued, Revoked, Withdrawn};
        let ring = |worker, slot| InRing { worker, slot };
        let all = [Entering, Queued, Preparing, Withdrawn, InHand, Requeued, Revoked];
        let rings = [ring(0, 0), ring(0, 6), ring(6, 0), ring(4095, SLOT_NUMBERS - 1)];
        let words: Vec<u64> = all.iter().chain(&rings).map(|whereabouts| whereabouts.pack()).collect();
        for (index, (word, whereabouts)) in words.iter().zip(all.iter().chain(&rings)).enumerate() {
            assert_eq!(Whereabouts::unpack(*word), *whereabouts);
            assert!(!words[..index].contains(word), "{whereabouts:?} has another's word");
        }
        assert_eq!(Entering.pack(), 0, "a new task's token");
    }

    #[test]
    fn numbers_of_slots_never_reach_the_worker() {
        let word = Whereabouts::InRing { worker: 3, slot: 5 * SLOT_NUMBERS + 7 }.pack();
        assert_eq!(Whereabouts::unpack(word), Whereabouts::InRing { worker: 3, slot: 7 });
    }
}
