//! Messages of ipc-channel, as far as they concern this crate: bytes, and the channels and shared memory that the encoded
//! value contains.
//!
//! ipc-channel notes such handles in lists of the thread while a message is serialized inside its `send`, and looks them up
//! there while one is deserialized. So a [`Message`] is empty in itself: its `Serialize` runs the packer that the sending thread
//! has laid out, and its `Deserialize` the opener of the receiving one.
//!
//! Its traps, and what is done about them:
//!
//! - Handles noted by a value whose encoding then failed would go with the thread's next message: the [`Sender`] throws
//!   them away, by sending them to nobody.
//! - Channels that came and were not looked up would stay open for ever. The sender says how many there are, and what the
//!   value has left behind is closed ([`Contents::close_rest`]).
//! - A large message takes several packets, between which a sender can hang if the receiver dies: what is longer than
//!   [`MOST_BYTES`] travels in sealed memory instead, and a message is one packet.
//! - Its panics, about too many handles and about those that found no descriptor here, are caught.
//! - The library opens channels by a path in the file system, and waits for ever for a partner that never comes: here the ends come
//!   over the socket that parent and worker have anyway ([`sender_at`], [`receiver_at`]).
//!
//! What is relied upon beyond its documented interface. It was tested with 0.22.0 and 0.23.1; a newer version is let in, by the
//! range in Cargo.toml, once `tests/ipc` passes with it:
//!
//! - `Debug` of an end shows the number of its descriptor behind `fd:`, and the end has no other state. The functions that make an end
//!   check that ([`sender_at`], [`receiver_at`]); where it does not hold, no worker starts, and the error says so.
//! - Handles are noted, and looked up, by the order in which they are serialized, in lists of the thread.
//! - What is shorter than [`MOST_BYTES`] is sent as one packet.
//!
//! Two traps are left, for a worker that writes to its channel behind its back; the other transport bears that:
//!
//! - ipc-channel believes what it reads of a message's length: its parent waits for the rest of a message that never comes.
//! - It panics at a message that is not as it writes them, and, while it unwinds, at the descriptors that came with it (0.23.1,
//!   `platform/unix/mod.rs:1103`, then 665 in a destructor). That aborts a parent built with debug assertions; without them
//!   descriptors stay open.

use executor_core::task::contain;
use ipc_channel::IpcError;
use ipc_channel::ipc::{
    self, IpcMessage, IpcReceiver, IpcReceiverSet, IpcSelectionResult, IpcSender, OpaqueIpcReceiver,
};
use parking_lot::Mutex;
use process_core::system;
use rustix::fd::{FromRawFd, OwnedFd};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::cell::Cell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::{fmt, io};

/// Longer values travel in memory of their own.
pub(crate) const MOST_BYTES: usize = 32 * 1024;

/// ipc-channel sends no more handles than this with one message.
const MOST_HANDLES: usize = 64;

/// A message, as ipc-channel sends and receives it: empty in itself.
#[derive(Debug)]
pub(crate) struct Message;

/// What a packer puts into a message.
pub(crate) struct Outgoing {
    /// How many messages the packer has sent before.
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
    /// The bytes are in the memory of this number instead.
    pub(crate) buffer: Option<u64>,
    /// The value was sent before, to another worker, and its handles went there.
    pub(crate) again: bool,
    /// How many channels are in the value, if they were counted; then one more channel marks their end.
    pub(crate) channels: Option<usize>,
}

/// A message as it crosses.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    number: u64,
    #[serde(borrow)]
    bytes: Bytes<'a>,
    buffer: Option<u64>,
    again: bool,
    channels: Option<usize>,
}

/// Bytes that are written and read in one piece.
struct Bytes<'a>(&'a [u8]);

/// What an opener finds in a message.
pub(crate) struct Contents<'a> {
    pub(crate) number: u64,
    pub(crate) bytes: &'a [u8],
    pub(crate) buffer: Option<u64>,
    pub(crate) again: bool,
    channels: Option<usize>,
}

type Packer<'a> = dyn FnMut() -> Option<Outgoing> + 'a;
type Opener<'a> = dyn FnMut(&Contents<'_>) + 'a;

executor_core::local! {
    static PACKER: Cell<Option<*mut Packer<'static>>> = Cell::new(None);
    /// A message was opened on this thread.
    static HAS_OPENED: Cell<bool> = Cell::new(false);
    static OPENER: Cell<Option<*mut Opener<'static>>> = Cell::new(None);
}

/// Puts a thread's packer or opener back as it was.
struct Restore<T: Copy + 'static>(&'static std::thread::LocalKey<Cell<Option<T>>>, Option<T>);

impl<T: Copy + 'static> Drop for Restore<T> {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// Runs `send`, and has the message that it sends packed by `pack`.
fn with_packer<R>(pack: &mut Packer<'_>, send: impl FnOnce() -> R) -> R {
    // SAFETY: lengthens a lifetime only; the pointer is taken away at the end of this call, or used up before.
    let pack = unsafe { std::mem::transmute::<*mut Packer<'_>, *mut Packer<'static>>(pack) };
    let _restore = Restore(&PACKER, PACKER.replace(Some(pack)));
    send()
}

/// Runs `receive`, and has the message that it reads opened by `open`.
fn with_opener<R>(open: &mut Opener<'_>, receive: impl FnOnce() -> R) -> R {
    // SAFETY: as in `with_packer`.
    let open = unsafe { std::mem::transmute::<*mut Opener<'_>, *mut Opener<'static>>(open) };
    let _restore = Restore(&OPENER, OPENER.replace(Some(open)));
    receive()
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pack = PACKER.take().ok_or_else(|| ser::Error::custom("nobody packs"))?;
        // SAFETY: laid out by `with_packer`, which is still running on this thread, and taken by nobody else.
        let packed = unsafe { (*pack)() }.ok_or_else(|| ser::Error::custom("nothing to send"))?;
        let Outgoing { number, bytes, buffer, again, channels } = packed;
        Wire { number, bytes: Bytes(&bytes), buffer, again, channels }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { number, bytes, buffer, again, channels } = Wire::deserialize(deserializer)?;
        let contents = Contents { number, bytes: bytes.0, buffer, again, channels };
        if let Some(mark) = channels {
            let _ = contents.close(mark);
        }
        match OPENER.take() {
            // SAFETY: laid out by `with_opener`, which is still running on this thread, and taken by nobody else.
            Some(open) => unsafe { (*open)(&contents) },
            None => contents.close_rest(),
        }
        Ok(Self)
    }
}

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = &'de [u8];

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<&'de [u8], E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_bytes(Visitor).map(Self)
    }
}

impl Contents<'_> {
    /// Closes the channels that the value has not taken. For the opener, once the value is decoded or never will be, and
    /// before other code runs that may receive messages: these have lists of their own.
    pub(crate) fn close_rest(&self) {
        // Where one never came, none behind it did.
        let _ = (0..self.channels.unwrap_or(0).min(MOST_HANDLES)).try_for_each(|index| self.close(index));
    }

    /// Closes one, if it is there and was not taken. `None`: the kernel found no room for it here, and it never came.
    fn close(&self, index: usize) -> Option<()> {
        contain(|| {
            let Ok(written) = postcard::to_stdvec(&index) else { return };
            drop(postcard::from_bytes::<OpaqueIpcReceiver>(&written));
        })
        .ok()
    }
}

/// Why a message was not sent.
pub(crate) enum NotSent {
    /// The packer had nothing to send.
    Empty,
    /// The receiver is gone.
    Gone,
    /// The system, or ipc-channel, refuses to send it.
    Refused(String),
}

/// The sending end.
pub(crate) struct Sender {
    channel: IpcSender<Message>,
    /// Leads to nobody.
    bin: IpcSender<()>,
}

impl Sender {
    pub(crate) fn new(channel: IpcSender<Message>) -> io::Result<Self> {
        let (bin, nobody) = ipc::channel()?;
        let spare = ipc::channel::<()>()?;
        drop((nobody, spare));
        let sender = Self { channel, bin };
        // What ipc-channel asks the system once, it asks now, when descriptors for it are free for certain: if it found
        // none, it would never send anything in this process.
        sender.throw_away();
        Ok(sender)
    }

    /// Sends what `pack` packs; never blocks, since a message is one packet and the receiver has read those before.
    pub(crate) fn send(&self, pack: &mut Packer<'_>) -> Result<(), NotSent> {
        let mut packed = false;
        let mut pack = || {
            let contents = pack();
            packed = contents.is_some();
            contents
        };
        let sent = contain(|| with_packer(&mut pack, || self.channel.send(Message))).ok();
        if !matches!(sent, Some(Ok(()))) {
            self.throw_away();
        }
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(IpcError::SerializationError(_))) if !packed => Err(NotSent::Empty),
            Some(Err(IpcError::Disconnected)) => Err(NotSent::Gone),
            Some(Err(IpcError::Io(error))) if is_gone(&error) => Err(NotSent::Gone),
            Some(Err(error)) => Err(NotSent::Refused(format!("ipc-channel does not send it: {error}"))),
            None => {
                Err(NotSent::Refused("ipc-channel does not send it: more than 64 handles, or no descriptor".to_owned()))
            }
        }
    }

    /// Forgets the handles that this thread has noted.
    pub(crate) fn throw_away(&self) {
        // Nobody receives it: the error is certain, and comes after the lists were emptied.
        let _ = contain(|| drop(self.bin.send(())));
    }

    /// Returns how many channels this thread has noted, for the packer once the value is encoded; the number is itself noted by a
    /// channel behind them.
    pub(crate) fn count_channels(&self) -> usize {
        let written = postcard::to_stdvec(&self.bin).unwrap_or_default();
        postcard::from_bytes(&written).unwrap_or(0)
    }
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionRefused | ConnectionReset | NotConnected)
}

/// Why a message was not received.
pub(crate) enum NotReceived {
    /// There will be none any more.
    Gone,
    /// It came, but could not be taken in.
    Damaged,
}

/// Waits for a message and runs `open` with what is in it.
pub(crate) fn receive(channel: &IpcReceiver<Message>, open: &mut Opener<'_>) -> Result<(), NotReceived> {
    let receive = || loop {
        match with_opener(open, || channel.recv()) {
            Err(IpcError::Io(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    };
    match contain(receive).ok() {
        Some(Ok(_)) => Ok(()),
        Some(Err(IpcError::SerializationError(_))) | None => Err(NotReceived::Damaged),
        Some(Err(_)) => Err(NotReceived::Gone),
    }
}

/// The messages of one worker: taken out of its channel as they come, opened when their turn comes.
pub(crate) struct Replies(Mutex<Received>);

struct Received {
    channel: IpcReceiverSet,
    messages: HashMap<u64, IpcMessage>,
    /// How many have come.
    count: u64,
}

impl Replies {
    pub(crate) fn new(channel: IpcReceiver<Message>) -> io::Result<Self> {
        let mut set = IpcReceiverSet::new()?;
        set.add(channel)?;
        Ok(Self(Mutex::new(Received { channel: set, messages: HashMap::new(), count: 0 })))
    }

    /// Takes out what has come; never waits. Called before each input is sent, so that the worker never waits for room.
    pub(crate) fn pull(&self) {
        self.0.lock().pull();
    }

    /// Runs `open` with the message of that number, counted from 0, if it came.
    pub(crate) fn open(&self, number: u64, open: &mut Opener<'_>) {
        let mut received = self.0.lock();
        if !received.messages.contains_key(&number) {
            received.pull();
        }
        let message = received.messages.remove(&number);
        drop(received);
        if let Some(message) = message {
            open_message(message, open);
        }
    }
}

impl Received {
    fn pull(&mut self) {
        match contain(|| self.channel.try_select()).ok() {
            Some(Ok(events)) => {
                for event in events {
                    if let IpcSelectionResult::MessageReceived(_, message) = event {
                        self.messages.insert(self.count, message);
                        self.count += 1;
                    }
                }
            }
            Some(Err(_)) => {}
            // A message that could not be taken in is lost, with its number.
            None => self.count += 1,
        }
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        // So that channels in them are closed.
        for (_, message) in self.0.get_mut().messages.drain() {
            open_message(message, &mut |contents| contents.close_rest());
        }
    }
}

pub(crate) fn open_message(message: IpcMessage, open: &mut Opener<'_>) {
    // Its task finds out what was wrong with it.
    let _ = contain(|| with_opener(open, || message.to::<Message>()));
    HAS_OPENED.set(true);
    STILL_THERE.with(|_| ());
}

/// Returns whether a message can be opened on this thread. ipc-channel has thread-local values for that, which are gone while
/// the thread ends; so is ours, and before them, since it was made after they were.
pub(crate) fn can_open_here() -> bool {
    !HAS_OPENED.get() || STILL_THERE.with(|_| ()).is_some()
}

/// A thread-local value with a destructor, which makes it go.
struct StillThere;

impl Drop for StillThere {
    fn drop(&mut self) {}
}

executor_core::kept! {
    static STILL_THERE: StillThere = StillThere;
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").finish_non_exhaustive()
    }
}

/// Makes a sending end of a socket of ours.
pub(crate) fn sender_at(socket: &OwnedFd) -> io::Result<IpcSender<Message>> {
    let (sender, receiver) = ipc::channel::<Message>()?;
    replace(&format!("{sender:?}"), socket)?;
    // The channel's own socket is gone: its receiver finds that out.
    match receiver.try_recv() {
        Err(ipc_channel::TryRecvError::IpcError(_)) => Ok(sender),
        _ => Err(unknown_layout()),
    }
}

/// Makes a receiving end of a socket of ours.
pub(crate) fn receiver_at(socket: &OwnedFd) -> io::Result<IpcReceiver<Message>> {
    let (sender, receiver) = ipc::channel::<()>()?;
    replace(&format!("{receiver:?}"), socket)?;
    match sender.send(()) {
        Err(IpcError::Io(error)) if is_gone(&error) => Ok(receiver.to_opaque().to()),
        _ => Err(unknown_layout()),
    }
}

/// Puts `socket` in the place of the descriptor that a channel's end shows. ipc-channel has no other way to make an end of
/// a socket. What came of it is checked by the callers.
fn replace(shown: &str, socket: &OwnedFd) -> io::Result<()> {
    let (_, rest) = shown.split_once("fd:").ok_or_else(unknown_layout)?;
    let digits = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let number = digits[..end].parse().map_err(|_| unknown_layout())?;
    // SAFETY: the number of a descriptor that the end owns, which stays its owner: it is lent for this call.
    let mut place = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number) });
    if !system::is_packet_socket(&*place) {
        return Err(unknown_layout());
    }
    // The end's own socket is closed for its partner at once, though a process that another thread starts right now may have it
    // until it runs its program.
    rustix::net::shutdown(&*place, rustix::net::Shutdown::Both)?;
    Ok(rustix::io::dup3(socket, &mut place, rustix::io::DupFlags::CLOEXEC)?)
}

fn unknown_layout() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "this version of ipc-channel does not show its descriptors")
}
