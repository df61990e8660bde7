//! The worker's loop: slot after slot.

use super::connection::Connection;
use super::ending::end_group;
use super::passage::Passage;
use super::printed::Printed;
use super::reply::{Replies, notify_parent};
use super::running::{Running, leave_if_forked};
use crate::protocol::attachments::{self, Source};
use crate::protocol::layout::{DONE, LastWord, QUEUED, REVOKED, RUNNING, SKIPPED, Shared, Slot};
use crate::protocol::worker_settings::WorkerSettings;
use executor_core::CodecPhase;
use executor_core::remote::{Function, Job, Output, write_codec_error};
use process_core::image::Image;
use rustix::fd::OwnedFd;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The longest spin for the next task before a sleep, in looks: some 30 µs.
const LONGEST_SPIN: u32 = 512;
const SHORTEST_SPIN: u32 = 8;
/// The first few looks follow each other closely.
const EAGER: u32 = 4;
/// The pause between the others, in spin-loop hints.
const PAUSE: u32 = 6;
/// After this many spins in vain a long one is tried again.
const TRY_AGAIN: u32 = 64;

/// How long a worker without tasks waits before it writes what they left in the buffer of standard output: longer than between two
/// tasks that follow each other, and soon enough for someone who looks on.
const MOMENT: Duration = Duration::from_millis(10);

/// Scratch larger than this is not kept for the next task.
const KEPT: usize = 1024 * 1024;

/// Runs tasks until the parent has no more.
pub(super) fn run<T: Transport>(
    shared: &Shared,
    connection: &Arc<Connection>,
    transport: &T,
    settings: &WorkerSettings,
) {
    let longest = if settings.may_spin { LONGEST_SPIN } else { 1 };
    let mut tasks = TaskLoop {
        shared,
        connection,
        transport,
        name: &settings.name,
        replies: Replies::new(shared, connection),
        functions: Vec::new(),
        spin: longest,
        longest,
        in_vain: 0,
        printed: Printed::default(),
    };
    let source: Arc<dyn Source> = connection.clone();
    attachments::unpacking(&source, || attachments::collecting(|| tasks.run()));
}

/// How inputs come in and replies go out.
pub(crate) trait Transport: Sized {
    /// Opens it, with the ends that came with the welcome.
    fn open(ends: Vec<OwnedFd>) -> io::Result<Self>;

    /// Runs the task of a slot by [`TaskLoop::run_input`], and sees to its reply.
    fn run_task(&self, tasks: &mut TaskLoop<'_, Self>, slot: &Slot);
}

pub(crate) struct TaskLoop<'a, T> {
    pub(crate) shared: &'a Shared,
    pub(crate) connection: &'a Arc<Connection>,
    transport: &'a T,
    name: &'a str,
    pub(crate) replies: Replies<'a>,
    functions: Vec<Option<Function>>,
    spin: u32,
    longest: u32,
    in_vain: u32,
    printed: Printed,
}

impl<T: Transport> TaskLoop<'_, T> {
    fn run(&mut self) {
        let mut number = 0;
        // The end of a task is the beginning of the next, if that was there already: one look at the clock for both.
        let mut last_end = Instant::now();
        loop {
            let slot = self.shared.slot(number);
            if !is_next(slot) {
                if !self.wait_for(number) {
                    return;
                }
                last_end = Instant::now();
            }
            let own = number;
            number += 1;
            // ORDERING: Acquire, with the Release in `Ring::publish`: the input is whole.
            if slot.state.compare_exchange(QUEUED, RUNNING, Ordering::Acquire, Ordering::Relaxed).is_err() {
                slot.leave(SKIPPED);
                notify_parent(self.shared, self.connection);
                continue;
            }
            self.replies.begin(own);
            self.transport.run_task(self, slot);
            self.printed.note_task();
            let end = Instant::now();
            let elapsed = end.saturating_duration_since(last_end).as_nanos();
            last_end = end;
            slot.elapsed.store(u32::try_from(elapsed).unwrap_or(u32::MAX), Ordering::Relaxed);
            slot.leave(DONE);
            notify_parent(self.shared, self.connection);
        }
    }

    /// Runs a task, or says why its input is not there. Returns whether the reply stays in scratch, for the transport to send;
    /// else it was left where the slot says.
    pub(crate) fn run_input<P: Passage>(&mut self, slot: &Slot, input: Result<&[u8], &str>, passage: &P) -> bool {
        let running = Running::new(&self.replies, slot, passage);
        let (mut memory, mut progress) = (&running, &running);
        let mut output = Output::new(&mut memory);
        let number = slot.function.load(Ordering::Relaxed);
        let function = resolve(&mut self.functions, self.shared, number)
            .ok_or("the worker does not find the function in its executable");
        match input.and_then(|input| Ok((input, function?))) {
            Ok((input, function)) => {
                let timed = running.is_timed();
                let (stop, worker) = (&slot.stop, self.name);
                let mut job = Job { input, output, stop, timed, worker, progress: &mut progress };
                // SAFETY: a genuine trampoline, and a function of its types, as the parent says, which is this executable.
                unsafe { function.trampoline.run(function.code, &mut job) };
            }
            Err(text) => {
                write_codec_error(CodecPhase::DecodeArgument, text, &mut output);
                drop(output);
            }
        }
        leave_if_forked(&self.replies.worker);
        let stays = P::SENDS_REPLY && !running.has_items();
        if !stays {
            running.finish();
            shrink(&mut self.replies.scratch.borrow_mut());
        }
        stays
    }

    /// Waits until there is something in the slot. Returns false if nothing will come any more.
    fn wait_for(&mut self, number: u64) -> bool {
        let slot = self.shared.slot(number);
        if self.spin_for(slot) {
            return true;
        }
        if self.printed.may_be_left()
            && let Some(found) = self.rest_for_a_while(slot, number)
        {
            return found;
        }
        self.shared.asleep().sleep_until(None, || self.look_at(slot, number))
    }

    /// Sleeps no longer than a moment; then what tasks have printed is written. `None`: nothing came.
    fn rest_for_a_while(&mut self, slot: &Slot, number: u64) -> Option<bool> {
        let mut slept = false;
        let found = self.shared.asleep().sleep_until(Some(MOMENT), || {
            let found = self.look_at(slot, number);
            (found.is_some() || std::mem::replace(&mut slept, true)).then_some(found)
        });
        if found.is_none() {
            self.printed.write();
        }
        found
    }

    /// Checks whether something has come; returns false if nothing will any more.
    fn look_at(&self, slot: &Slot, number: u64) -> Option<bool> {
        // ORDERING: Acquire, with the Release in `Ring::publish`, for `is_overtaken`.
        let state = slot.state.load(Ordering::Acquire);
        if matches!(state, QUEUED | REVOKED) {
            return Some(true);
        }
        if self.connection.is_retiring() {
            return Some(is_next(slot));
        }
        // A task has written over the slots: what was to come here never will, or never comes back.
        if state == RUNNING || state > SKIPPED || self.is_overtaken(number) {
            end_group(self.shared, LastWord::Overwritten);
        }
        None
    }

    /// Returns whether the parent has gone beyond the slot that comes next.
    fn is_overtaken(&self, number: u64) -> bool {
        // The Acquire in `is_next`: a task that is seen was handed over after the one before it.
        is_next(self.shared.slot(number + 1)) && !is_next(self.shared.slot(number))
    }

    /// Spins for the next task, for a time that adapts to how often that pays. Returns whether there is one.
    fn spin_for(&mut self, slot: &Slot) -> bool {
        for round in 0..self.spin {
            if is_next(slot) {
                self.spin = (2 * self.spin).min(self.longest);
                self.in_vain = 0;
                return true;
            }
            // Each look takes the slot's cache line away from the parent, which may be about to write there.
            let pause = if round < EAGER { 1 } else { PAUSE };
            (0..pause).for_each(|_| std::hint::spin_loop());
        }
        self.in_vain += 1;
        let again = self.in_vain.is_multiple_of(TRY_AGAIN);
        self.spin = if again { self.longest } else { (self.spin / 2).max(SHORTEST_SPIN.min(self.longest)) };
        false
    }
}

fn is_next(slot: &Slot) -> bool {
    // ORDERING: Acquire, with the Release in `Ring::publish`, for `is_overtaken`.
    matches!(slot.state.load(Ordering::Acquire), QUEUED | REVOKED)
}

fn resolve(known: &mut Vec<Option<Function>>, shared: &Shared, number: u32) -> Option<Function> {
    if let Some(Some(function)) = known.get(number as usize) {
        return Some(*function);
    }
    let image = Image::of_this_process().ok()?;
    let function = shared.function(number)?.read().resolve(image)?;
    if known.len() <= number as usize {
        known.resize(number as usize + 1, None);
    }
    known[number as usize] = Some(function);
    Some(function)
}

/// Returns the error for an input that is not there.
pub(crate) fn missing(reason: &str) -> String {
    format!("the memory with the argument is not there: {reason}")
}

fn shrink(scratch: &mut Vec<u8>) {
    if scratch.capacity() > KEPT {
        *scratch = Vec::new();
    }
}
