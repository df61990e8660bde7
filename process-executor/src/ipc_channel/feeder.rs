//! The thread that encodes and sends the tasks of one worker over ipc-channel.
//!
//! ```text
//!  queue ─deal─► mailbox ─► feeder: encode, send ─► ring, QUEUED ═══► worker: receive, decode, run, encode, send
//! ```
//! Values that contain channels can be encoded only while they are sent. So with this transport a task is encoded when it is dealt,
//! not when it is submitted, and not under the pool's lock, because that is user code: each worker has a feeder, which may take its
//! time. A worker has one task at a time, which is with its feeder or in its ring. Once the feeder has it, it counts as begun.

use super::mailbox::{Leavable, Mailbox};
use super::message::{MOST_BYTES, NotSent, Outgoing, Sender};
use crate::dispatch::Dispatch;
use crate::dispatch::batch::{Batch, Collected};
use crate::dispatch::entry::{Entry, Payload};
use crate::dispatch::relay::Relay;
use crate::dispatch::seat::Seat;
use crate::dispatch::wakes::Wakes;
use crate::link::Link;
use crate::pool::Pool;
use crate::pool::faults::FaultPoint;
use crate::pool::submission::no_number_text;
use crate::protocol::attachments;
use executor_core::remote::{Cause, Output, serializing_once};
use executor_core::task::guarded;
use executor_core::{BrokenExecutor, CodecPhase};
use process_core::memory::Buffer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cell::Cell;
use std::io;
use std::sync::Arc;

/// Why a task was not sent.
enum Failure {
    /// The task cannot be sent.
    Cause(Cause),
    /// The worker is gone, or will be soon.
    Gone,
}

/// Carries the tasks of one worker, on a thread of its own.
pub(super) struct Feeder {
    mailbox: Arc<Mailbox>,
    pool: Arc<Pool>,
    index: usize,
    link: Arc<Link>,
    sender: Leavable<Sender>,
    /// The pool counts a task as being with this feeder.
    carries: Cell<bool>,
}

impl Feeder {
    /// Starts the thread, for the worker in seat `index`.
    pub(super) fn start(
        pool: &Arc<Pool>,
        index: usize,
        link: &Arc<Link>,
        sender: Leavable<Sender>,
        mailbox: Arc<Mailbox>,
    ) -> io::Result<()> {
        let (pool, link, carries) = (pool.clone(), link.clone(), Cell::new(false));
        let feeder = Self { mailbox, pool, index, link, sender, carries };
        std::thread::Builder::new().name("process-pool-feeder".to_owned()).spawn(move || feeder.run()).map(drop)
    }

    fn run(self) {
        while let Some(entry) = self.mailbox.next() {
            self.carries.set(true);
            if let Err(broken) = guarded("sender of tasks", || self.carry(entry)) {
                self.drop_load(broken);
            }
        }
    }

    /// Sends a task to the worker, then puts it into the ring; or ends it, or puts it back.
    fn carry(&self, mut entry: Entry) {
        self.pool.may_panic_at(FaultPoint::Feeder);
        if has_ended(&self.link) {
            // As long as it is not encoded, the task has its channels.
            return self.give_back(entry);
        }
        self.mailbox.pull_replies();
        let mut failure = None;
        let sent = self.sender.send(&mut || match self.pack(&mut entry) {
            Ok(packed) => Some(packed),
            Err(why) => {
                failure = Some(why);
                None
            }
        });
        match (failure, sent) {
            (None, Ok(())) => self.publish(entry),
            (Some(Failure::Cause(cause)), _) => self.fail(entry, cause),
            (None, Err(NotSent::Refused(text))) => {
                self.fail(entry, Cause::Codec(CodecPhase::EncodeArgument, text));
            }
            (Some(Failure::Gone), _) | (None, Err(NotSent::Gone | NotSent::Empty)) => self.give_back(entry),
        }
    }

    /// Returns the seat that this feeder is for, unless another worker has it by now.
    fn seat<'s>(&self, seats: &'s mut [Option<Seat>]) -> Option<&'s mut Seat> {
        let is_ours = |relay: &Arc<dyn Relay>| std::ptr::addr_eq(Arc::as_ptr(relay), Arc::as_ptr(&self.mailbox));
        seats[self.index].as_mut().filter(|seat| seat.relay.as_ref().is_some_and(is_ours))
    }

    /// Breaks the pool after a panic of this thread, in which its task was lost.
    fn drop_load(&self, broken: BrokenExecutor) {
        self.pool.with_dispatch(|dispatch, wakes| {
            if self.carries.get() {
                self.unload(dispatch, wakes);
            }
            if let Some(seat) = self.seat(&mut dispatch.seats) {
                seat.ring.expect_nothing();
                seat.lost = true;
            }
        });
        self.link.shut();
        self.pool.break_down(broken);
    }

    /// Notes that this feeder no longer has a task.
    fn unload(&self, dispatch: &mut Dispatch, wakes: &mut Wakes) {
        self.carries.set(false);
        dispatch.unload_relay(wakes);
    }

    /// Encodes the input, unless it was encoded for another worker, and lends the memory that it needs.
    fn pack(&self, entry: &mut Entry) -> Result<Outgoing, Failure> {
        let again = !matches!(entry.payload, Payload::Unpacked);
        if !again {
            self.encode(entry)?;
        }
        // The rest of a chunk may have been cut out of memory of its own.
        if let Payload::Bytes(bytes) = &entry.payload
            && bytes.len() > MOST_BYTES
        {
            entry.payload = keep(bytes)?;
        }
        for buffer in entry.buffers() {
            self.lend(buffer)?;
        }
        let (bytes, buffer) = match &entry.payload {
            Payload::Buffer(buffer) => (Vec::new(), Some(buffer.id())),
            payload => (payload.bytes().to_vec(), None),
        };
        // What was encoded before has no channels with it.
        let channels = (!again).then(|| self.sender.count_channels());
        if channels.is_some_and(|channels| channels > 0) && entry.task.has_items() {
            let text = "channels of ipc-channel do not travel in a chunk of map; give it chunk_size(1)";
            return Err(Failure::Cause(Cause::Codec(CodecPhase::EncodeArgument, text.to_owned())));
        }
        Ok(Outgoing { number: 0, bytes, buffer, again, channels })
    }

    fn encode(&self, entry: &mut Entry) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        let (function, attachments) =
            attachments::collecting(|| serializing_once(|| entry.task.pack(&mut Output::new(&mut bytes))));
        let function = function.map_err(Failure::Cause)?;
        let number = self.pool.with_dispatch(|dispatch, _| dispatch.functions.number(function, self.pool.image()));
        entry.function = number.map_err(|no_number| {
            Failure::Cause(Cause::Codec(CodecPhase::EncodeArgument, no_number_text(&no_number).to_owned()))
        })?;
        entry.payload = keep(&bytes)?;
        entry.attach(attachments);
        Ok(())
    }

    fn lend(&self, buffer: &Arc<Buffer>) -> Result<(), Failure> {
        loop {
            match self.link.lend(buffer) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.mailbox.pause() => {}
                Err(_) => return Err(Failure::Gone),
            }
        }
    }

    /// Puts a task that was sent into its slot.
    fn publish(&self, mut entry: Entry) {
        self.pool.with_dispatch(|dispatch, wakes| {
            self.unload(dispatch, wakes);
            let Some(seat) = self.seat(&mut dispatch.seats) else {
                return dispatch.return_unbegun(entry, wakes);
            };
            if entry.task.is_stop_requested() {
                // The stop came while the task was in no ring, so that the worker could not be told.
                entry.stopping = true;
                wakes.supervisor = true;
            }
            wakes.supervisor |= dispatch.next_wakeup.must_call(dispatch.next_wakeup.limit_of(&entry));
            seat.ring.put_relayed(entry, &dispatch.functions, self.index);
            seat.ring.begin_oldest();
        });
    }

    /// Ends a task that cannot be sent.
    fn fail(&self, entry: Entry, cause: Cause) {
        let mut batch = Batch::default();
        batch.collected.push(Collected::without_reply(entry, cause));
        self.pool.with_dispatch(|dispatch, wakes| {
            self.unload(dispatch, wakes);
            if let Some(seat) = self.seat(&mut dispatch.seats) {
                seat.ring.expect_nothing();
            }
            self.pool.take_in_hand(&batch);
            dispatch.deal(wakes);
        });
        self.pool.callback_threads().push(batch);
    }

    /// Queues a task again whose worker does not listen any more.
    fn give_back(&self, entry: Entry) {
        self.pool.with_dispatch(|dispatch, wakes| {
            self.unload(dispatch, wakes);
            if let Some(seat) = self.seat(&mut dispatch.seats) {
                seat.ring.expect_nothing();
                seat.lost = true;
            }
            dispatch.return_unbegun(entry, wakes);
        });
        // If the worker is not gone yet, it ends with its connection.
        self.link.shut();
    }
}

/// Returns whether the worker has closed its end of the link, most likely by its death.
fn has_ended(link: &Link) -> bool {
    let socket = link.socket();
    let mut socket = [PollFd::new(&socket, PollFlags::empty())];
    poll(&mut socket, Some(&Timespec::default())).is_ok_and(|events| events > 0)
}

/// Keeps an input, in shared memory if it is too long for a message.
fn keep(bytes: &[u8]) -> Result<Payload, Failure> {
    if bytes.len() <= MOST_BYTES {
        return Ok(Payload::new(&mut bytes.to_vec()));
    }
    let buffer = Buffer::copy_of(bytes).map_err(|error| {
        let text = format!("no shared memory for an argument of {} bytes: {error}", bytes.len());
        Failure::Cause(Cause::Codec(CodecPhase::EncodeArgument, text))
    })?;
    Ok(Payload::Buffer(Arc::new(buffer)))
}
