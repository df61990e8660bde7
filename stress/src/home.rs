//! Whose a task is, in this process and in others, and how its runs get into the books from there.
//!
//! A task notes that it begins, and that it is about to return, in a file without a name, which it opens by the parent's
//! number for it. A note is one write to the end of the file, so it is there whole or not at all, whenever its writer dies.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::process;
use std::sync::{Arc, Weak};

use parking_lot::RwLock;
use rustix::fs::MemfdFlags;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::entry::Entry;
use crate::remote::{self, Leniency};

/// What a note says, behind the task's number.
const BEGUN: u64 = 1;
const ENDED: u64 = 2;
const NOTE: usize = 16;

/// The round under way, in the parent; none in a worker.
static ROUND: RwLock<Option<Round>> = RwLock::new(None);

/// What the parent keeps of a round.
struct Round {
    log: File,
    entries: HashMap<u64, Weak<Entry>>,
}

/// The round of new tasks begins.
pub(crate) fn begin_round(leniency: Leniency) {
    let log = rustix::fs::memfd_create("stress-log", MemfdFlags::CLOEXEC).expect("memory for the log");
    *ROUND.write() = Some(Round { log: log.into(), entries: HashMap::new() });
    remote::begin_round(leniency);
}

/// The round is over, and no worker is left: enters into the books what the tasks have noted.
pub(crate) fn end_round() {
    let Some(round) = ROUND.write().take() else { return };
    let mut offset = 0;
    let mut note = [0; NOTE];
    while round.log.read_at(&mut note, offset).expect("the log is readable") == NOTE {
        offset += NOTE as u64;
        let word = |at: usize| u64::from_ne_bytes(note[at..at + 8].try_into().expect("eight bytes"));
        let entry = round.entries.get(&word(0)).and_then(Weak::upgrade).expect("a note of a task that nobody knows");
        if word(8) == BEGUN { entry.note_begin() } else { entry.note_end() }
    }
}

/// Opens the books of a task of the round.
pub(crate) fn open_books(origin: &'static str) -> Arc<Entry> {
    let entry = Entry::new(origin);
    if remote::is_remote()
        && let Some(round) = ROUND.write().as_mut()
    {
        round.entries.insert(entry.number(), Arc::downgrade(&entry));
    }
    entry
}

/// Whose an argument or a value is.
#[derive(Clone)]
pub(crate) enum Home {
    /// In the parent: whose books these are.
    Here(Arc<Entry>),
    /// In a worker.
    Away(Ticket),
}

/// What a task knows of its books.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Ticket {
    number: u64,
    log: String,
}

thread_local! {
    /// The log that this worker has open.
    static LOG: RefCell<Option<(String, File)>> = const { RefCell::new(None) };
}

impl Ticket {
    fn note(&self, what: u64) {
        let mut note = [0; NOTE];
        note[..8].copy_from_slice(&self.number.to_ne_bytes());
        note[8..].copy_from_slice(&what.to_ne_bytes());
        LOG.with_borrow_mut(|open| {
            if open.as_ref().is_none_or(|(path, _)| *path != self.log) {
                let file = OpenOptions::new().append(true).open(&self.log).expect("the parent's log");
                *open = Some((self.log.clone(), file));
            }
            let (_, file) = open.as_mut().expect("just opened");
            file.write_all(&note).expect("room in the log");
        });
    }
}

impl Home {
    pub(crate) fn number(&self) -> u64 {
        match self {
            Self::Here(entry) => entry.number(),
            Self::Away(ticket) => ticket.number,
        }
    }

    /// The task begins.
    pub(crate) fn begin(&self) {
        match self {
            Self::Here(entry) => entry.note_begin(),
            Self::Away(ticket) => ticket.note(BEGUN),
        }
    }

    /// The task is about to return.
    pub(crate) fn end(&self) {
        match self {
            Self::Here(_) => {}
            Self::Away(ticket) => ticket.note(ENDED),
        }
    }
}

impl Serialize for Home {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Away(ticket) => ticket.serialize(serializer),
            Self::Here(entry) => {
                let round = ROUND.read();
                let Some(round) = round.as_ref() else {
                    return Err(S::Error::custom("a thread pool must not serialize"));
                };
                let log = format!("/proc/{}/fd/{}", process::id(), round.log.as_raw_fd());
                Ticket { number: entry.number(), log }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Home {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ticket = Ticket::deserialize(deserializer)?;
        let round = ROUND.read();
        let Some(round) = round.as_ref() else { return Ok(Self::Away(ticket)) };
        let entry = round.entries.get(&ticket.number).and_then(Weak::upgrade);
        entry.map(Self::Here).ok_or_else(|| D::Error::custom("the value of a task that nobody knows"))
    }
}
