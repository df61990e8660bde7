//! Memory that one worker has handed over, from its arrival until the replies that it came for are done with.
//!
//! The thread that reads the worker's socket only checks the memory; the thread that decodes the reply maps it.

use crate::protocol::violation::Violation;
use executor_core::fork::{Origin, PerProcess};
use parking_lot::Mutex;
use process_core::memory::Buffer;
use process_core::system::{self, leave};
use process_core::untrusted_file::UntrustedFile;
use rustix::fd::OwnedFd;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// All of it.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// By number.
    known: HashMap<u64, Arrival>,
    /// What came for each reply: the numbers of `known`.
    replies: HashMap<u64, HashSet<u64>>,
    /// How many came; what came for several replies counts for each.
    pieces: usize,
    /// How many bytes they are.
    bytes: u64,
    budget: &'static Mutex<Budget>,
    /// The process whose budget that is.
    origin: Origin,
    /// Why memory may be missing.
    missing: Missing,
}

/// What the workers of all pools of this process have handed over, and may.
#[derive(Debug)]
struct Budget {
    workers: usize,
    files: usize,
    bytes: u64,
    /// The most files, since each costs this process a descriptor.
    most_files: usize,
    /// The most bytes, unless they are one worker's only piece.
    most_bytes: u64,
}

static BUDGET: PerProcess<Mutex<Budget>> = PerProcess::new(|| Mutex::new(Budget::of_this_process()));

impl Budget {
    /// Makes the budget: half of the descriptors that this process may have, and half of the machine's memory.
    fn of_this_process() -> Self {
        let allowed = system::limit_of(libc::RLIMIT_NOFILE);
        let most_files = allowed.and_then(|allowed| usize::try_from(allowed / 2).ok()).unwrap_or(usize::MAX);
        let most_bytes = system::physical_memory().map_or(u64::MAX, |all| all / 2);
        Self { workers: 0, files: 0, bytes: 0, most_files, most_bytes }
    }

    /// Counts one more piece, of `length` bytes that were not there before, of a worker that has `files` of `bytes` together, if
    /// there is room for it. Each worker may take from the first half. The second half is for those that have less than their
    /// share of it: so one worker alone never takes all.
    fn take(&mut self, files: usize, bytes: u64, length: u64) -> bool {
        let workers = self.workers.max(1);
        let bytes_with = bytes.saturating_add(length);
        let all_bytes = self.bytes.saturating_add(length);
        let is_in = |bytes: u64, most: u64| length == 0 || bytes <= most;
        let has_share =
            files < self.most_files / 2 / workers && is_in(bytes_with, self.most_bytes / 2 / workers as u64);
        let fits = |part: u64| self.files < self.most_files / part as usize && is_in(all_bytes, self.most_bytes / part);
        let is_only = files == 0 && self.files < self.most_files;
        let has_room = is_only || fits(2) || (has_share && fits(1));
        if has_room {
            self.files += 1;
            self.bytes = all_bytes;
        }
        has_room
    }

    fn give_back(&mut self, files: usize, bytes: u64) {
        self.files -= files;
        self.bytes -= bytes;
    }
}

#[derive(Debug)]
struct Arrival {
    memory: Arc<Arrived>,
    /// For how many replies it came.
    replies: usize,
}

/// Why memory that a reply names is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Missing {
    #[default]
    NotSent,
    /// The worker did what it must not, and nothing more was taken from it.
    Refused(Violation),
    /// The worker had handed over so much that was not read yet.
    OverBudget { pieces: usize, bytes: u64 },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent => f.write_str("it did not arrive"),
            Self::Refused(violation) => write!(f, "its worker is ended: {}", violation.words()),
            Self::OverBudget { pieces, bytes } => write!(
                f,
                "its worker has handed over {pieces} pieces of memory that were not read yet, of {bytes} bytes together, \
                 and may not send more"
            ),
        }
    }
}

/// Memory as it arrived, and as it is read.
#[derive(Debug)]
pub(crate) struct Arrived {
    length: u64,
    /// Checked, so that its close does not block; until it is mapped.
    file: Mutex<Option<OwnedFd>>,
    mapped: OnceLock<Result<Arc<Buffer>, String>>,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self::within(BUDGET.get())
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        if !self.origin.is_here() {
            return;
        }
        let mut budget = self.budget.lock();
        budget.workers -= 1;
        budget.give_back(self.pieces, self.bytes);
    }
}

impl Arrivals {
    fn within(budget: &'static Mutex<Budget>) -> Self {
        budget.lock().workers += 1;
        let (known, replies, pieces, bytes, missing) = Default::default();
        Self { known, replies, pieces, bytes, budget, origin: Origin::here(), missing }
    }

    /// Takes memory in that came for a reply, if there is room. The error: it is not what a worker hands over.
    pub(crate) fn add(&mut self, reply: u64, id: u64, file: UntrustedFile, length: u64) -> Result<(), system::Unfit> {
        system::check_sealed(&file, length)?;
        // It is memory: its close never blocks.
        let file = file.into_trusted();
        if self.replies.get(&reply).is_some_and(|came| came.contains(&id)) {
            return Ok(());
        }
        let more = if self.known.contains_key(&id) { 0 } else { length };
        if !self.budget.lock().take(self.pieces, self.bytes, more) {
            self.missing = Missing::OverBudget { pieces: self.pieces, bytes: self.bytes };
            return Ok(());
        }
        self.pieces += 1;
        self.bytes += more;
        self.replies.entry(reply).or_default().insert(id);
        let arrival = || Arrival { memory: Arc::new(Arrived::new(file, length)), replies: 0 };
        self.known.entry(id).or_insert_with(arrival).replies += 1;
        Ok(())
    }

    /// Notes why no more memory comes.
    pub(crate) fn note_violation(&mut self, violation: Violation) {
        self.missing = Missing::Refused(violation);
    }

    /// Returns the memory of that number. The error says why it may be missing.
    pub(crate) fn find(&self, id: u64) -> Result<Arc<Arrived>, String> {
        match self.known.get(&id) {
            Some(arrival) => Ok(arrival.memory.clone()),
            None => Err(self.missing.to_string()),
        }
    }

    /// Gives up the descriptors of what was not read, without closing them.
    pub(crate) fn leave(&self) {
        for arrival in self.known.values() {
            arrival.memory.file.lock().take().into_iter().for_each(leave);
        }
    }

    /// Notes that a reply is done with. Returns what came for no other reply, to be dropped with no lock held.
    #[must_use]
    pub(crate) fn release(&mut self, reply: u64) -> Vec<Arc<Arrived>> {
        let Some(came) = self.replies.remove(&reply) else { return Vec::new() };
        let mut gone = Vec::new();
        for id in &came {
            let Some(arrival) = self.known.get_mut(id) else { continue };
            arrival.replies -= 1;
            if arrival.replies == 0
                && let Some(arrival) = self.known.remove(id)
            {
                gone.push(arrival.memory);
            }
        }
        let bytes = gone.iter().map(|memory| memory.length).sum();
        self.pieces -= came.len();
        self.bytes -= bytes;
        self.budget.lock().give_back(came.len(), bytes);
        gone
    }

    /// Returns how much is kept for the reply of that number, or for all.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn count(&self, reply: Option<u64>) -> usize {
        reply.map_or(self.pieces, |reply| self.replies.get(&reply).map_or(0, HashSet::len))
    }
}

impl Arrived {
    fn new(file: Option<OwnedFd>, length: u64) -> Self {
        Self { length, file: Mutex::new(file), mapped: OnceLock::new() }
    }

    /// Returns the memory, mapped.
    pub(crate) fn read(&self, id: u64) -> Result<Arc<Buffer>, String> {
        let map = || {
            let file = self.file.lock().take().ok_or("it is read already")?;
            Buffer::map(id, file, self.length).map(Arc::new).map_err(|error| error.to_string())
        };
        self.mapped.get_or_init(map).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrivals, Budget};
    use parking_lot::Mutex;
    use process_core::memory::Buffer;
    use process_core::system::Unfit;
    use process_core::untrusted_file::{UntrustedFile, handed_on};

    /// Adds memory that is said to be so long, for the reply of that number.
    fn add_for(arrivals: &mut Arrivals, reply: u64, id: u64, length: usize, said: u64) -> Result<(), Unfit> {
        let made = Buffer::copy_of(&vec![7; length]).unwrap();
        arrivals.add(reply, id, UntrustedFile::new(made.file().try_clone().unwrap()), said)
    }

    /// Each for a reply of its own.
    fn add(arrivals: &mut Arrivals, id: u64, length: usize, said: u64) -> Result<(), Unfit> {
        add_for(arrivals, id, id, length, said)
    }

    fn budget(most_files: usize, most_bytes: u64) -> &'static Mutex<Budget> {
        Box::leak(Box::new(Mutex::new(Budget { workers: 0, files: 0, bytes: 0, most_files, most_bytes })))
    }

    #[test]
    fn one_worker_may_hand_over_so_much_until_it_is_read() {
        let mut arrivals = Arrivals::within(budget(6, 20_000));
        // One alone may be larger.
        assert_eq!(add(&mut arrivals, 1, 20_001, 20_001), Ok(()));
        assert_eq!(add(&mut arrivals, 2, 1, 1), Ok(()));
        let refused = arrivals.find(2).unwrap_err();
        assert!(refused.contains("1 pieces") && refused.contains("20001 bytes"), "{refused}");
        assert_eq!(arrivals.find(1).unwrap().read(1).unwrap().bytes(), [7; 20_001]);
        // For another reply, and once more for that one: it is there already, and costs no bytes.
        for _ in 0..2 {
            assert_eq!(add_for(&mut arrivals, 9, 1, 20_001, 20_001), Ok(()));
        }
        assert_eq!((arrivals.count(None), arrivals.count(Some(9)), arrivals.bytes), (2, 1, 20_001));
        assert!(arrivals.release(9).is_empty() && arrivals.release(9).is_empty() && arrivals.release(2).is_empty());
        assert_eq!(arrivals.release(1).len(), 1);
        assert_eq!((arrivals.count(None), arrivals.bytes), (0, 0));
        for id in 1..5 {
            assert_eq!(add(&mut arrivals, id, 1, 1), Ok(()));
        }
        assert!(arrivals.find(3).is_ok() && arrivals.find(4).is_err());
        assert_eq!(add(&mut arrivals, 5, 1, 2), Err(Unfit::OtherLength));
    }

    /// However many workers there are, they have no more than one budget; and the first leaves something for the others.
    #[test]
    fn all_workers_together_have_one_budget() {
        let (most_files, most_bytes) = (32, 3200);
        for (length, most) in [(1, 32), (200, 16)] {
            let budget = budget(most_files, most_bytes);
            let mut workers: Vec<_> = (0..4).map(|_| Arrivals::within(budget)).collect();
            let mut had = Vec::new();
            for worker in &mut workers {
                for id in 0..50 {
                    assert_eq!(add(worker, id, length, length as u64), Ok(()));
                }
                had.push(worker.known.len());
            }
            assert!(had[0] < most && had[1..].iter().all(|&files| files >= most / 8), "{had:?}");
            assert!(had.iter().sum::<usize>() <= most, "{had:?}");
            // What one of them had is there for the others again.
            drop(workers.remove(0));
            assert_eq!(add(&mut workers[0], 100, length, length as u64), Ok(()));
            assert!(workers[0].find(100).is_ok());
            drop(workers);
            let left = budget.lock();
            assert_eq!((left.workers, left.files, left.bytes), (0, 0, 0));
        }
    }

    /// Memory without bytes costs descriptors all the same.
    #[test]
    fn one_worker_never_takes_all_descriptors() {
        let budget = budget(32, 3200);
        let mut workers = [Arrivals::within(budget), Arrivals::within(budget)];
        for id in 0..50 {
            assert_eq!(add(&mut workers[0], id, 0, 0), Ok(()));
        }
        assert_eq!(workers[0].count(None), 16);
        assert_eq!(add(&mut workers[1], 1, 1, 1), Ok(()));
        assert_eq!(workers[1].count(None), 1);
    }

    /// All that came for a reply goes with it, but for what came for another, too.
    #[test]
    fn what_came_for_a_reply_is_freed_with_it() {
        let budget = budget(32, 3200);
        let counted = || {
            let budget = budget.lock();
            (budget.files, budget.bytes)
        };
        let mut arrivals = Arrivals::within(budget);
        for (reply, id) in [(1, 10), (1, 11), (1, 12), (2, 12), (2, 13)] {
            assert_eq!(add_for(&mut arrivals, reply, id, 100, 100), Ok(()));
        }
        assert_eq!(counted(), (5, 400));
        assert_eq!(arrivals.release(1).len(), 2);
        assert!(arrivals.find(11).is_err() && arrivals.find(12).is_ok());
        assert_eq!(counted(), (2, 200));
        assert_eq!(arrivals.release(2).len(), 2);
        assert_eq!(counted(), (0, 0));
    }

    /// No thread is started to close memory that was checked: known already, never read, or left behind.
    #[test]
    fn checked_memory_is_closed_where_it_is_dropped() {
        let mut arrivals = Arrivals::default();
        for id in [1, 1, 2, 3] {
            assert_eq!(add(&mut arrivals, id, 1, 1), Ok(()));
        }
        assert_eq!(arrivals.release(1).len(), 1);
        assert_eq!(arrivals.release(2).len(), 1);
        drop(arrivals);
        assert_eq!(handed_on(), 0);
        // What fails the check is closed elsewhere.
        assert_eq!(add(&mut Arrivals::default(), 4, 1, 2), Err(Unfit::OtherLength));
        assert_eq!(handed_on(), 1);
    }
}
