//! Which task goes to which worker: the queue, the workers' rings, and the counters, all under one lock, which is held for a few
//! hundred nanoseconds at a time and never while user code runs.
//!
//! ```text
//!  submit ─► queue ─ deal ─► ring of a worker ─ collect ─► batch ─► finished outside the lock
//!              ▲               │
//!              └─ take back ───┘  not begun, while another worker has nothing to do; or the worker died
//! ```
//! A worker gets tasks while it still runs another, so that it need not wait for the next: some 100 µs of work, or one task if
//! tasks take longer (`choosing.rs`). What was dealt and not begun can be taken back at any time (`balance.rs`).

mod accounts;
mod balance;
pub(crate) mod batch;
pub(crate) mod capacity;
mod choosing;
mod collecting;
mod ending;
pub(crate) mod entry;
pub(crate) mod functions;
pub(crate) mod lending;
pub(crate) mod next_wakeup;
mod preparation;
mod preparing;
pub(crate) mod relay;
mod relaying;
mod revoking;
mod rights;
pub(crate) mod ring;
pub(crate) mod seat;
pub(crate) mod wakes;
pub(crate) mod whereabouts;

use crate::dispatch::capacity::Capacity;
use crate::dispatch::entry::Entry;
use crate::dispatch::functions::FunctionTable;
use crate::dispatch::next_wakeup::NextWakeup;
use crate::dispatch::preparation::Preparation;
use crate::dispatch::seat::Seat;
use crate::dispatch::wakes::Wakes;
use crate::dispatch::whereabouts::Whereabouts;
use executor_core::{BrokenExecutor, Stats};
use std::collections::VecDeque;
use std::time::Instant;

/// The pool is broken for a while.
#[derive(Debug)]
pub(crate) struct Halt {
    pub(crate) broken: BrokenExecutor,
    /// When tasks are taken again.
    pub(crate) end: Option<Instant>,
}

/// All that is under the lock.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) queue: VecDeque<Entry>,
    pub(crate) seats: Vec<Option<Seat>>,
    pub(crate) functions: FunctionTable,
    pub(crate) capacity: Capacity,
    pub(crate) stats: Stats,
    /// No more tasks are taken.
    pub(crate) closed: bool,
    /// No tasks are taken for a while.
    pub(crate) halt: Option<Halt>,
    /// No worker is started any more, and the present ones are ended.
    pub(crate) stopping: bool,
    /// Submissions under way, which still get in.
    pub(crate) entering: usize,
    /// Workers that should be started.
    pub(crate) wanted: usize,
    /// Workers are being started: they have no seat yet, and may be processes already.
    pub(crate) starting: bool,
    /// The tasks of one worker before it is replaced.
    pub(crate) most_tasks: u64,
    /// A worker is given a task only when it has none.
    pub(crate) one_by_one: bool,
    pub(crate) next_wakeup: NextWakeup,
    /// How many tasks in the queue were revoked.
    revoked: usize,
    /// Tombstones of revoked tasks, to be dropped outside the lock.
    tombstones: Vec<Entry>,
    preparation: Preparation,
    /// Chunks of `map` may be in flight.
    has_chunks: bool,
}

impl Dispatch {
    pub(crate) fn new(workers: usize, queue_capacity: Option<usize>, most_tasks: u64, next_wakeup: NextWakeup) -> Self {
        Self {
            queue: VecDeque::new(),
            seats: (0..workers).map(|_| None).collect(),
            functions: FunctionTable::default(),
            capacity: Capacity { limit: queue_capacity, ..Capacity::default() },
            stats: Stats::default(),
            closed: false,
            halt: None,
            stopping: false,
            entering: 0,
            wanted: 0,
            starting: false,
            most_tasks,
            one_by_one: false,
            next_wakeup,
            revoked: 0,
            tombstones: Vec::new(),
            preparation: Preparation::None,
            has_chunks: false,
        }
    }

    /// Takes a task in, which has been counted against the capacity.
    pub(crate) fn push(&mut self, entry: Entry, wakes: &mut Wakes) {
        self.stats.queued += 1;
        entry.move_to(Whereabouts::Queued);
        if !self.has_no_backlog() {
            // There is a backlog; whoever frees a slot deals it.
            self.queue.push_back(entry);
            return self.want_workers(wakes);
        }
        if !entry.payload.needs_shared_memory()
            && let Some(index) = self.choose(&entry)
        {
            self.put(index, entry, wakes);
            return self.watch_those_behind(wakes);
        }
        self.queue.push_back(entry);
        self.deal(wakes);
    }

    /// Returns why the pool is broken for now, if it is.
    pub(crate) fn halted(&self) -> Option<&BrokenExecutor> {
        let halt = self.halt.as_ref()?;
        let is_over = halt.end.is_some_and(|end| end <= Instant::now());
        (!is_over).then_some(&halt.broken)
    }

    /// Returns whether no task waits for a worker.
    pub(crate) fn has_no_backlog(&self) -> bool {
        self.queue.is_empty() && self.preparation == Preparation::None
    }

    /// Hands queued tasks to workers as long as one can take them.
    pub(crate) fn deal(&mut self, wakes: &mut Wakes) {
        self.advance_older(wakes);
        while self.preparation == Preparation::None
            && let Some(entry) = self.queue.pop_front()
        {
            if entry.is_at(Whereabouts::Revoked) {
                self.revoked -= 1;
                self.tombstone(entry);
                // The end of the pool may wait for that.
                wakes.supervisor |= self.closed;
                continue;
            }
            if entry.stopping || (entry.begun && entry.task.is_stop_requested()) {
                self.note_unqueued(&entry);
                entry.move_to(Whereabouts::InHand);
                self.tombstone(entry);
                wakes.capacity_freed = true;
                wakes.supervisor = true;
                continue;
            }
            match self.choose(&entry) {
                Some(_) if entry.payload.needs_shared_memory() => {
                    self.preparation = Preparation::UnderWay;
                    if entry.is_at(Whereabouts::Queued) {
                        entry.move_to(Whereabouts::Preparing);
                    }
                    wakes.prepare = Some(entry);
                }
                Some(index) => self.put(index, entry, wakes),
                None => {
                    self.queue.push_front(entry);
                    break;
                }
            }
        }
        self.want_workers(wakes);
        self.watch_those_behind(wakes);
    }

    /// Hands a task to a worker, or puts it back at the front of the queue.
    fn put(&mut self, index: usize, entry: Entry, wakes: &mut Wakes) {
        let is_first_for_long = self.next_wakeup.must_call(self.next_wakeup.limit_of(&entry));
        wakes.supervisor |= is_first_for_long;
        if is_first_for_long && self.retire_outdated() {
            return self.queue.push_front(entry);
        }
        self.has_chunks = self.has_chunks || entry.task.has_items();
        let Some(seat) = self.seats[index].as_mut() else { return self.queue.push_front(entry) };
        if let Some(relay) = seat.relay.clone() {
            return self.load_relay(index, relay, entry, wakes);
        }
        if entry.needs_memory() && !self.lend_to(index, &entry, wakes) {
            return self.queue.push_front(entry);
        }
        let Some(seat) = self.seats[index].as_mut() else { return };
        seat.full = None;
        let starts = seat.ring.depth() == 0;
        seat.ring.put(entry, &self.functions, index);
        seat.dealt += 1;
        seat.idle_since = None;
        if starts {
            self.begin(index, wakes);
        }
    }

    /// Counts the oldest task of a ring as begun, as far as the capacity is concerned.
    fn begin(&mut self, index: usize, wakes: &mut Wakes) {
        let Some(seat) = self.seats[index].as_mut() else { return };
        if seat.ring.begin_oldest() {
            self.count_unqueued(1);
            wakes.capacity_freed = true;
        }
    }

    /// Puts a task that was dealt at the front of the queue.
    pub(crate) fn put_back(&mut self, entry: Entry) {
        entry.move_to(if entry.begun { Whereabouts::Requeued } else { Whereabouts::Queued });
        self.queue.push_front(entry);
    }
}
