//! The memory that one worker shares with its parent alone: what lies where, and who owns what when.
//!
//! ```text
//!  Head │ functions │ slots 0 .. SLOTS │ input blocks │ reply blocks
//! ```
//! A task travels in a slot: the parent writes the input there, the worker runs it and leaves the reply in the same slot.
//! Slots are used in turn, round and round, by both sides.
//!
//! ```text
//!                 parent: deal            worker: begin           worker: end
//!        FREE ───────────────► QUEUED ───────────────► RUNNING ─────────────► DONE
//!         ▲                      │ parent: revoke                               │
//!         │                      ▼             worker: pass by                  │ parent: collect
//!         │                   REVOKED ────────────────────────► SKIPPED         │
//!         └──────────────────────────────────────────────────────┴──────────────┘
//! ```
//!
//! | state of a slot | owner of its fields, and of the blocks it names |
//! | --- | --- |
//! | FREE | the parent |
//! | QUEUED | nobody writes; either side may take it, by compare-and-swap |
//! | RUNNING | the worker; `stop` is the parent's, `items` and `reply_length` may be read |
//! | DONE, SKIPPED | the parent |
//! | REVOKED | nobody; the worker passes it by |
//!
//! When the worker is dead, every slot is the parent's. The words then tell which task was running (RUNNING), which were not
//! begun (QUEUED), and which results are complete (DONE), whatever the instruction at which the worker died.
//!
//! The parent believes nothing it reads here: each number is checked before it is used, and bytes are copied out before they
//! are looked at. The worker believes its parent, which started it.

use process_core::function::FunctionName;
use process_core::memory::Mapping;
use process_core::sync::store_and_fence;
use process_core::waking::{Asleep, DoorbellWord};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Tasks in flight for one worker, at most.
pub(crate) const SLOTS: usize = 256;
/// Bytes of input or reply that fit into the slot itself.
pub(crate) const INLINE: usize = 64;
/// Bytes in a block. Larger things travel in memory of their own.
pub(crate) const BLOCK: usize = 256 * 1024;
/// Blocks for inputs, and as many for replies.
pub(crate) const BLOCKS: usize = 16;
/// Different functions that one worker can be told.
pub(crate) const FUNCTIONS: usize = 16 * 1024;

pub(crate) const FREE: u32 = 0;
pub(crate) const QUEUED: u32 = 1;
pub(crate) const RUNNING: u32 = 2;
pub(crate) const DONE: u32 = 3;
pub(crate) const REVOKED: u32 = 4;
pub(crate) const SKIPPED: u32 = 5;

/// Where an input or a reply lies: in the slot, in a block (this plus its number), or in memory of its own.
pub(crate) const IN_SLOT: u32 = 0;
pub(crate) const IN_BLOCK: u32 = 1;
pub(crate) const IN_BUFFER: u32 = u32::MAX;
/// Not in this memory: another transport carries it. Of such a reply the slot has the first byte, which says what kind it is.
pub(crate) const RELAYED: u32 = u32::MAX - 1;

/// The items of this task are timed: the worker notes when each begins.
pub(crate) const TIMED: u32 = 1;
/// Buffers were sent along with the reply.
pub(crate) const ATTACHED: u32 = 2;

/// One task on its way. Two cache lines, of which a small task touches the first alone: each that is touched crosses from
/// one processor to the other, and back.
///
/// In a slot that is FREE, `begun` and `stop` are 0.
#[repr(C, align(128))]
pub(crate) struct Slot {
    pub(crate) state: AtomicU32,
    /// Index into the functions.
    pub(crate) function: AtomicU32,
    pub(crate) input_place: AtomicU32,
    pub(crate) reply_place: AtomicU32,
    /// In bytes; of what lies neither here nor in a block, at most what fits.
    pub(crate) input_length: AtomicU32,
    pub(crate) reply_length: AtomicU32,
    /// Items of a chunk whose outcomes are complete in the reply block.
    pub(crate) items: AtomicU32,
    /// How long it ran, in nanoseconds; at most what fits.
    pub(crate) elapsed: AtomicU32,
    /// What the worker does with it, see `Phase`.
    pub(crate) phase: AtomicU32,
    pub(crate) flags: AtomicU32,
    bytes: [AtomicU64; INLINE / 8],
    /// When the task, or the item that runs, began, if it is timed; nanoseconds of the monotonic clock, 0 before.
    pub(crate) begun: AtomicU64,
    /// Not 0: the holder of the task wants it to stop.
    pub(crate) stop: AtomicU32,
}

/// A function by its addresses in the executable, and a number that its types alone have.
#[repr(C)]
pub(crate) struct FunctionEntry {
    trampoline: AtomicU64,
    code: AtomicU64,
    fingerprint: AtomicU64,
}

impl FunctionEntry {
    /// Writes a name; the slot that names the function publishes it.
    pub(crate) fn write(&self, name: FunctionName) {
        self.trampoline.store(name.trampoline, Ordering::Relaxed);
        self.code.store(name.code, Ordering::Relaxed);
        self.fingerprint.store(name.fingerprint, Ordering::Relaxed);
    }

    /// Reads the name.
    pub(crate) fn read(&self) -> FunctionName {
        FunctionName {
            trampoline: self.trampoline.load(Ordering::Relaxed),
            code: self.code.load(Ordering::Relaxed),
            fingerprint: self.fingerprint.load(Ordering::Relaxed),
        }
    }
}

/// The words of the ring as a whole, each group on a cache line of its own.
#[repr(C)]
struct Head {
    asleep: Line<Asleep>,
    bell: Line<DoorbellWord>,
    /// How many reply blocks the parent has given back, ever.
    replies_taken: Line<AtomicU32>,
    /// Why the worker has ended itself, if it has.
    last_word: Line<AtomicU32>,
    /// Not 0: other workers have nothing to do, so the rest of a chunk that takes long is to come back.
    rests_wanted: Line<AtomicU32>,
}

/// Why a worker has ended itself, as far as it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastWord {
    /// Its connection to its parent was gone.
    Disconnected = 1,
    /// What it shares with its parent made no sense.
    Overwritten = 2,
    /// A thread of ours has panicked.
    Panicked = 3,
}

impl LastWord {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Disconnected => "a task has closed the connection to its parent",
            Self::Overwritten => "a task has overwritten the memory it shares with its parent",
            Self::Panicked => "the thread for its connection has panicked",
        }
    }
}

#[repr(C, align(128))]
struct Line<T>(T);

const HEAD: usize = 4096;
const FUNCTIONS_AT: usize = HEAD;
const SLOTS_AT: usize = (FUNCTIONS_AT + FUNCTIONS * size_of::<FunctionEntry>()).next_multiple_of(4096);
const INPUTS_AT: usize = (SLOTS_AT + SLOTS * size_of::<Slot>()).next_multiple_of(4096);
const REPLIES_AT: usize = INPUTS_AT + BLOCKS * BLOCK;
/// Bytes of the whole; only pages that are touched exist.
pub(crate) const SIZE: usize = REPLIES_AT + BLOCKS * BLOCK;

const _: () = assert!(size_of::<Head>() <= HEAD && size_of::<Slot>() == 128);

/// The shared memory of one worker, as either side has it.
#[derive(Debug)]
pub(crate) struct Shared(Mapping);

/// Its bell.
impl AsRef<AtomicU32> for Shared {
    fn as_ref(&self) -> &AtomicU32 {
        self.bell().word()
    }
}

impl Shared {
    /// Takes a mapping of `SIZE` bytes over; `None` if it has not as many.
    pub(crate) fn new(mapping: Mapping) -> Option<Self> {
        (mapping.length() == SIZE).then_some(Self(mapping))
    }

    fn at<T>(&self, offset: usize) -> NonNull<T> {
        debug_assert!(offset + size_of::<T>() <= SIZE, "inside the mapping");
        // SAFETY: all callers stay inside the mapping, which is `SIZE` bytes long.
        unsafe { self.0.start().add(offset).cast() }
    }

    fn head(&self) -> &Head {
        // SAFETY: atomics only, at the aligned start of the mapping; fresh memory is zero, which is valid.
        unsafe { self.at::<Head>(0).as_ref() }
    }

    pub(crate) fn asleep(&self) -> &Asleep {
        &self.head().asleep.0
    }

    pub(crate) fn bell(&self) -> &DoorbellWord {
        &self.head().bell.0
    }

    /// Returns the count of reply blocks that the parent has given back, ever.
    pub(crate) fn replies_taken(&self) -> &AtomicU32 {
        &self.head().replies_taken.0
    }

    /// Notes why this worker ends itself.
    pub(crate) fn leave_word(&self, word: LastWord) {
        self.head().last_word.0.store(word as u32, Ordering::Relaxed);
    }

    /// Returns what the worker has noted of that, for a text only: a task may have written it.
    pub(crate) fn last_word(&self) -> Option<LastWord> {
        let word = self.head().last_word.0.load(Ordering::Relaxed);
        [LastWord::Disconnected, LastWord::Overwritten, LastWord::Panicked]
            .into_iter()
            .find(|known| *known as u32 == word)
    }

    /// Returns the word that is not 0 while the rest of a chunk that takes long is to come back.
    pub(crate) fn rests_wanted(&self) -> &AtomicU32 {
        &self.head().rests_wanted.0
    }

    /// Returns a slot; the number counts on and on.
    pub(crate) fn slot(&self, number: u64) -> &Slot {
        let index = (number % SLOTS as u64) as usize;
        // SAFETY: as for `head`; the index is in range.
        unsafe { self.at::<Slot>(SLOTS_AT + index * size_of::<Slot>()).as_ref() }
    }

    /// Returns an entry of the functions; `None` if there is no such entry.
    pub(crate) fn function(&self, index: u32) -> Option<&FunctionEntry> {
        let index = usize::try_from(index).ok().filter(|index| *index < FUNCTIONS)?;
        // SAFETY: as for `head`; the index is in range.
        Some(unsafe { self.at::<FunctionEntry>(FUNCTIONS_AT + index * size_of::<FunctionEntry>()).as_ref() })
    }

    /// Returns the start of an input block; `None` if there is no such block.
    pub(crate) fn input_block(&self, index: usize) -> Option<NonNull<u8>> {
        (index < BLOCKS).then(|| self.at(INPUTS_AT + index * BLOCK))
    }

    /// Returns the start of a reply block; `None` if there is no such block.
    pub(crate) fn reply_block(&self, index: usize) -> Option<NonNull<u8>> {
        (index < BLOCKS).then(|| self.at(REPLIES_AT + index * BLOCK))
    }
}

/// Returns a length as it stands in a slot: the true length of all that lies there or in a block.
pub(crate) fn shortened(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Slot {
    /// Returns the slot to the parent. The worker looks at the doorbell next.
    pub(crate) fn leave(&self, state: u32) {
        store_and_fence(&self.state, state);
    }

    /// Writes bytes into the slot, at most `INLINE`; the rest is ignored. For the slot's owner.
    pub(crate) fn write(&self, bytes: &[u8]) {
        for (slot, part) in self.bytes.iter().zip(bytes.chunks(8)) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            slot.store(u64::from_ne_bytes(word), Ordering::Relaxed);
        }
    }

    /// Appends the first `length` bytes of the slot; nothing if the slot has not as many.
    pub(crate) fn append_to(&self, bytes: &mut Vec<u8>, length: usize) {
        bytes.extend_from_slice(self.read(length).get(..length).unwrap_or_default());
    }

    /// Copies the bytes of the slot out.
    pub(crate) fn read(&self, length: usize) -> [u8; INLINE] {
        let mut bytes = [0; INLINE];
        for (word, slot) in bytes.chunks_exact_mut(8).zip(&self.bytes).take(length.div_ceil(8)) {
            word.copy_from_slice(&slot.load(Ordering::Relaxed).to_ne_bytes());
        }
        bytes
    }
}
