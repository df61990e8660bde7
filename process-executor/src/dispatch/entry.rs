//! A task on its way through the pool: its handle, its packed input, and what has happened to it.

use crate::dispatch::whereabouts::Whereabouts;
use crate::protocol::layout::BLOCK;
use executor_core::Death;
use executor_core::remote::Cause;
use executor_core::task::Task;
use process_core::memory::Buffer;
use std::fmt;
use std::io;
use std::sync::Arc;

/// A queued or dealt task. Small: there may be a million of them.
pub(crate) struct Entry {
    pub(crate) task: Task,
    pub(crate) payload: Payload,
    extra: Option<Box<Extra>>,
    /// The number of its function.
    pub(crate) function: u32,
    /// A part of the task has run, or it ran in a worker that died: it cannot be cancelled any more.
    pub(crate) begun: bool,
    /// Its run has a time limit.
    pub(crate) timed: bool,
    /// Its worker is to be ended because of it.
    pub(crate) stopping: bool,
    /// How many workers died when this task was the next to begin.
    pub(crate) suspicions: u8,
}

/// What only few tasks have.
#[derive(Debug, Default)]
struct Extra {
    deaths: Vec<Death>,
    attachments: Vec<Arc<Buffer>>,
    /// Its worker may run on, and begin what is left of it. So that ends for this cause, and runs nowhere else.
    forsaken: Option<Cause>,
}

/// An input.
pub(crate) enum Payload {
    /// Still with its task, to be encoded when it is sent.
    Unpacked,
    /// In the entry itself.
    Small { length: u8, bytes: [u8; SMALL] },
    /// On the heap. If they are more than a block holds, they are moved to shared memory before the task is dealt.
    Bytes(Vec<u8>),
    /// In shared memory.
    Buffer(Arc<Buffer>),
}

/// As many bytes cost a task no allocation.
pub(crate) const SMALL: usize = 30;

impl Payload {
    /// Keeps bytes: the vector itself if they are many.
    pub(crate) fn new(input: &mut Vec<u8>) -> Self {
        if input.len() > BLOCK {
            return Self::Bytes(std::mem::take(input));
        }
        if input.len() > SMALL {
            return Self::Bytes(input.to_vec());
        }
        let mut bytes = [0; SMALL];
        bytes[..input.len()].copy_from_slice(input);
        Self::Small { length: input.len() as u8, bytes }
    }

    /// Keeps the first `used` of a few bytes.
    #[inline]
    pub(crate) fn of_few<const FEW: usize>(few: &[u8; FEW], used: usize) -> Self {
        const { assert!(FEW >= SMALL, "a copy of fixed size") };
        match few.first_chunk() {
            Some(bytes) if used <= SMALL => Self::Small { length: used as u8, bytes: *bytes },
            _ => Self::Bytes(few[..used].to_vec()),
        }
    }

    /// Returns whether the input has to be moved to shared memory before its task is dealt.
    pub(crate) fn needs_shared_memory(&self) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes.len() > BLOCK)
    }

    /// Moves an input to shared memory that is more than a block holds.
    pub(crate) fn move_to_shared_memory(&mut self) -> io::Result<()> {
        if self.needs_shared_memory() {
            let bytes = self.bytes();
            *self = Self::Buffer(Arc::new(Buffer::copy_of(bytes)?));
        }
        Ok(())
    }

    /// Returns the bytes, wherever they are.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Unpacked => &[],
            Self::Small { length, bytes } => &bytes[..usize::from(*length)],
            Self::Bytes(bytes) => bytes,
            Self::Buffer(buffer) => buffer.bytes(),
        }
    }
}

impl Entry {
    pub(crate) fn new(task: Task, payload: Payload, function: u32, attachments: Vec<Arc<Buffer>>) -> Self {
        let extra = (!attachments.is_empty()).then(|| Box::new(Extra { attachments, ..Extra::default() }));
        Self { task, payload, extra, function, begun: false, timed: false, stopping: false, suspicions: 0 }
    }

    /// Makes the entry of a part that was cut off this chunk.
    pub(crate) fn cut_off(&self, task: Task, mut input: Vec<u8>) -> Self {
        let attachments = self.extra.as_ref().map(|extra| extra.attachments.clone()).unwrap_or_default();
        let part = Self::new(task, Payload::new(&mut input), self.function, attachments);
        Self { timed: self.timed, ..part }
    }

    /// Returns the task, and all the rest.
    pub(crate) fn into_parts(self) -> (Task, Parts) {
        let Self { task, payload, extra, function, begun, timed, stopping, suspicions } = self;
        (task, Parts { payload, extra, function, begun, timed, stopping, suspicions })
    }

    /// Returns where the task is.
    #[inline]
    pub(crate) fn whereabouts(&self) -> Whereabouts {
        Whereabouts::read(self.task.token())
    }

    /// Returns whether the task is there.
    #[inline]
    pub(crate) fn is_at(&self, whereabouts: Whereabouts) -> bool {
        whereabouts.has(self.task.token())
    }

    /// Notes where the task is from now on.
    #[inline]
    pub(crate) fn move_to(&self, whereabouts: Whereabouts) {
        whereabouts.write(self.task.token());
    }

    /// Returns whether its worker must be lent memory for it.
    #[inline]
    pub(crate) fn needs_memory(&self) -> bool {
        self.extra.is_some() || matches!(self.payload, Payload::Buffer(_))
    }

    /// Returns the memory that its worker must be lent.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = &Arc<Buffer>> {
        let own = match &self.payload {
            Payload::Buffer(buffer) => Some(buffer),
            _ => None,
        };
        own.into_iter().chain(self.extra.iter().flat_map(|extra| &extra.attachments))
    }

    /// Notes memory that its worker must be lent.
    #[cfg(feature = "ipc-channel")]
    pub(crate) fn attach(&mut self, attachments: Vec<Arc<Buffer>>) {
        if !attachments.is_empty() {
            self.extra.get_or_insert_default().attachments = attachments;
        }
    }

    /// Notes that a worker died of it. Returns how many have.
    pub(crate) fn add_death(&mut self, death: Death) -> usize {
        let deaths = &mut self.extra.get_or_insert_default().deaths;
        deaths.push(death);
        deaths.len()
    }

    /// Notes that its worker was given up and may run on: what is left of the task ends for this cause.
    pub(crate) fn forsake(&mut self, cause: Cause) {
        self.extra.get_or_insert_default().forsaken = Some(cause);
    }

    /// Takes the deaths so far.
    pub(crate) fn take_deaths(&mut self) -> Vec<Death> {
        self.extra.as_mut().map(|extra| std::mem::take(&mut extra.deaths)).unwrap_or_default()
    }
}

/// An entry without its task.
pub(crate) struct Parts {
    payload: Payload,
    extra: Option<Box<Extra>>,
    function: u32,
    begun: bool,
    timed: bool,
    stopping: bool,
    suspicions: u8,
}

impl Parts {
    pub(crate) fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Returns why all that is left of it ends, if nothing of it may run elsewhere.
    pub(crate) fn forsaken(&self) -> Option<&Cause> {
        self.extra.as_ref()?.forsaken.as_ref()
    }

    pub(crate) fn with_task(self, task: Task) -> Entry {
        let Self { payload, extra, function, begun, timed, stopping, suspicions } = self;
        Entry { task, payload, extra, function, begun, timed, stopping, suspicions }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("task", &self.task).field("begun", &self.begun).finish_non_exhaustive()
    }
}
