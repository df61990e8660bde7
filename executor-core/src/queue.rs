//! [`TaskQueue`]: the first-in, first-out queue of a pool. Many threads push, and many pop.
//!
//! Intrusive: tasks are linked through their own cells, so that queueing allocates nothing. After Dmitry Vyukov's
//! intrusive multi-producer queue, with both flags of a pool in the one word that producers change anyway:
//!
//! ```text
//!  tail word: pointer to the newest task, or to the stub when empty │ SLEEPERS │ CLOSED
//!
//!  ring: the oldest tasks        list: all others
//!  ┌─┬─┬─┬─┬─┐ refill, by who    stub/oldest ──► next ──► newest
//!  └─┴─┴─┴─┴─┘ ◄───────────────  ▲ head, under the consumers' lock
//!   ▲ pop        finds it empty
//! ```
//! - Every pop takes the oldest task there is. The ring is refilled only when it is empty, and only by tasks older than
//!   those that stay in the list.
//! - The ring holds tasks only while the list holds one, too: a refill leaves the newest. So the tail word alone says
//!   whether there are tasks.
//! - SLEEPERS: set on an empty queue by a worker about to sleep. The push that replaces it learns, in the same atomic
//!   step, that a worker is to be woken. This needs no fence and no second word; and a push that finds no sleeper makes no
//!   system call.
//! - CLOSED: set once. A push on a closed queue fails, in the same atomic step; so no task enters after it.

mod padded;
mod ring;

pub use self::padded::Padded;
use self::ring::Ring;
use crate::cell::header::Link;
use crate::cell::task::Task;
use crate::sync::{AtomicPtr, Mutex, Ordering};
use std::fmt;
use std::ptr::{self, NonNull};

const SLEEPERS: usize = 0b01;
const CLOSED: usize = 0b10;
const FLAGS: usize = SLEEPERS | CLOSED;

/// An unbounded queue of tasks.
///
/// ```
/// use executor_core::{queue::TaskQueue, task::Task};
///
/// let queue = TaskQueue::new();
/// let (task, future) = Task::from_closure(|| 1);
/// queue.push(task).unwrap();
/// queue.pop().unwrap().run(&|| {}, &|_| {});
/// assert_eq!(future.result()?, 1);
/// # Ok::<(), executor_core::TaskError>(())
/// ```
pub struct TaskQueue {
    tail: Padded<AtomicPtr<Link>>,
    /// The oldest tasks, out of the list.
    ring: Ring,
    /// The oldest node of the list: the stub, or a task that is still queued.
    head: Padded<Mutex<Head>>,
    stub: Box<Link>,
}

struct Head(*mut Link);

// SAFETY: the head is reached under its lock alone; links are cells that the queue holds a reference to, or the stub.
unsafe impl Send for Head {}

/// What to do with the newest task.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Take,
    Leave,
}

/// What a push found.
///
/// ```
/// use executor_core::{queue::{Pushed, TaskQueue}, task::Task};
///
/// let queue = TaskQueue::new();
/// assert_eq!(queue.push(Task::from_closure(|| 1).0).unwrap(), Pushed::Quiet);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a sleeper has to be woken, or nobody runs the task"]
pub enum Pushed {
    /// No worker has announced a sleep since the last push.
    Quiet,
    /// Workers sleep, and the caller has to wake one.
    WakeOne,
}

/// Why a worker may not sleep.
///
/// ```
/// use executor_core::queue::{Awake, TaskQueue};
///
/// let queue = TaskQueue::new();
/// queue.close();
/// assert_eq!(queue.announce_sleep(), Err(Awake::Closed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awake {
    /// There are tasks.
    Tasks,
    /// The queue is closed and empty: there will be none any more.
    Closed,
}

impl TaskQueue {
    /// Returns an empty, open queue.
    #[must_use]
    pub fn new() -> Self {
        let stub = Box::new(Link::new());
        let first = ptr::from_ref(&*stub).cast_mut();
        Self { tail: Padded(AtomicPtr::new(first)), ring: Ring::new(), head: Padded(Mutex::new(Head(first))), stub }
    }

    fn stub(&self) -> *mut Link {
        ptr::from_ref(&*self.stub).cast_mut()
    }

    /// Appends a task.
    ///
    /// # Errors
    ///
    /// The task back, if the queue is closed.
    ///
    /// ```
    /// # use executor_core::{queue::TaskQueue, task::Task};
    /// let queue = TaskQueue::new();
    /// queue.close();
    /// let (task, _future) = Task::from_closure(|| 1);
    /// assert!(queue.push(task).is_err());
    /// ```
    pub fn push(&self, task: Task) -> Result<Pushed, Task> {
        let link = task.into_link();
        let node = link.as_ptr();
        // SAFETY: the node is a live cell, whose reference is ours; while it is not linked nobody else reads the field.
        unsafe { (*node).next.store(ptr::null_mut(), Ordering::Relaxed) };
        let mut tail = self.tail.0.load(Ordering::Relaxed);
        loop {
            if tail.addr() & CLOSED != 0 {
                // SAFETY: the pointer came from `into_link` just now and was not linked.
                return Err(unsafe { Task::from_link(link) });
            }
            // ORDERING: Release, with the Acquire of the next `push`: publishes the node. Acquire, with the Release of
            // `announce_sleep`: sees what a sleeper did before.
            match self.tail.0.compare_exchange_weak(tail, node, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => tail = now,
            }
        }
        let before = tail.map_addr(|addr| addr & !FLAGS);
        // ORDERING: Release, with the Acquire of `unlink`: a consumer that follows the link sees the node.
        // SAFETY: a node whose next is null is the newest one the consumers know, and they do not let go of it.
        unsafe { (*before).next.store(node, Ordering::Release) };
        Ok(if tail.addr() & SLEEPERS == 0 { Pushed::Quiet } else { Pushed::WakeOne })
    }

    /// Takes the oldest task. `None` does not mean that the queue is empty: a push may be half done, in which case
    /// [`announce_sleep`](Self::announce_sleep) says that there are tasks.
    #[must_use = "a task that is dropped ends its future with an error"]
    pub fn pop(&self) -> Option<Task> {
        let link = self.ring.take().or_else(|| self.pop_and_refill())?;
        // SAFETY: the link left the queue just now, and it came from `into_link` in `push`.
        Some(unsafe { Task::from_link(link) })
    }

    /// Takes the oldest task of the list, and moves the next ones to the ring, which is empty.
    fn pop_and_refill(&self) -> Option<NonNull<Link>> {
        if self.is_empty() {
            return None;
        }
        let mut head = self.head.0.lock();
        // Another worker may have refilled the ring meanwhile. While the lock is held nobody does.
        if let Some(link) = self.ring.take() {
            return Some(link);
        }
        let oldest = self.unlink(&mut head, Last::Take)?;
        self.ring.fill(|| self.unlink(&mut head, Last::Leave));
        Some(oldest)
    }

    /// Takes the oldest task off the list.
    fn unlink(&self, head: &mut Head, last: Last) -> Option<NonNull<Link>> {
        let stub = self.stub();
        let mut oldest = head.0;
        // ORDERING: Acquire, with the Release of the push that set the link: the node behind it is written.
        // SAFETY: `head` is the stub or a queued task, whose reference the queue holds.
        let mut next = unsafe { (*oldest).next.load(Ordering::Acquire) };
        if oldest == stub {
            if next.is_null() {
                return None;
            }
            head.0 = next;
            oldest = next;
            // ORDERING: as above.
            // SAFETY: as above.
            next = unsafe { (*oldest).next.load(Ordering::Acquire) };
        }
        if next.is_null() {
            // The last task may leave only when another node stands behind it: the stub. If that fails, a push has moved
            // the tail on and has not linked its node yet.
            if last == Last::Leave || !self.put_stub_behind(oldest) {
                return None;
            }
            next = stub;
        }
        head.0 = next;
        NonNull::new(oldest)
    }

    /// Makes the stub the newest node, if `last` still is; returns whether it was. So the tail is the stub only while nothing is
    /// queued.
    fn put_stub_behind(&self, last: *mut Link) -> bool {
        let stub = self.stub();
        // SAFETY: the stub is not linked while `last` is the newest node, and only the holder of the head's lock links it.
        unsafe { (*stub).next.store(ptr::null_mut(), Ordering::Relaxed) };
        let mut tail = self.tail.0.load(Ordering::Relaxed);
        while tail.map_addr(|addr| addr & !FLAGS) == last {
            let new = stub.map_addr(|addr| addr | (tail.addr() & CLOSED));
            // ORDERING: Release, with the Acquire of the next `push`: publishes the stub's empty link.
            match self.tail.0.compare_exchange_weak(tail, new, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    // SAFETY: `last` is still the queue's.
                    unsafe { (*last).next.store(stub, Ordering::Relaxed) };
                    return true;
                }
                Err(now) => tail = now,
            }
        }
        false
    }

    /// Returns whether there is nothing to pop. A task that is being popped counts as gone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tail.0.load(Ordering::Relaxed).map_addr(|addr| addr & !FLAGS) == self.stub()
    }

    /// Announces a worker that is about to sleep, and that those who wake already know. After `Ok`, the next push returns
    /// [`Pushed::WakeOne`].
    ///
    /// # Errors
    ///
    /// Why it may not sleep.
    ///
    /// ```
    /// use executor_core::{queue::{Pushed, TaskQueue}, task::Task};
    ///
    /// let queue = TaskQueue::new();
    /// queue.announce_sleep().unwrap();
    /// let (task, _future) = Task::from_closure(|| 1);
    /// assert_eq!(queue.push(task).unwrap(), Pushed::WakeOne);
    /// assert!(queue.announce_sleep().is_err());
    /// ```
    pub fn announce_sleep(&self) -> Result<(), Awake> {
        let mut tail = self.tail.0.load(Ordering::Relaxed);
        loop {
            if tail.map_addr(|addr| addr & !FLAGS) != self.stub() {
                return Err(Awake::Tasks);
            }
            if tail.addr() & CLOSED != 0 {
                return Err(Awake::Closed);
            }
            let new = tail.map_addr(|addr| addr | SLEEPERS);
            // ORDERING: Release, with the Acquire of `push`: the push that sees the flag sees the sleeper in its list. Also
            // when the flag is set already: it must be this sleeper's registration that the push sees, too. Acquire, with the
            // Release of `close`: a worker that finds the queue closed sees all that the closer did before.
            match self.tail.0.compare_exchange_weak(tail, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(()),
                Err(now) => tail = now,
            }
        }
    }

    /// Closes the queue: from now on every push fails. The tasks in it stay. Returns true to the call that closed it.
    ///
    /// ```
    /// let queue = executor_core::queue::TaskQueue::new();
    /// assert!(queue.close());
    /// assert!(!queue.close());
    /// ```
    pub fn close(&self) -> bool {
        let mut tail = self.tail.0.load(Ordering::Relaxed);
        while tail.addr() & CLOSED == 0 {
            let new = tail.map_addr(|addr| addr | CLOSED);
            // ORDERING: Release, with the Acquire of `announce_sleep` and `is_closed`.
            match self.tail.0.compare_exchange_weak(tail, new, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => tail = now,
            }
        }
        false
    }

    /// Returns whether the queue was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // ORDERING: Acquire, with the Release of `close`: what the closer did before is seen.
        self.tail.0.load(Ordering::Acquire).addr() & CLOSED != 0
    }
}

impl Default for TaskQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TaskQueue {
    /// Drops the tasks that are left, which ends their futures.
    fn drop(&mut self) {
        while let Some(task) = self.pop() {
            drop(task);
        }
    }
}

impl fmt::Debug for TaskQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskQueue")
            .field("is_empty", &self.is_empty())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
