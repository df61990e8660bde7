//! The thread that carries tasks to one worker over ipc-channel.
//!
//! ```text
//!  queue ─deal─► porter: pack, send ─► ring, QUEUED ═══► worker: receive, decode, run, encode, send
//! ```
//! Values that contain channels can be encoded only while they are sent. So with this transport a task is packed when it is
//! dealt, not when it is submitted, and not under the pool's lock, since that is user code: each worker has a porter, which
//! may take its time. A worker has one task at a time, the one that its porter carries or that is in its ring; once the
//! porter has it, it counts as begun.

use crate::buffer::Buffer;
use crate::carrier;
use crate::dispatch::batch::{Batch, Collected, Counted};
use crate::dispatch::entry::{Entry, Payload};
use crate::dispatch::whereabouts::Whereabouts;
use crate::dispatch::{Dispatch, Wakes};
use crate::ipc_channel::message::{MOST_BYTES, NotSent, Packed, Sender};
use crate::link::Link;
use crate::pool::Pool;
use crate::pool::faults::FaultPoint;
use crate::pool::submission::{keep_within, no_number_text};
use executor_core::remote::{Cause, Output, serializing_once};
use executor_core::task::guarded;
use executor_core::{BrokenExecutor, CodecPhase};
use parking_lot::{Condvar, Mutex};
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How often a worker that does not read is looked after.
const LOOK: Duration = Duration::from_millis(1);

/// What others see of a porter.
#[derive(Debug, Default)]
pub(crate) struct Porter {
    state: Mutex<State>,
    called: Condvar,
}

#[derive(Debug, Default)]
struct State {
    load: Option<Entry>,
    closed: bool,
}

/// Why a task was not sent.
enum Failure {
    /// It cannot be.
    Cause(Cause),
    /// The worker is gone, or will be.
    Gone,
}

impl Porter {
    /// Starts the thread, for the worker in seat `index`.
    pub(crate) fn start(pool: &Arc<Pool>, index: usize, link: &Arc<Link>, sender: Sender) -> io::Result<Arc<Self>> {
        let porter = Arc::new(Self::default());
        let rounds = Rounds {
            porter: porter.clone(),
            pool: pool.clone(),
            index,
            link: link.clone(),
            sender,
            carries: Cell::new(false),
        };
        std::thread::Builder::new().name("process-pool-porter".to_owned()).spawn(move || rounds.run())?;
        Ok(porter)
    }

    /// Gives it a task; it has none.
    fn load(&self, entry: Entry) {
        self.state.lock().load = Some(entry);
    }

    /// Wakes it, for the task it was given.
    pub(crate) fn wake(&self) {
        self.called.notify_one();
    }

    /// Its worker is gone: it ends. Gives the task that it has not taken up.
    pub(crate) fn close(&self) -> Option<Entry> {
        let mut state = self.state.lock();
        state.closed = true;
        self.called.notify_one();
        state.load.take()
    }

    fn next(&self) -> Option<Entry> {
        let mut state = self.state.lock();
        loop {
            if let Some(entry) = state.load.take() {
                return Some(entry);
            }
            if state.closed {
                return None;
            }
            self.called.wait(&mut state);
        }
    }

    /// Waits a moment; false if its worker is gone.
    fn pause(&self) -> bool {
        let mut state = self.state.lock();
        if !state.closed {
            self.called.wait_for(&mut state, LOOK);
        }
        !state.closed
    }
}

/// What the thread itself has.
struct Rounds {
    porter: Arc<Porter>,
    pool: Arc<Pool>,
    index: usize,
    link: Arc<Link>,
    sender: Sender,
    /// The pool counts a task as being with it.
    carries: Cell<bool>,
}

impl Rounds {
    fn run(self) {
        while let Some(entry) = self.porter.next() {
            self.carries.set(true);
            if let Err(broken) = guarded("sender of tasks", || self.carry(entry)) {
                self.drop_load(broken);
            }
        }
    }

    /// Sends a task to the worker, then puts it into the ring; or ends it, or puts it back.
    fn carry(&self, mut entry: Entry) {
        self.pool.may_panic_at(FaultPoint::Porter);
        if self.link.has_ended() {
            // As long as it is not packed, it has its channels.
            return self.give_back(entry);
        }
        self.link.pull_parcels();
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

    /// It has panicked; its task is gone.
    fn drop_load(&self, broken: BrokenExecutor) {
        self.pool.with_dispatch(|dispatch, wakes| {
            if self.carries.get() {
                self.unload(dispatch, wakes);
            }
            if let Some(seat) = dispatch.seats[self.index].as_mut().filter(|seat| seat.has_porter(&self.porter)) {
                seat.ring.expect_nothing();
                seat.lost = true;
            }
        });
        self.link.shut();
        self.pool.break_down(broken);
    }

    /// It has done with its task.
    fn unload(&self, dispatch: &mut Dispatch, wakes: &mut Wakes) {
        self.carries.set(false);
        dispatch.unload_porter(wakes);
    }

    /// Packs the input, unless it was packed for another worker; hands over the memory that it needs.
    fn pack(&self, entry: &mut Entry) -> Result<Packed, Failure> {
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
        // What was packed before has none with it.
        let channels = (!again).then(|| self.sender.count_channels());
        if channels.is_some_and(|channels| channels > 0) && entry.task.has_items() {
            let text = "channels of ipc-channel do not travel in a chunk of map; give it chunk_size(1)";
            return Err(Failure::Cause(Cause::Codec(CodecPhase::EncodeArgument, text.to_owned())));
        }
        Ok(Packed { number: 0, bytes, buffer, again, channels })
    }

    fn encode(&self, entry: &mut Entry) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        let (function, attachments) =
            carrier::collecting(|| serializing_once(|| entry.task.pack(&mut Output::new(&mut bytes))));
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
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.porter.pause() => {}
                Err(_) => return Err(Failure::Gone),
            }
        }
    }

    /// The task was sent: its slot says so.
    fn publish(&self, mut entry: Entry) {
        self.pool.with_dispatch(|dispatch, wakes| {
            self.unload(dispatch, wakes);
            let Some(seat) = dispatch.seats[self.index].as_mut().filter(|seat| seat.has_porter(&self.porter)) else {
                return dispatch.return_unbegun(entry, wakes);
            };
            if entry.task.is_stop_requested() {
                // Asked for while nobody could be told.
                entry.stopping = true;
                wakes.supervisor = true;
            }
            wakes.supervisor |= dispatch.next_wakeup.must_call(dispatch.next_wakeup.limit_of(&entry));
            seat.ring.put(entry, &dispatch.functions, self.index);
            seat.ring.begin_oldest();
        });
    }

    /// The task cannot be sent: that is its end.
    fn fail(&self, entry: Entry, cause: Cause) {
        let counted = Counted::Failed.of(&entry.task);
        let mut batch = Batch::default();
        batch.collected.push(Collected::without_reply(entry, cause));
        self.pool.with_dispatch(|dispatch, wakes| {
            self.unload(dispatch, wakes);
            counted.add_to(&mut dispatch.stats);
            if let Some(seat) = dispatch.seats[self.index].as_mut().filter(|seat| seat.has_porter(&self.porter)) {
                seat.ring.expect_nothing();
            }
            self.pool.take_in_hand(&batch);
            dispatch.deal(wakes);
        });
        self.pool.callback_threads().push(batch);
    }

    /// The worker does not listen any more: the task goes to another.
    fn give_back(&self, entry: Entry) {
        self.pool.with_dispatch(|dispatch, wakes| {
            self.unload(dispatch, wakes);
            if let Some(seat) = dispatch.seats[self.index].as_mut().filter(|seat| seat.has_porter(&self.porter)) {
                seat.ring.expect_nothing();
                seat.lost = true;
            }
            dispatch.return_unbegun(entry, wakes);
        });
        // If it is not gone yet, it ends with its connection.
        self.link.shut();
    }
}

fn keep(bytes: &[u8]) -> Result<Payload, Failure> {
    keep_within(bytes, MOST_BYTES).map_err(Failure::Cause)
}

impl Dispatch {
    /// Hands a task to the porter of a worker that has none.
    pub(crate) fn load_porter(&mut self, index: usize, porter: Arc<Porter>, entry: Entry, wakes: &mut Wakes) {
        let Some(seat) = self.seats[index].as_mut() else { return self.queue.push_front(entry) };
        seat.ring.expect_one();
        seat.dealt += 1;
        seat.idle_since = None;
        entry.move_to(Whereabouts::InHand);
        self.note_unqueued(&entry);
        self.entering += 1;
        wakes.room_freed = true;
        porter.load(entry);
        wakes.porters.push(porter);
    }

    /// A porter has done with its task.
    pub(crate) fn unload_porter(&mut self, wakes: &mut Wakes) {
        self.entering -= 1;
        wakes.supervisor |= self.closed;
    }

    /// A task whose worker was gone before it began is queued again.
    pub(crate) fn return_unbegun(&mut self, entry: Entry, wakes: &mut Wakes) {
        if !entry.begun {
            self.note_queued();
        }
        self.put_back(entry);
        wakes.supervisor = true;
        self.deal(wakes);
    }
}
