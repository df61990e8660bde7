//! [`SharedFuture`]: a future for many readers, to whom it lends the value.

use crate::cell::observer::Observer;
use crate::cell::outcome::Outcome;
use crate::error::{TaskError, TimedOut};
use crate::future::{Future, Stop};
use crate::info::{TaskId, TaskInfo};
use crate::sync::Mutex;
use executor_wire::panic::contain;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A handle that can be cloned and lends the outcome. From [`Future::share`].
///
/// The methods are those of [`Future`], except that results are lent. Awaiting it returns a clone that is done, so that
/// `shared.await.result()` does not wait.
///
/// ```
/// let (promise, future) = executor_core::Promise::new();
/// let shared = future.share();
/// let reader = std::thread::spawn({
///     let shared = shared.clone();
///     move || shared.result().map(|text: &String| text.len()).unwrap()
/// });
/// promise.set_result("four".to_owned()).unwrap();
/// assert_eq!(reader.join().unwrap(), 4);
/// assert_eq!(shared.result().unwrap(), "four");
/// ```
#[must_use = "dropping the last handle detaches the task"]
pub struct SharedFuture<T> {
    shared: Arc<Shared<T>>,
    /// The place of this clone among the wakers, once it was polled.
    place: Option<u64>,
}

struct Shared<T> {
    future: Future<T>,
    wakers: Arc<Wakers>,
}

/// The async tasks that wait for one shared future: its single observer wakes them all.
struct Wakers(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    armed: bool,
    next_place: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        let wakers = std::mem::take(&mut self.0.lock().wakers);
        for waker in wakers.into_values() {
            contain(|| waker.wake());
        }
    }
}

// SAFETY: clones lend `&T` to several threads at once, which asks for `T: Sync`; the last one drops the `T`, wherever
// it is, which asks for `T: Send`. The auto traits would see `Future<T>: Sync` and ask for less.
unsafe impl<T: Send + Sync> Send for SharedFuture<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for SharedFuture<T> {}

impl<T> UnwindSafe for SharedFuture<T> {}
impl<T> RefUnwindSafe for SharedFuture<T> {}

impl<T> Future<T> {
    /// Makes a handle that can be cloned, and lends the value instead of moving it out.
    ///
    /// ```
    /// let (promise, future) = executor_core::Promise::new();
    /// let shared = future.share();
    /// let other = shared.clone();
    /// promise.set_result("one for all").unwrap();
    /// assert_eq!(shared.result().unwrap(), other.result().unwrap());
    /// ```
    pub fn share(self) -> SharedFuture<T> {
        // SAFETY: the handle is unique. A waker that an earlier poll left goes; the clones' wakers take the slot.
        unsafe { self.stop_observing() };
        SharedFuture::new(self)
    }
}

impl<T> SharedFuture<T> {
    pub(crate) fn new(future: Future<T>) -> Self {
        Self {
            shared: Arc::new(Shared { future, wakers: Arc::new(Wakers(Mutex::new(Waiting::default()))) }),
            place: None,
        }
    }

    /// Waits for the outcome and lends it, any number of times.
    ///
    /// # Errors
    ///
    /// The reason why there is no value.
    ///
    /// ```
    /// let (promise, future) = executor_core::Promise::new();
    /// let shared = future.share();
    /// promise.set_result(1).unwrap();
    /// assert_eq!((*shared.result().unwrap(), *shared.result().unwrap()), (1, 1));
    /// ```
    pub fn result(&self) -> Result<&T, &TaskError> {
        self.wait();
        self.outcome().as_ref()
    }

    /// Like [`result`](Self::result), but waits no longer than `limit`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if the future is not done by then.
    pub fn result_timeout(&self, limit: Duration) -> Result<Result<&T, &TaskError>, TimedOut> {
        if self.wait_timeout(limit) { Ok(self.outcome().as_ref()) } else { Err(TimedOut::after(limit)) }
    }

    fn outcome(&self) -> &Outcome<T> {
        self.shared.future.outcome()
    }

    /// See [`Future::exception`].
    #[must_use]
    pub fn exception(&self) -> Option<&TaskError> {
        self.shared.future.exception()
    }

    /// See [`Future::add_done_callback`].
    pub fn add_done_callback(&self, callback: impl FnOnce(&Result<T, TaskError>) + Send + 'static) {
        self.shared.future.add_done_callback(callback);
    }

    /// See [`Future::id`].
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.shared.future.id()
    }

    /// See [`Future::info`].
    #[must_use]
    pub fn info(&self) -> TaskInfo {
        self.shared.future.info()
    }

    /// See [`Future::cancel`]. It cancels for all clones.
    #[expect(clippy::must_use_candidate, reason = "many cancel without caring whether it was in time")]
    pub fn cancel(&self) -> bool {
        self.shared.future.cancel()
    }

    /// See [`Future::stop`].
    #[expect(clippy::must_use_candidate, reason = "many stop without caring what it was doing")]
    pub fn stop(&self) -> Stop {
        self.shared.future.stop()
    }

    /// See [`Future::is_done`].
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.shared.future.is_done()
    }

    /// See [`Future::is_running`].
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.shared.future.is_running()
    }

    /// See [`Future::is_cancelled`].
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.shared.future.is_cancelled()
    }

    /// See [`Future::wait`].
    pub fn wait(&self) {
        self.shared.future.wait();
    }

    /// See [`Future::wait_timeout`].
    #[must_use = "the future may not be done"]
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        self.shared.future.wait_timeout(limit)
    }

    /// Leaves the waker among the others. Returns false if the future is done.
    fn watch(&mut self, cx: &Context<'_>) -> bool {
        let waker = cx.waker().clone();
        let mut waiting = self.shared.wakers.0.lock();
        if self.is_done() {
            return false;
        }
        let place = *self.place.get_or_insert_with(|| {
            waiting.next_place += 1;
            waiting.next_place
        });
        let replaced = waiting.wakers.insert(place, waker);
        let armed = std::mem::replace(&mut waiting.armed, true);
        drop(waiting);
        // A waker's drop is user code, so it runs outside the lock.
        drop(replaced);
        if armed {
            // The observer takes the wakers under the lock, so it finds ours, unless it ran before we took the lock.
            return !self.is_done();
        }
        let observer = Observer::Waker(Waker::from(self.shared.wakers.clone()));
        // SAFETY: `armed` lets one clone do this, once, and shared futures use the slot for nothing else.
        let pending = unsafe { self.shared.future.observe(observer) }.is_ok();
        if !pending {
            // Clones that came between our unlock and this moment count on an observer that will not come.
            self.shared.wakers.clone().wake();
        }
        pending
    }
}

impl<T> std::future::Future for SharedFuture<T> {
    type Output = Self;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self> {
        let done = self.is_done() || self.shared.future.help() && self.is_done();
        if done || !self.watch(cx) { Poll::Ready(self.clone()) } else { Poll::Pending }
    }
}

impl<T> Clone for SharedFuture<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), place: None }
    }
}

impl<T> Drop for SharedFuture<T> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let waker = self.shared.wakers.0.lock().wakers.remove(&place);
            drop(waker);
        }
    }
}

impl<T> fmt::Debug for SharedFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedFuture").field(&self.shared.future).finish()
    }
}
