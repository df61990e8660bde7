//! Which task goes to which worker: the queue, the workers' rings, and the counters, all under one lock that is held for
//! a few hundred nanoseconds at a time and never while user code runs.
//!
//! ```text
//!  submit ─► queue ─ deal ─► ring of a worker ─ collect ─► batch ─► finished outside the lock
//!              ▲               │
//!              └─ take back ───┘  not begun, while another worker has nothing to do; or the worker died
//! ```
//! A worker gets a task while it still runs another, so that it need not wait for the next: about `AHEAD` of work, or one
//! task more if tasks take longer. What was dealt and not begun can be taken back at any time.

mod balance;
pub(crate) mod batch;
pub(crate) mod capacity;
pub(crate) mod entry;
mod lending;
pub(crate) mod next_wakeup;
pub(crate) mod relay;
mod relaying;
mod rights;
pub(crate) mod ring;
pub(crate) mod seat;
pub(crate) mod wakes;
pub(crate) mod whereabouts;

use crate::dispatch::batch::{Batch, Counted};
use crate::dispatch::capacity::Capacity;
use crate::dispatch::entry::Entry;
use crate::dispatch::next_wakeup::NextWakeup;
use crate::dispatch::ring::Ring;
use crate::dispatch::seat::{Seat, SeatState};
use crate::dispatch::wakes::Wakes;
use crate::dispatch::whereabouts::Whereabouts;
use crate::function::FunctionTable;
use crate::protocol::layout::SLOTS;
use executor_core::remote::Token;
use executor_core::{BrokenExecutor, Stats};
pub(crate) use lending::TRY_AGAIN;
use std::collections::VecDeque;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

/// How much work a worker is given ahead, in nanoseconds.
const AHEAD: u64 = 100_000;
/// Tasks that take less are kept together with one worker, as long as it has less than this to do: waking another
/// costs more.
const CHEAP: u32 = 10_000;

/// What becomes of the large task that was at the front of the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Preparation {
    /// There is none.
    #[default]
    None,
    /// A thread moves its input to shared memory.
    UnderWay,
    /// The same, and it is to be cancelled then, if it has not begun.
    ToBeCancelled,
}

/// The pool is broken for a while.
#[derive(Debug)]
pub(crate) struct Halt {
    pub(crate) broken: BrokenExecutor,
    /// When it is tried again.
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
    /// No worker is started any more, and those there are are ended.
    pub(crate) stopping: bool,
    /// Submissions under way: they still get in.
    pub(crate) entering: usize,
    /// Workers that should be started.
    pub(crate) wanted: usize,
    /// Some are being started: they have no seat yet, and may be processes already.
    pub(crate) starting: bool,
    /// Tasks of one worker before it is replaced.
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
            capacity: Capacity { capacity: queue_capacity, ..Capacity::default() },
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

    /// Takes a task in; its room is taken already.
    pub(crate) fn push(&mut self, entry: Entry, wakes: &mut Wakes) {
        self.stats.queued += 1;
        entry.move_to(Whereabouts::Queued);
        if !self.has_no_backlog() {
            // Nobody could take those before it when it was last looked, and whoever makes room deals.
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

    /// Why the pool is broken for now, if it is.
    pub(crate) fn halted(&self) -> Option<&BrokenExecutor> {
        let halt = self.halt.as_ref()?;
        let is_over = halt.end.is_some_and(|end| end <= Instant::now());
        (!is_over).then_some(&halt.broken)
    }

    /// Whether no task waits for a worker.
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
                // The end may wait for that.
                wakes.supervisor |= self.closed;
                continue;
            }
            if entry.stopping || (entry.begun && entry.task.is_stop_requested()) {
                self.note_unqueued(&entry);
                Counted::Cancelled.of(&entry.task).add_to(&mut self.stats);
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

    /// A large task is in a buffer now.
    pub(crate) fn end_preparing(&mut self, entry: Entry, wakes: &mut Wakes) {
        self.give_up_preparing(entry, wakes);
        self.deal(wakes);
    }

    /// Puts a task that was taken out to be prepared back as it is.
    pub(crate) fn give_up_preparing(&mut self, entry: Entry, wakes: &mut Wakes) {
        let is_over = self.leave_preparing(&entry, wakes);
        self.requeue_prepared(entry, is_over, wakes);
    }

    /// The task that was taken out to be prepared is here again; true: it was revoked meanwhile, or is to be cancelled.
    fn leave_preparing(&mut self, entry: &Entry, wakes: &mut Wakes) -> bool {
        wakes.supervisor |= self.closed;
        let preparation = std::mem::take(&mut self.preparation);
        if preparation == Preparation::ToBeCancelled && entry.is_at(Whereabouts::Preparing) {
            entry.move_to(Whereabouts::Withdrawn);
        }
        matches!(entry.whereabouts(), Whereabouts::Revoked | Whereabouts::Withdrawn)
    }

    /// It goes back to the front, unless it is over.
    fn requeue_prepared(&mut self, entry: Entry, is_over: bool, wakes: &mut Wakes) {
        if is_over {
            self.tombstone(entry);
            // It is large: whoever comes next may be long in coming.
            wakes.supervisor = true;
        } else {
            self.put_back(entry);
        }
    }

    /// There was no buffer to be had for a large task. If others are in flight, it waits until one of them is over; else it
    /// is given back.
    pub(crate) fn put_off_preparing(&mut self, entry: Entry, wakes: &mut Wakes) -> Option<Entry> {
        let is_over = self.leave_preparing(&entry, wakes);
        if is_over || self.has_work_in_flight() {
            self.requeue_prepared(entry, is_over, wakes);
            return None;
        }
        self.note_unqueued(&entry);
        wakes.capacity_freed = true;
        Counted::Failed.of(&entry.task).add_to(&mut self.stats);
        entry.move_to(Whereabouts::InHand);
        self.deal(wakes);
        Some(entry)
    }

    /// Queued tasks that no worker can take now call for another worker.
    fn want_workers(&mut self, wakes: &mut Wakes) {
        if self.queue.is_empty() || self.stopping {
            self.wanted = 0;
            return;
        }
        let starting = self.seats.iter().flatten().filter(|seat| seat.state == SeatState::Starting).count();
        let free = self.seats.iter().filter(|seat| seat.is_none()).count();
        let wanted = self.queue.len().saturating_sub(starting).min(free);
        if wanted > self.wanted {
            wakes.supervisor = true;
        }
        self.wanted = wanted;
    }

    /// How many workers are to be started, unless what they were wanted for has gone meanwhile.
    pub(crate) fn still_wanted(&mut self) -> usize {
        if self.queue.is_empty() || self.stopping {
            self.wanted = 0;
        }
        self.wanted
    }

    /// The worker for a task, if one can take it now.
    fn choose(&self, entry: &Entry) -> Option<usize> {
        if self.one_by_one {
            return self.seats.iter().position(|seat| seat.as_ref().is_some_and(|seat| seat.is_free(self.most_tasks)));
        }
        let cost = self.functions.get(entry.function).estimate;
        // Each large input that waits with a worker costs a descriptor here and there.
        let is_large = entry.payload.needs_shared_memory() || entry.buffers().next().is_some();
        let most_ahead = if is_large { 1 } else { SLOTS };
        let (mut idle, mut may_start) = (None, false);
        let mut ahead: Option<(usize, u64, bool)> = None;
        for (index, seat) in self.seats.iter().enumerate() {
            let Some(seat) = seat else {
                may_start = true;
                continue;
            };
            // One that leaves makes room for another.
            may_start |= seat.state != SeatState::Ready || seat.dealt >= self.most_tasks;
            if !seat.takes_tasks(self.most_tasks) || !seat.may_be_lent() || seat.stuck || seat.ring.depth() > most_ahead
            {
                continue;
            }
            let load = seat.ring.load();
            if seat.ring.depth() == 0 {
                idle = idle.or(Some(index));
            } else if load + u64::from(cost) <= AHEAD && ahead.is_none_or(|(_, least, _)| load < least) {
                ahead = Some((index, load, seat.ring.has_room_for(entry)));
            }
        }
        // Cheap tasks stay with a worker that is at work on such, as long as it has little to do: to wake another would cost
        // more than to wait for it.
        if let Some((index, load, has_room)) = ahead
            && (idle.is_none() || (cost <= CHEAP && load <= AHEAD / 2))
        {
            return has_room.then_some(index);
        }
        if idle.is_some() || (may_start && !self.stopping) {
            return idle;
        }
        // All are busy: one task lies ready behind the one that runs.
        let next = self.seats.iter().enumerate().filter_map(|(index, seat)| Some((index, seat.as_ref()?)));
        next.filter(|(_, seat)| seat.takes_tasks(self.most_tasks) && seat.may_be_lent() && seat.ring.depth() == 1)
            .find(|(_, seat)| seat.ring.has_room_for(entry))
            .map(|(index, _)| index)
    }

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

    /// The oldest task of a ring begins, as far as the queue's bound is concerned.
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

    /// Drops what is left of revoked tasks if there is nothing else in the queue.
    pub(crate) fn drop_revoked(&mut self) {
        if self.revoked > 0 && self.revoked == self.queue.len() {
            self.revoked = 0;
            debug_assert!(self.queue.iter().all(|entry| entry.is_at(Whereabouts::Revoked)), "none is lost");
            self.tombstones.extend(std::mem::take(&mut self.queue));
        }
    }

    /// What is left of a revoked task goes with the next batch.
    pub(crate) fn tombstone(&mut self, entry: Entry) {
        self.tombstones.push(entry);
    }

    /// Takes all replies there are.
    pub(crate) fn collect(&mut self, batch: &mut Batch, wakes: &mut Wakes) {
        self.drop_revoked();
        batch.tombstones.append(&mut self.tombstones);
        for index in 0..self.seats.len() {
            self.collect_from(index, batch, wakes);
        }
    }

    /// Before the lock is let go: workers that sleep while there is something to do for them.
    pub(crate) fn find_sleepers(&mut self, wakes: &mut Wakes) {
        let mut rings = self.seats.iter_mut().flatten().map(|seat| &mut seat.ring).filter(|ring| ring.may_sleep());
        let Some(first) = rings.next() else { return };
        // ORDERING: see `take_sleeper`. One fence for all that was dealt.
        fence(Ordering::SeqCst);
        for ring in std::iter::once(first).chain(rings) {
            if ring.take_sleeper() {
                wakes.workers.push(ring.shared().clone());
            }
        }
    }

    /// Takes the replies of one worker.
    pub(crate) fn collect_from(&mut self, index: usize, batch: &mut Batch, wakes: &mut Wakes) {
        let Some(seat) = self.seats[index].as_mut() else { return };
        if !seat.ring.has_results(1) {
            return;
        }
        seat.stuck = false;
        let (bytes, tasks) = (batch.bytes.len(), batch.collected.len());
        let begun = seat.ring.collect(&mut self.functions, &seat.link, seat.relay.as_ref(), batch);
        wakes.capacity_freed |= begun > 0;
        seat.done += (batch.collected.len() - tasks) as u64;
        let is_idle = seat.ring.depth() == 0;
        if is_idle && let Some(keep_alive) = self.next_wakeup.keep_alive() {
            seat.idle_since = Some(Instant::now());
            wakes.supervisor |= self.next_wakeup.must_call(Some(keep_alive));
        }
        self.stats.bytes_received += (batch.bytes.len() - bytes) as u64;
        for collected in &batch.collected[tasks..] {
            collected.counted(&batch.bytes).add_to(&mut self.stats);
            // As long as the worker says.
            let out_of_band = collected.bytes_out_of_band();
            self.stats.bytes_received = self.stats.bytes_received.saturating_add(out_of_band);
        }
        let may_leave = seat.state == SeatState::Leaving || seat.dealt >= self.most_tasks || (self.closed && is_idle);
        wakes.supervisor |= may_leave;
        self.count_unqueued(begun as usize);
        self.begin(index, wakes);
    }

    /// Revokes a task that is about to be cancelled or to expire. Returns false if that comes too late.
    pub(crate) fn revoke(&mut self, token: &Token) -> bool {
        let revoked = match Whereabouts::read(token) {
            Whereabouts::Queued => {
                self.revoked += 1;
                true
            }
            Whereabouts::Entering | Whereabouts::Preparing | Whereabouts::Withdrawn => true,
            Whereabouts::InRing { worker, slot } => self.ring_of(worker).is_some_and(|ring| ring.revoke_unbegun(slot)),
            Whereabouts::InHand | Whereabouts::Requeued | Whereabouts::Revoked => false,
        };
        if revoked {
            self.count_unqueued(1);
            Whereabouts::Revoked.write(token);
        }
        revoked
    }

    /// Returns whether a task has begun.
    pub(crate) fn has_begun(&self, token: &Token) -> bool {
        match Whereabouts::read(token) {
            Whereabouts::InHand | Whereabouts::Requeued => true,
            Whereabouts::InRing { worker, slot } => {
                self.seats.get(worker).and_then(Option::as_ref).is_some_and(|seat| seat.ring.has_begun(slot))
            }
            Whereabouts::Entering
            | Whereabouts::Queued
            | Whereabouts::Preparing
            | Whereabouts::Withdrawn
            | Whereabouts::Revoked => false,
        }
    }

    /// Raises the flag of a task that has begun; with `end_worker`, has its worker ended.
    pub(crate) fn ask_to_stop(&mut self, token: &Token, end_worker: bool) {
        match Whereabouts::read(token) {
            Whereabouts::InRing { worker, slot } => {
                if let Some(ring) = self.ring_of(worker) {
                    ring.ask_to_stop(slot, end_worker);
                }
            }
            Whereabouts::Queued if end_worker => {
                // The stop came while we believed it was running; its worker died before starting it.
                let queued = self.queue.iter_mut().find(|entry| std::ptr::eq(entry.task.token(), token));
                queued.into_iter().for_each(|entry| entry.stopping = true);
            }
            _ => {}
        }
    }

    fn ring_of(&mut self, worker: usize) -> Option<&mut Ring> {
        self.seats.get_mut(worker)?.as_mut().map(|seat| &mut seat.ring)
    }

    /// Whether a worker has left results, so many at least.
    pub(crate) fn has_results(&self, least: u64) -> bool {
        self.seats.iter().flatten().any(|seat| seat.ring.has_results(least))
    }

    /// A submitted task is in: it has its room, taken just now unless it was `entered` before.
    pub(crate) fn admit(&mut self, entered: bool) {
        if entered {
            self.entering -= 1;
        } else {
            self.capacity.used += 1;
        }
    }

    /// A task that had taken room goes no further.
    pub(crate) fn leave_room(&mut self, wakes: &mut Wakes) {
        self.capacity.release(1);
        wakes.capacity_freed = true;
    }

    /// A task that counted as begun is queued again.
    pub(crate) fn note_queued(&mut self) {
        self.stats.queued += 1;
        self.capacity.used += 1;
    }

    /// A task leaves the queue without having begun.
    pub(crate) fn note_unqueued(&mut self, entry: &Entry) {
        if !entry.begun {
            self.count_unqueued(1);
        }
    }

    /// So many tasks wait no longer, and give their room back.
    fn count_unqueued(&mut self, tasks: usize) {
        self.stats.queued = self.stats.queued.saturating_sub(tasks);
        self.capacity.release(tasks);
    }

    /// Takes all tasks that have not begun, from the queue and from the workers, for whoever cancels them.
    pub(crate) fn take_unbegun(&mut self) -> Vec<Entry> {
        if self.preparation == Preparation::UnderWay {
            self.preparation = Preparation::ToBeCancelled;
        }
        for index in 0..self.seats.len() {
            self.take_back(index, SLOTS);
        }
        let (begun, unbegun): (Vec<_>, Vec<_>) = self.take_back_queue().into_iter().partition(|entry| entry.begun);
        self.queue.extend(begun);
        unbegun
    }

    /// Empties the queue: what was revoked is dropped, what has not begun is to be cancelled by whoever gets it.
    pub(crate) fn take_back_queue(&mut self) -> Vec<Entry> {
        let mut taken = Vec::new();
        for entry in std::mem::take(&mut self.queue) {
            match entry.whereabouts() {
                Whereabouts::Revoked => self.tombstones.push(entry),
                Whereabouts::Queued => {
                    entry.move_to(Whereabouts::Withdrawn);
                    taken.push(entry);
                }
                _ => taken.push(entry),
            }
        }
        self.revoked = 0;
        taken
    }

    /// When a worker without a task is to end: at once (zero), after a while, or not by itself.
    ///
    /// `in_hand`: tasks that came back and are not finished; they may have to be run again.
    pub(crate) fn wants_to_leave(
        &self,
        index: usize,
        keep_alive: Option<Duration>,
        now: Instant,
        in_hand: usize,
    ) -> Option<Duration> {
        let seat = self.seats[index].as_ref()?;
        if seat.state == SeatState::Starting || seat.lost {
            // It is welcomed first, and told then; or it hears nothing any more.
            return None;
        }
        let over = self.is_drained() && in_hand == 0 && !self.has_work_in_flight();
        if over || self.stopping || seat.state == SeatState::Leaving || seat.dealt >= self.most_tasks {
            return Some(Duration::ZERO);
        }
        Some(keep_alive?.saturating_sub(now - seat.idle_since?))
    }

    /// Whether there is nothing left to do, and nobody to do it.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_drained() && !self.starting && self.tombstones.is_empty() && self.seats.iter().all(Option::is_none)
    }

    /// Whether no task waits here, and none will come from outside.
    pub(crate) fn is_drained(&self) -> bool {
        self.closed && self.entering == 0 && self.preparation == Preparation::None && self.queue.is_empty()
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.stats;
        let seats = || self.seats.iter().flatten();
        stats.workers = seats().count();
        let busy = seats().filter(|seat| seat.ring.has_tasks()).count();
        stats.idle = seats().filter(|seat| seat.state == SeatState::Ready).count().saturating_sub(busy);
        stats.running = busy;
        stats.bytes_sent += seats().map(|seat| seat.ring.bytes_sent()).sum::<u64>();
        stats
    }
}
