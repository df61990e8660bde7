//! [`TaskQueue`]: the first-in, first-out queue of a pool. Many threads push; workers pop, one at a time.
//!
//! Intrusive: tasks are linked through their own cells, so that queueing allocates nothing. After Dmitry Vyukov's
//! intrusive multi-producer queue, with the two questions of a pool put into the one word that producers change anyway:
//!
//! ```text
//!  tail word: pointer to the newest task, or to the stub when empty │ SLEEPERS │ CLOSED
//!  stub/oldest ──► next ──► next ──► newest
//!  ▲ head, under the consumers' lock
//! ```
//! - SLEEPERS: set on an empty queue by a worker about to sleep. The push that replaces it learns, in the same atomic
//!   step, that somebody is to be woken. No fence, no second word to look at; and a push that finds no sleeper makes no
//!   system call.
//! - CLOSED: set once. A push on a closed queue fails, in the same atomic step; so no task enters after it.

use crate::header::Link;
use crate::sync::{AtomicPtr, Mutex, Ordering};
use crate::task::Task;
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
/// let mut popped = Vec::new();
/// queue.pop_batch(10, |task| popped.push(task));
/// popped.pop().unwrap().run(&|| {}, &|_| {});
/// assert_eq!(future.result()?, 1);
/// # Ok::<(), executor_core::TaskError>(())
/// ```
pub struct TaskQueue {
    tail: Padded<AtomicPtr<Link>>,
    /// The oldest node: the stub, or a task that is still queued.
    head: Padded<Mutex<Head>>,
    stub: Box<Link>,
}

/// On a cache line of its own: producers write the tail, consumers the head.
#[repr(align(128))]
struct Padded<T>(T);

struct Head(*mut Link);

// SAFETY: the head is reached under its lock alone; links are cells that the queue holds a reference to, or the stub.
unsafe impl Send for Head {}

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
    /// Nobody announced a sleep since the last push.
    Quiet,
    /// Workers sleep, and this push is the one to wake one.
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
    /// An empty, open queue.
    ///
    /// ```
    /// assert!(executor_core::queue::TaskQueue::new().is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        let stub = Box::new(Link::new());
        let first = ptr::from_ref(&*stub).cast_mut();
        Self { tail: Padded(AtomicPtr::new(first)), head: Padded(Mutex::new(Head(first))), stub }
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
            // ORDERING: Release publishes the node; Acquire sees what a sleeper did before it announced itself.
            match self.tail.0.compare_exchange_weak(tail, node, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => tail = now,
            }
        }
        let before = tail.map_addr(|addr| addr & !FLAGS);
        // ORDERING: Release: a consumer that follows the link sees the node.
        // SAFETY: a node whose next is null is the newest one the consumers know, and they do not let go of it.
        unsafe { (*before).next.store(node, Ordering::Release) };
        Ok(if tail.addr() & SLEEPERS == 0 { Pushed::Quiet } else { Pushed::WakeOne })
    }

    /// Takes up to `most` tasks, oldest first, and gives how many it took. Zero does not mean empty: a push may be half
    /// done, in which case [`announce_sleep`](Self::announce_sleep) says that there are tasks.
    ///
    /// `take` is called with the consumers' side locked: it may put the tasks somewhere, but must neither pop from this
    /// queue nor run or drop a task.
    ///
    /// ```
    /// # use executor_core::queue::TaskQueue;
    /// assert_eq!(TaskQueue::new().pop_batch(8, |_task| unreachable!()), 0);
    /// ```
    pub fn pop_batch(&self, most: usize, mut take: impl FnMut(Task)) -> usize {
        if self.is_empty() {
            return 0;
        }
        let mut head = self.head.0.lock();
        let mut taken = 0;
        while taken < most {
            let Some(link) = self.pop(&mut head) else { break };
            // SAFETY: the link left the queue just now, and it came from `into_link` in `push`.
            take(unsafe { Task::from_link(link) });
            taken += 1;
        }
        taken
    }

    fn pop(&self, head: &mut Head) -> Option<NonNull<Link>> {
        let stub = self.stub();
        let mut oldest = head.0;
        // SAFETY: `head` is the stub or a queued task, whose reference the queue holds.
        let mut next = unsafe { (*oldest).next.load(Ordering::Acquire) };
        if oldest == stub {
            if next.is_null() {
                return None;
            }
            head.0 = next;
            oldest = next;
            // SAFETY: as above.
            next = unsafe { (*oldest).next.load(Ordering::Acquire) };
        }
        if next.is_null() {
            // The last task may leave only when another node stands behind it: the stub.
            if !self.put_stub_behind(oldest) {
                // A push has moved the tail on and has not linked its node yet.
                return None;
            }
            next = stub;
        }
        head.0 = next;
        NonNull::new(oldest)
    }

    /// Makes the stub the newest node, if `last` still is; so the tail is the stub only while nothing is queued.
    fn put_stub_behind(&self, last: *mut Link) -> bool {
        let stub = self.stub();
        // SAFETY: the stub is not linked while `last` is the newest node, and only the holder of the head's lock links it.
        unsafe { (*stub).next.store(ptr::null_mut(), Ordering::Relaxed) };
        let mut tail = self.tail.0.load(Ordering::Relaxed);
        while tail.map_addr(|addr| addr & !FLAGS) == last {
            let new = stub.map_addr(|addr| addr | (tail.addr() & CLOSED));
            // ORDERING: Release publishes the stub's empty link to the next push.
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

    /// Whether there is nothing to pop. A task that is just being popped counts as gone.
    ///
    /// ```
    /// assert!(executor_core::queue::TaskQueue::new().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tail.0.load(Ordering::Relaxed).map_addr(|addr| addr & !FLAGS) == self.stub()
    }

    /// Says that a worker is about to sleep, having made itself known to those who wake. `Ok`: the next push gives
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
            // ORDERING: Release: the push that sees the flag sees the sleeper in its list. Also when the flag is set
            // already: it must be this sleeper's registration that the push sees, too. Acquire: a worker that finds
            // the queue closed sees all that the closer did before.
            match self.tail.0.compare_exchange_weak(tail, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(()),
                Err(now) => tail = now,
            }
        }
    }

    /// Closes the queue: from now on every push fails. The tasks in it stay. True for the call that closed it.
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
            match self.tail.0.compare_exchange_weak(tail, new, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => tail = now,
            }
        }
        false
    }

    /// Whether it was closed.
    ///
    /// ```
    /// assert!(!executor_core::queue::TaskQueue::new().is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
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
        while self.pop_batch(usize::MAX, drop) > 0 {}
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
