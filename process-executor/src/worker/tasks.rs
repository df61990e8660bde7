//! The worker's loop: slot after slot.

use super::connection::Connection;
use super::end_group;
use super::printed::Printed;
use super::reply::{Replies, ring};
use super::running::{Running, drop_kept, leave_if_forked};
use crate::carrier::{self, Source};
use crate::function::FunctionName;
use crate::image::Image;
use crate::ipc_channel::message::{Contents, NotReceived};
use crate::ipc_channel::worker::Messages;
use crate::protocol::layout::{
    BLOCK, DONE, IN_BLOCK, IN_BUFFER, IN_MESSAGE, IN_SLOT, INLINE, LastWord, QUEUED, REVOKED, RUNNING, SKIPPED, Shared,
    Slot,
};
use crate::protocol::worker_settings::WorkerSettings;
use executor_core::CodecPhase;
use executor_core::remote::{Function, Job, Output, Phase, serializing_once, write_codec_error};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The longest search for the next task before a sleep, in looks: some 30 µs.
const LONGEST_LOOK: u32 = 512;
const SHORTEST_LOOK: u32 = 8;
/// So many looks follow closely upon each other, the others with a pause of so many spin-loop hints.
const EAGER: u32 = 4;
const PAUSE: u32 = 6;
/// After so many looks in vain a long one is tried again.
const TRY_AGAIN: u32 = 64;

/// A worker without tasks waits so long before it has written what they left in the buffer of standard output: not between two
/// tasks that follow each other, and soon enough for who looks on.
const MOMENT: Duration = Duration::from_millis(10);

/// Scratch larger than this is not kept for the next task.
const KEPT: usize = 1024 * 1024;

/// Runs tasks until the parent has no more.
pub(super) fn run(
    shared: &Shared,
    connection: &Arc<Connection>,
    messages: Option<&Messages>,
    settings: &WorkerSettings,
) {
    let longest = if settings.may_look { LONGEST_LOOK } else { 1 };
    let mut worker = Worker {
        shared,
        connection,
        messages,
        name: &settings.name,
        messages_sent: 0,
        replies: Replies::new(shared, connection),
        functions: Vec::new(),
        look: longest,
        longest,
        in_vain: 0,
        printed: Printed::default(),
    };
    let source: Arc<dyn Source> = connection.clone();
    carrier::unpacking(&source, || carrier::collecting(|| worker.run()));
}

struct Worker<'a> {
    shared: &'a Shared,
    connection: &'a Arc<Connection>,
    messages: Option<&'a Messages>,
    name: &'a str,
    /// How many replies were sent as messages.
    messages_sent: u64,
    replies: Replies<'a>,
    functions: Vec<Option<Function>>,
    look: u32,
    longest: u32,
    in_vain: u32,
    printed: Printed,
}

impl Worker<'_> {
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
            // ORDERING: Acquire: the input is seen whole.
            if slot.state.compare_exchange(QUEUED, RUNNING, Ordering::Acquire, Ordering::Relaxed).is_err() {
                slot.leave(SKIPPED);
                ring(self.shared, self.connection);
                continue;
            }
            self.replies.begin(own);
            self.run_task(slot);
            self.printed.note_task();
            let end = Instant::now();
            let elapsed = end.saturating_duration_since(last_end).as_nanos();
            last_end = end;
            slot.elapsed.store(u32::try_from(elapsed).unwrap_or(u32::MAX), Ordering::Relaxed);
            slot.leave(DONE);
            ring(self.shared, self.connection);
        }
    }

    fn run_task(&mut self, slot: &Slot) {
        let buffer;
        let inline;
        let length = slot.input_length.load(Ordering::Relaxed) as usize;
        let input = match slot.input_place.load(Ordering::Relaxed) {
            IN_MESSAGE => return self.run_message(slot),
            IN_SLOT => {
                inline = slot.read(length);
                &inline[..length.min(INLINE)]
            }
            IN_BUFFER => {
                let id = u64::from_ne_bytes(slot.read(8)[..8].try_into().unwrap_or_default());
                match self.connection.buffer(id) {
                    Ok(found) => buffer = found,
                    Err(reason) => {
                        self.run_input(slot, Err(&missing(&reason)), None);
                        return;
                    }
                }
                buffer.bytes()
            }
            place => block_input(self.shared, place - IN_BLOCK, length),
        };
        self.run_input(slot, Ok(input), None);
    }

    /// Runs the task whose input comes as a message: decodes it while it is received, and encodes the reply while that is
    /// sent, since only then can channels be in them.
    fn run_message(&mut self, slot: &Slot) {
        let Some(messages) = self.messages else { end_group(self.shared, LastWord::Overwritten) };
        let number = self.messages_sent;
        let failed = messages.reply(number, self.shared, &mut || {
            let mut opened = false;
            let mut by_message = true;
            let received = messages.receive(&mut |contents| {
                opened = true;
                by_message = self.run_contents(slot, contents, messages);
            });
            match received {
                Err(NotReceived::Gone) => {
                    // A task has closed this process's descriptors: this one has not begun, and runs elsewhere.
                    slot.state.store(QUEUED, Ordering::SeqCst);
                    end_group(self.shared, LastWord::Disconnected)
                }
                _ if !opened => {
                    self.refuse_argument(
                        "the message of ipc-channel with it could not be taken in; are there enough descriptors?",
                    );
                }
                _ => {}
            }
            by_message.then(|| {
                self.messages_sent += 1;
                self.replies.announce_message(slot, &self.replies.scratch.borrow(), messages)
            })
        });
        if failed {
            self.replies.announce_failure(slot);
        }
        drop_kept(&self.replies, slot);
    }

    /// Runs the task with the contents of a message. False: its outcomes are in the reply block, and no message is to follow.
    fn run_contents(&mut self, slot: &Slot, contents: &Contents<'_>, messages: &Messages) -> bool {
        slot.phase.store(Phase::Decoding as u32, Ordering::Relaxed);
        let buffer = contents.buffer.map(|id| self.connection.buffer(id).map_err(|reason| missing(&reason)));
        let input = match &buffer {
            Some(Ok(buffer)) => Ok(buffer.bytes()),
            Some(Err(text)) => Err(text.as_str()),
            None => Ok(contents.bytes),
        };
        let by_message = serializing_once(|| self.run_input(slot, input, Some((messages, contents))));
        if slot.phase.load(Ordering::Relaxed) == Phase::Decoding as u32 {
            contents.close_rest();
            if contents.again {
                self.refuse_argument(
                    "what it has of ipc-channel went with the worker that died; such a task cannot run again",
                );
            }
        }
        by_message
    }

    /// Runs a task, or says why its input is not there. Its reply is left in the slot; but that of a call whose input came as
    /// a message stays in scratch: true.
    fn run_input(
        &mut self,
        slot: &Slot,
        input: Result<&[u8], &str>,
        message: Option<(&Messages, &Contents<'_>)>,
    ) -> bool {
        let running = Running::new(&self.replies, slot, message);
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
        let by_message = message.is_some() && !running.has_items();
        if !by_message {
            running.finish();
            shrink(&mut self.replies.scratch.borrow_mut());
        }
        by_message
    }

    /// The argument of a task that came as a message cannot be used.
    fn refuse_argument(&self, text: &str) {
        let mut scratch = self.replies.scratch.borrow_mut();
        scratch.clear();
        write_codec_error(CodecPhase::DecodeArgument, text, &mut Output::new(&mut *scratch));
    }

    /// Waits until there is something in the slot; false: there will be nothing any more.
    fn wait_for(&mut self, number: u64) -> bool {
        let slot = self.shared.slot(number);
        if self.look_for(slot) {
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

    /// Looks whether something has come, or nothing will any more: then false.
    fn look_at(&self, slot: &Slot, number: u64) -> Option<bool> {
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

    /// Whether the parent has gone beyond the slot that comes next.
    fn is_overtaken(&self, number: u64) -> bool {
        // Acquire: whoever sees a task sees the one before it, which was handed over before.
        is_next(self.shared.slot(number + 1)) && !is_next(self.shared.slot(number))
    }

    /// Looks for a while; how long, it learns.
    fn look_for(&mut self, slot: &Slot) -> bool {
        for round in 0..self.look {
            if is_next(slot) {
                self.look = (2 * self.look).min(self.longest);
                self.in_vain = 0;
                return true;
            }
            // Each look takes the slot's cache line away from the parent, which may be about to write there.
            let pause = if round < EAGER { 1 } else { PAUSE };
            (0..pause).for_each(|_| std::hint::spin_loop());
        }
        self.in_vain += 1;
        let again = self.in_vain.is_multiple_of(TRY_AGAIN);
        self.look = if again { self.longest } else { (self.look / 2).max(SHORTEST_LOOK.min(self.longest)) };
        false
    }
}

fn is_next(slot: &Slot) -> bool {
    matches!(slot.state.load(Ordering::Acquire), QUEUED | REVOKED)
}

fn resolve(known: &mut Vec<Option<Function>>, shared: &Shared, number: u32) -> Option<Function> {
    if let Some(Some(function)) = known.get(number as usize) {
        return Some(*function);
    }
    let image = Image::of_this_process().ok()?;
    let function = FunctionName::read(shared.function(number)?).resolve(image)?;
    if known.len() <= number as usize {
        known.resize(number as usize + 1, None);
    }
    known[number as usize] = Some(function);
    Some(function)
}

/// What is said of an input that is not there.
fn missing(reason: &str) -> String {
    format!("the memory with the argument is not there: {reason}")
}

fn block_input(shared: &Shared, block: u32, length: usize) -> &[u8] {
    match shared.input_block(block as usize) {
        // SAFETY: the parent wrote so many bytes there for this task, and does not touch the block until the task is over.
        Some(start) => unsafe { std::slice::from_raw_parts(start.as_ptr(), length.min(BLOCK)) },
        None => &[],
    }
}

fn shrink(scratch: &mut Vec<u8>) {
    if scratch.capacity() > KEPT {
        *scratch = Vec::new();
    }
}
