//! Memory that one worker has handed over, from its arrival until the replies that name it have been read.
//!
//! Whoever reads the worker's socket only checks it; it is mapped by the thread that decodes the reply.

use crate::buffer::Buffer;
use crate::system::{self, leave};
use crate::untrusted_file::UntrustedFile;
use crate::violation::Violation;
use executor_core::fork::{Origin, PerProcess};
use parking_lot::Mutex;
use rustix::fd::OwnedFd;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// All of it, by number.
#[derive(Debug)]
pub(crate) struct Arrivals {
    known: HashMap<u64, Arrival>,
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
    /// No more than so many, since each costs this process a descriptor.
    most_files: usize,
    /// No more bytes than that, unless they are one worker's only piece.
    most_bytes: u64,
}

static BUDGET: PerProcess<Mutex<Budget>> = PerProcess::new(|| Mutex::new(Budget::of_this_process()));

impl Budget {
    /// Half of the descriptors that this process may have, and half of the machine's memory.
    fn of_this_process() -> Self {
        let allowed = system::limit_of(libc::RLIMIT_NOFILE);
        let most_files = allowed.and_then(|allowed| usize::try_from(allowed / 2).ok()).unwrap_or(usize::MAX);
        let most_bytes = system::physical_memory().map_or(u64::MAX, |all| all / 2);
        Self { workers: 0, files: 0, bytes: 0, most_files, most_bytes }
    }

    /// Counts one more piece of a worker that has `files` of `bytes` together, if there is room for it. Each worker may take
    /// from the first half. The second half is for those that have less than their share of it: so one worker alone never
    /// takes all.
    fn take(&mut self, files: usize, bytes: u64, length: u64) -> bool {
        let workers = self.workers.max(1);
        let bytes_with = bytes.saturating_add(length);
        let all_bytes = self.bytes.saturating_add(length);
        let has_share = files < self.most_files / 2 / workers && bytes_with <= self.most_bytes / 2 / workers as u64;
        let fits = |part: u64| self.files < self.most_files / part as usize && all_bytes <= self.most_bytes / part;
        let is_only = bytes == 0 && self.files < self.most_files;
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
    /// In how many replies it is.
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
                 and may not more"
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
        budget.give_back(self.known.len(), self.bytes);
    }
}

impl Arrivals {
    fn within(budget: &'static Mutex<Budget>) -> Self {
        budget.lock().workers += 1;
        let (known, bytes, missing) = Default::default();
        Self { known, bytes, budget, origin: Origin::here(), missing }
    }

    /// Takes memory in, if there is room. The error: it is not what a worker hands over.
    pub(crate) fn add(&mut self, id: u64, file: UntrustedFile, length: u64) -> Result<(), system::Unfit> {
        system::check_sealed(&file, length)?;
        // It is memory: whoever drops it closes it at once.
        let file = file.into_trusted();
        if let Some(known) = self.known.get_mut(&id) {
            known.replies += 1;
            return Ok(());
        }
        if !self.budget.lock().take(self.known.len(), self.bytes, length) {
            self.missing = Missing::OverBudget { pieces: self.known.len(), bytes: self.bytes };
            return Ok(());
        }
        self.bytes += length;
        self.known.insert(id, Arrival { memory: Arc::new(Arrived::new(file, length)), replies: 1 });
        Ok(())
    }

    /// Notes why no more memory comes.
    pub(crate) fn note_violation(&mut self, violation: Violation) {
        self.missing = Missing::Refused(violation);
    }

    /// The memory of that number. The error says why it may not be there.
    pub(crate) fn find(&self, id: u64) -> Result<Arc<Arrived>, String> {
        match self.known.get(&id) {
            Some(arrival) => Ok(arrival.memory.clone()),
            None => Err(self.missing.to_string()),
        }
    }

    /// Leaves the numbers of what was not read alone.
    pub(crate) fn leave(&self) {
        for arrival in self.known.values() {
            arrival.memory.file.lock().take().into_iter().for_each(leave);
        }
    }

    /// Replies that name these have been read. Returns what is in no other, to be dropped with no lock held.
    #[must_use]
    pub(crate) fn release(&mut self, used: &[u64]) -> Vec<Arc<Arrived>> {
        let mut gone = Vec::new();
        for id in used {
            let Some(arrival) = self.known.get_mut(id) else { continue };
            arrival.replies -= 1;
            if arrival.replies == 0
                && let Some(arrival) = self.known.remove(id)
            {
                self.bytes -= arrival.memory.length;
                self.budget.lock().give_back(1, arrival.memory.length);
                gone.push(arrival.memory);
            }
        }
        gone
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
    use crate::buffer::Buffer;
    use crate::system::Unfit;
    use crate::untrusted_file::{UntrustedFile, handed_on};
    use parking_lot::Mutex;

    fn add(arrivals: &mut Arrivals, id: u64, length: usize, said: u64) -> Result<(), Unfit> {
        let made = Buffer::copy_of(&vec![7; length]).unwrap();
        arrivals.add(id, UntrustedFile::new(made.file().try_clone().unwrap()), said)
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
        // In two replies.
        assert_eq!(add(&mut arrivals, 1, 20_001, 20_001), Ok(()));
        assert!(arrivals.release(&[1]).is_empty());
        assert_eq!(arrivals.release(&[1, 2, 3]).len(), 1);
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

    /// No thread is started to close memory that was checked: known already, never read, or left behind.
    #[test]
    fn checked_memory_is_closed_where_it_is_dropped() {
        let mut arrivals = Arrivals::default();
        for id in [1, 1, 2, 3] {
            assert_eq!(add(&mut arrivals, id, 1, 1), Ok(()));
        }
        drop(arrivals.release(&[1]));
        drop(arrivals.release(&[1, 2]));
        drop(arrivals);
        assert_eq!(handed_on(), 0);
        // What fails the check is closed elsewhere.
        assert_eq!(add(&mut Arrivals::default(), 4, 1, 2), Err(Unfit::OtherLength));
        assert_eq!(handed_on(), 1);
    }
}
