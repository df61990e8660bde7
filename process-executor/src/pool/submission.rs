//! Where tasks come in: capacity, encoding, the queue.

use super::packing::Packing;
use super::results::end_all_items;
use super::{MANY, Pool, SPARE};
use crate::dispatch::Dispatch;
use crate::dispatch::entry::{Entry, Payload};
use crate::dispatch::functions::NoNumber;
use crate::dispatch::whereabouts::Whereabouts;
use crate::protocol::attachments;
use executor_core::fork::Origin;
use executor_core::remote::{Cause, Function, Output};
use executor_core::task::{Owner, Task, before_blocking};
use executor_core::{Admission, CodecPhase, Rejected, Rejection, SubmitError};
use process_core::memory::Buffer;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

/// An encoded input: its function, unless that is known later, and the buffers in it.
type PackedInput = (Option<Function>, Payload, Vec<Arc<Buffer>>);

/// What became of a packed task.
enum Pushed {
    In,
    Refused(Task, SubmitError),
    Nameless(Task, NoNumber),
}

impl Pool {
    /// Takes a task in. All or nothing: on error the task is untouched, or was packed for a submitter who waits and does not
    /// want it back.
    pub(crate) fn submit(
        self: &Arc<Self>,
        owner: *const Owner,
        task: Task,
        admission: Admission,
    ) -> Result<(), Rejected> {
        if !self.is_here() {
            return Err(Rejected { task, reason: Rejection::Refused(SubmitError::Broken(Origin::elsewhere())) });
        }
        if !task.is_portable() {
            return Err(Rejected { task, reason: Rejection::Refused(SubmitError::NotPortable) });
        }
        if self.closed.load(Ordering::Relaxed)
            && let Some(error) = self.refusal(&mut self.dispatch.lock())
        {
            return Err(Rejected { task, reason: Rejection::Refused(error) });
        }
        // Whether the task is let in must be known before it is packed if it may have to be handed back.
        let entered = self.settings.queue_capacity.is_some() || admission != Admission::Block;
        if entered && let Err(reason) = self.enter(admission) {
            return Err(Rejected { task, reason });
        }
        // SAFETY: the owner lives as long as the pool has tasks (`executor.rs`), and tasks are ended outside of its lock.
        if !unsafe { task.set_remote_owner(owner) } {
            // Cancelled before it came here: its canceller does not know of the capacity that it took.
            if entered {
                self.leave();
            }
            return Ok(());
        }
        let clock = task.queue_clock();
        let refused = match self.pack_now(&task) {
            // A value's own code may fork while it is packed.
            Ok(_) if !self.is_here() => Some((task, SubmitError::Broken(Origin::elsewhere()))),
            Ok((function, payload, attachments)) => self.push(task, function, payload, attachments, entered),
            Err(cause) => {
                self.refuse_to_carry(task, cause, entered);
                None
            }
        };
        if let Some((task, error)) = refused {
            return Err(Rejected { task, reason: Rejection::Refused(error) });
        }
        if let Some(clock) = clock {
            clock.start();
        }
        Ok(())
    }

    /// Takes capacity for a task, and announces it.
    fn enter(&self, admission: Admission) -> Result<(), Rejection> {
        if admission == Admission::Block {
            before_blocking();
        }
        let mut dispatch = self.dispatch.lock();
        loop {
            if let Some(error) = self.refusal(&mut dispatch) {
                return Err(Rejection::Refused(error));
            }
            if dispatch.capacity.is_free() {
                dispatch.capacity.used += 1;
                dispatch.entering += 1;
                return Ok(());
            }
            if admission != Admission::Block {
                return Err(Rejection::Full);
            }
            self.capacity_freed.wait(&mut dispatch);
        }
    }

    /// Takes back `enter`.
    fn leave(&self) {
        self.with_dispatch(|dispatch, wakes| {
            dispatch.entering -= 1;
            dispatch.free_capacity(wakes);
            wakes.supervisor |= dispatch.closed;
        });
    }

    /// Encodes the input, unless that is left to the relay of its worker.
    fn pack_now(&self, task: &Task) -> Result<PackedInput, Cause> {
        if self.settings.transport.is_relayed() {
            return Ok((None, Payload::Unpacked, Vec::new()));
        }
        self.pack(task).map(|(function, payload, attachments)| (Some(function), payload, attachments))
    }

    /// Encodes the input in this thread, the submitter's, with no lock held.
    fn pack(&self, task: &Task) -> Result<(Function, Payload, Vec<Arc<Buffer>>), Cause> {
        let mut packing = Packing::new(self);
        let (function, attachments) = attachments::collecting(|| task.pack(&mut Output::new(&mut packing)));
        let function = function?;
        let payload = packing.finish().map_err(|error| {
            Cause::Codec(CodecPhase::EncodeArgument, format!("no shared memory for a large argument: {error}"))
        })?;
        Ok((function, payload, attachments))
    }

    /// Returns whether a worker could have a large input as soon as it is encoded. Inputs that have to wait do so on the heap, where
    /// they cost no descriptor each.
    pub(super) fn is_ready_for_large_input(&self) -> bool {
        self.dispatch.lock().has_no_backlog()
    }

    /// Queues or deals an encoded task, and fetches results if there are many. Returns the task if the pool was closed meanwhile.
    fn push(
        self: &Arc<Self>,
        task: Task,
        function: Option<Function>,
        payload: Payload,
        attachments: Vec<Arc<Buffer>>,
        entered: bool,
    ) -> Option<(Task, SubmitError)> {
        let timed = self.settings.run_limit.is_some() || task.run_limit().is_some();
        let mut outcome = Pushed::In;
        let mut results = None;
        self.with_dispatch(|dispatch, wakes| {
            if !entered && let Some(error) = self.refusal(dispatch) {
                outcome = Pushed::Refused(task, error);
                return;
            }
            dispatch.admit(entered);
            // The end may have waited for this.
            wakes.supervisor |= dispatch.closed;
            // A task that is encoded later has its number then.
            let number = function.map_or(Ok(u32::MAX), |function| dispatch.functions.number(function, self.image));
            let number = match number {
                Ok(number) => number,
                Err(no_number) => {
                    outcome = Pushed::Nameless(task, no_number);
                    return;
                }
            };
            let mut entry = Entry::new(task, payload, number, attachments);
            if !entry.is_at(Whereabouts::Entering) {
                // Cancelled while it was packed.
                return dispatch.tombstone(entry);
            }
            entry.timed = timed;
            dispatch.push(entry, wakes);
            if dispatch.has_results(MANY) {
                let mut batch = SPARE.take();
                self.gather(dispatch, &mut batch, wakes);
                results = Some(batch);
            }
        });
        if let Some(batch) = results {
            self.note_fetch();
            self.finish_and_keep(batch);
        }
        match outcome {
            Pushed::In => None,
            Pushed::Refused(task, error) => Some((task, error)),
            Pushed::Nameless(task, no_number) => {
                let cause = Cause::Codec(CodecPhase::EncodeArgument, no_number_text(&no_number).to_owned());
                self.fail_unpushed(task, cause, |_| {});
                None
            }
        }
    }

    /// Ends a task whose input cannot be encoded: that is its own failure.
    fn refuse_to_carry(&self, task: Task, cause: Cause, entered: bool) {
        self.fail_unpushed(task, cause, |dispatch| dispatch.admit(entered));
    }

    /// Ends a task that takes capacity but is not queued.
    fn fail_unpushed(&self, task: Task, cause: Cause, before: impl FnOnce(&mut Dispatch)) {
        self.with_dispatch(|dispatch, wakes| {
            before(dispatch);
            if Whereabouts::Entering.has(task.token()) {
                dispatch.free_capacity(wakes);
                Whereabouts::InHand.write(task.token());
            }
            wakes.supervisor |= dispatch.closed;
        });
        end_all_items(task, || cause.clone(), &|ended| self.note_end(ended));
    }

    /// Returns why tasks are not taken, if they are not. If the pool was broken for a while, and that time is over, it takes tasks again.
    fn refusal(&self, dispatch: &mut Dispatch) -> Option<SubmitError> {
        if !dispatch.closed && dispatch.halt.is_none() {
            return None;
        }
        if dispatch.closed {
            let broken = self.broken.get().cloned();
            return Some(broken.map_or(SubmitError::ShutDown, SubmitError::Broken));
        }
        if let Some(broken) = dispatch.halted() {
            return Some(SubmitError::Broken(broken.clone()));
        }
        self.resume_locked(dispatch);
        None
    }

    pub(crate) fn poll_ready(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_here() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let mut dispatch = self.dispatch.lock();
        if dispatch.closed || dispatch.halted().is_some() || dispatch.capacity.is_free() {
            return Poll::Ready(());
        }
        if !dispatch.capacity.wakers.iter().any(|known| known.will_wake(&waker)) {
            dispatch.capacity.wakers.push(waker);
        }
        Poll::Pending
    }
}

/// Returns why a function cannot be named to a worker, in words.
pub(crate) fn no_number_text(no_number: &NoNumber) -> &'static str {
    match no_number {
        NoNumber::Foreign => "the function is not part of the executable; is it in a shared library?",
        NoNumber::TooMany => "the pool has been given too many different functions",
    }
}
