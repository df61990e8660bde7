//! The pool itself, shared by its handle and its workers: where tasks come in, and how it ends.

use crate::counters::WorkerCounters;
use crate::idle::Idle;
use crate::ledger::Ledger;
use crate::room::NoRoom;
use crate::settings::Settings;
use crate::sync::{AtomicUsize, Condvar, Mutex, Ordering, fence, thread};
use crate::worker;
use crossbeam_utils::CachePadded;
use executor_core::fork::Origin;
use executor_core::queue::{Awake, Pushed, TaskQueue};
use executor_core::task::{Owner, Task, before_blocking, deadline_after, is_worker_of};
use executor_core::{Admission, BrokenExecutor, Rejected, Rejection, Shutdown, Stats, SubmitError, TimedOut};
use std::io;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// All that workers and handle share.
pub(crate) struct Pool {
    /// Tasks that no worker has taken yet.
    queue: TaskQueue,
    /// The counters of each worker there may be.
    seats: Box<[CachePadded<WorkerCounters>]>,
    idle: Idle,
    crew: Mutex<Crew>,
    /// The number of workers alive, for a look without the lock.
    alive: AtomicUsize,
    ended: Condvar,
    broken: OnceLock<BrokenExecutor>,
    settings: Settings,
    origin: Origin,
    ledger: Arc<Ledger>,
    /// What tasks know the pool by. After the queues: fields are dropped in order, and tasks in a queue may still use it.
    owner: Owner,
}

/// Who works.
struct Crew {
    /// Seats without a worker.
    free: Vec<usize>,
    alive: usize,
    /// Those of them that take no more tasks, and only have their exit hook to run.
    retiring: usize,
    threads: Vec<thread::JoinHandle<()>>,
    /// Async waiters for the end.
    wakers: Vec<Waker>,
    /// A shutdown was not waited for to its end: the end of the handle is not, either.
    given_up: bool,
}

impl Pool {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        let workers = settings.workers;
        let ledger = Arc::new(Ledger::new(settings.queue_capacity));
        let crew = Crew {
            free: (0..workers).rev().collect(),
            alive: 0,
            retiring: 0,
            threads: Vec::new(),
            wakers: Vec::new(),
            given_up: false,
        };
        Arc::new(Self {
            queue: TaskQueue::new(),
            seats: (0..workers).map(|_| CachePadded::new(WorkerCounters::new())).collect(),
            idle: Idle::new(workers),
            crew: Mutex::new(crew),
            alive: AtomicUsize::new(0),
            ended: Condvar::new(),
            broken: OnceLock::new(),
            settings,
            origin: Origin::here(),
            owner: Owner::new(ledger.clone()),
            ledger,
        })
    }

    pub(crate) fn owner(&self) -> *const Owner {
        &raw const self.owner
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn queue(&self) -> &TaskQueue {
        &self.queue
    }

    pub(crate) fn idle(&self) -> &Idle {
        &self.idle
    }

    pub(crate) fn counters(&self, seat: usize) -> &WorkerCounters {
        &self.seats[seat]
    }

    /// Whether the calling thread is one of this pool's workers.
    pub(crate) fn is_own_worker(&self) -> bool {
        is_worker_of(self.owner())
    }

    /// Returns whether its threads are of this process. In a fork they are not there, and one of them may have held any of
    /// the pool's locks, so nothing of it is touched.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.origin.is_here()
    }

    /// Takes a task in. All or nothing: on error the task is untouched and the pool as before.
    pub(crate) fn submit(self: &Arc<Self>, task: Task, admission: Admission) -> Result<(), Rejected> {
        if !self.is_here() {
            let reason = Rejection::Refused(SubmitError::Broken(Origin::elsewhere()));
            return Err(Rejected { task, reason });
        }
        if let Some(room) = &self.ledger.room {
            match room.acquire(admission, self.is_own_worker()) {
                Ok(()) => {}
                Err(NoRoom::Full) => {
                    return Err(Rejected { task, reason: Rejection::Full });
                }
                Err(NoRoom::Closed) => {
                    return Err(Rejected { task, reason: Rejection::Refused(self.refusal()) });
                }
            }
        }
        match self.enqueue(task) {
            Ok(()) => Ok(()),
            Err((task, error)) => {
                self.ledger.release_room();
                Err(Rejected { task, reason: Rejection::Refused(error) })
            }
        }
    }

    fn enqueue(self: &Arc<Self>, task: Task) -> Result<(), (Task, SubmitError)> {
        if self.alive.load(Ordering::Relaxed) == 0
            && let Err(error) = self.start_first_worker()
        {
            return Err((task, error));
        }
        // SAFETY: the owner lives in the pool. The queue lives there, too, and tasks leave it by `run`, `fail`, `cancel` or
        // drop only; a worker that runs one holds the pool.
        if !unsafe { task.set_owner(self.owner()) } {
            // Cancelled before it came here; nobody will tell the room.
            self.ledger.release_room();
            return Ok(());
        }
        self.ledger.counters.add_submitted();
        let clock = task.queue_clock();
        match self.queue.push(task) {
            Ok(pushed) => {
                if let Some(clock) = clock {
                    clock.start();
                }
                self.after_push(pushed);
                Ok(())
            }
            Err(task) => {
                if !task.clear_owner() {
                    // Cancelled on its way in: counted, and its room is free again.
                    return Ok(());
                }
                self.ledger.counters.take_back_submitted();
                Err((task, self.refusal()))
            }
        }
    }

    fn after_push(self: &Arc<Self>, pushed: Pushed) {
        let served = pushed == Pushed::WakeOne && self.wake_one_for_push();
        if !served && self.may_grow() {
            self.grow();
        }
    }

    /// The push has replaced the sleepers' announcement: somebody has to come, and renew it.
    fn wake_one_for_push(&self) -> bool {
        // ORDERING: see `Idle::look`.
        fence(Ordering::SeqCst);
        self.idle.is_somebody_looking() || self.idle.wake_one()
    }

    /// So many workers take tasks now. Under the lock of the crew.
    fn set_alive(&self, workers: usize) {
        let before = self.alive.swap(workers, Ordering::Relaxed);
        self.idle.note_alive(before, workers);
    }

    /// Whether there may be more workers than there are.
    pub(crate) fn may_grow(&self) -> bool {
        self.alive.load(Ordering::Relaxed) < self.seats.len()
    }

    /// Why tasks are not taken.
    fn refusal(&self) -> SubmitError {
        match self.broken.get() {
            Some(broken) => SubmitError::Broken(broken.clone()),
            None => SubmitError::ShutDown,
        }
    }

    /// A task begins: it is no longer in the queue.
    pub(crate) fn task_begins(&self, counters: &WorkerCounters) {
        counters.add_started();
        self.ledger.release_room();
    }

    pub(crate) fn poll_ready(&self, cx: &Context<'_>) -> Poll<()> {
        let room = self.ledger.room.as_ref().filter(|_| self.is_here());
        room.map_or(Poll::Ready(()), |room| room.poll(cx))
    }

    // Workers come and go.

    /// Starts the first worker before a task is queued, so that a refusal leaves nothing behind.
    fn start_first_worker(self: &Arc<Self>) -> Result<(), SubmitError> {
        if self.queue.is_closed() {
            return Err(self.refusal());
        }
        let mut crew = self.crew.lock();
        if crew.at_work() > 0 {
            return Ok(());
        }
        self.start_worker(&mut crew).map_err(SubmitError::NoWorkers)
    }

    /// Starts another worker if there are more tasks waiting than workers free for them.
    pub(crate) fn grow(self: &Arc<Self>) {
        let mut crew = self.crew.lock();
        if crew.free.is_empty() || !self.wants_more_than(crew.at_work()) {
            return;
        }
        let started = self.start_worker(&mut crew);
        let nobody = crew.at_work() == 0;
        drop(crew);
        self.give_up_if(nobody, started);
    }

    /// The last worker has retired while a task came, and no other is to be had: the queue must not wait for one.
    fn give_up_if(&self, nobody_works: bool, started: io::Result<()>) {
        if let (Err(error), true) = (started, nobody_works) {
            self.fail_queued(&BrokenExecutor::new("no worker could be started", error));
        }
    }

    fn start_worker(self: &Arc<Self>, crew: &mut Crew) -> io::Result<()> {
        let Some(seat) = crew.free.pop() else { return Ok(()) };
        crew.threads.retain(|thread| !is_finished(thread));
        let pool = self.clone();
        match thread_builder(&self.settings, seat).spawn(move || worker::run(pool, seat)) {
            Ok(thread) => {
                crew.threads.push(thread);
                crew.alive += 1;
                self.set_alive(crew.at_work());
                Ok(())
            }
            Err(error) => {
                crew.free.push(seat);
                Err(error)
            }
        }
    }

    /// A worker wants to retire after its idle time. False: a task has come.
    pub(crate) fn retire(&self) -> bool {
        let mut crew = self.crew.lock();
        // ORDERING: the push that comes after this announcement finds nobody to wake, and then looks at `alive` under
        // the lock held here. One that came before it makes the announcement fail.
        self.set_alive(crew.at_work() - 1);
        if self.queue.announce_sleep() == Err(Awake::Tasks) {
            self.set_alive(crew.at_work());
            return false;
        }
        crew.retiring += 1;
        true
    }

    /// A worker's last step, after its exit hook.
    pub(crate) fn quit(self: &Arc<Self>, seat: usize, retired: bool) {
        let mut crew = self.crew.lock();
        crew.free.push(seat);
        crew.alive -= 1;
        crew.retiring -= usize::from(retired);
        // While the hook ran there may have been no seat for a worker that a push wanted.
        let wanted = retired && !self.queue.is_empty();
        let started = if wanted { self.start_worker(&mut crew) } else { Ok(()) };
        self.set_alive(crew.at_work());
        let last = crew.alive == 0;
        let wakers = if last { std::mem::take(&mut crew.wakers) } else { Vec::new() };
        drop(crew);
        self.give_up_if(last, started);
        if last {
            self.ended.notify_all();
            crate::wake_all(wakers);
        }
    }

    /// The calling worker has just said that it is kept from the queue for a while: is somebody waiting for it?
    pub(crate) fn call_help_if_waiting(self: &Arc<Self>) {
        // ORDERING: see `wants_more_than`.
        fence(Ordering::SeqCst);
        if self.may_grow() && !self.queue.is_empty() {
            self.grow();
        }
    }

    // The end.

    /// An initializer failed: no task is taken any more, queued ones end with the reason.
    pub(crate) fn break_down(&self, broken: BrokenExecutor) {
        let broken = self.broken.get_or_init(|| broken).clone();
        self.close();
        self.fail_queued(&broken);
        self.idle.wake_all();
    }

    fn close(&self) {
        self.queue.close();
        if let Some(room) = &self.ledger.room {
            room.close();
        }
    }

    /// Ends all queued tasks with an error.
    fn fail_queued(&self, broken: &BrokenExecutor) {
        self.drain(|task| {
            if task.fail(broken.clone()) {
                self.ledger.counters.add_expired();
                self.ledger.release_room();
            }
        });
    }

    /// Empties the queue. User code may run in `end`, so no lock is held then.
    fn drain(&self, mut end: impl FnMut(Task)) {
        let mut tasks = Vec::new();
        while !self.queue.is_empty() {
            match self.queue.pop() {
                Some(task) => tasks.push(task),
                // A push that is half done hides what is behind it for a moment.
                None => thread::yield_now(),
            }
        }
        // Newest first: nothing that ends here may let an older one begin.
        tasks.into_iter().rev().for_each(&mut end);
    }

    fn begin_shutdown(self: &Arc<Self>, how: Shutdown) {
        self.close();
        if how.cancels() {
            self.drain(|task| {
                let _ = task.cancel();
            });
        }
        self.idle.wake_all();
    }

    pub(crate) fn shutdown(self: &Arc<Self>, how: Shutdown) {
        if !self.is_here() {
            return;
        }
        self.begin_shutdown(how);
        if !how.waits() {
            self.crew.lock().given_up = true;
        } else if !self.is_own_worker() {
            self.wait_for_end(None);
        }
    }

    /// The handle is dropped: waits for the end, unless that was given up before.
    pub(crate) fn end_with_handle(self: &Arc<Self>) {
        if self.is_here() && !self.crew.lock().given_up {
            self.shutdown(Shutdown::wait());
        }
    }

    pub(crate) fn shutdown_timeout(self: &Arc<Self>, limit: Duration) -> Result<(), TimedOut> {
        if !self.is_here() {
            return Ok(());
        }
        self.begin_shutdown(Shutdown::wait());
        let own = self.is_own_worker();
        let deadline = if own { Some(Instant::now()) } else { deadline_after(limit) };
        if self.wait_for_end(deadline) {
            return Ok(());
        }
        // A worker of its own could not have waited, so it has not given up either.
        self.crew.lock().given_up |= !own;
        Err(TimedOut::after(limit))
    }

    pub(crate) fn poll_shutdown(self: &Arc<Self>, how: Shutdown, cx: &Context<'_>) -> Poll<()> {
        if !self.is_here() {
            return Poll::Ready(());
        }
        self.begin_shutdown(how);
        if how.waits() && self.is_own_worker() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let mut crew = self.crew.lock();
        if crew.alive == 0 {
            return Poll::Ready(());
        }
        // Whoever polls on sees the end, and then this does not matter.
        crew.given_up = true;
        if !how.waits() {
            return Poll::Ready(());
        }
        if !crew.wakers.iter().any(|known| known.will_wake(&waker)) {
            crew.wakers.push(waker);
        }
        Poll::Pending
    }

    /// Waits until no worker is left, then joins the threads; false if `deadline` came first.
    fn wait_for_end(&self, deadline: Option<Instant>) -> bool {
        before_blocking();
        let mut crew = self.crew.lock();
        while crew.alive > 0 {
            match deadline {
                None => self.ended.wait(&mut crew),
                Some(deadline) => {
                    if self.ended.wait_until(&mut crew, deadline).timed_out() && crew.alive > 0 {
                        return false;
                    }
                }
            }
        }
        let threads = std::mem::take(&mut crew.threads);
        drop(crew);
        for thread in threads {
            // Workers catch what user code throws, so there is no panic to hear of.
            let _ = thread.join();
        }
        true
    }

    // Numbers.

    /// Whether more tasks are queued than this many workers have hands free for.
    ///
    /// One reading of a worker's starts serves both sides: a task that begins meanwhile is either queued, with its worker
    /// free, or neither.
    fn wants_more_than(&self, workers: usize) -> bool {
        // ORDERING: a worker that goes from a task to its callbacks says so and then looks at the queue, with a fence in
        // between (`call_help_if_waiting`); the submitter has pushed and now looks at the worker. One sees the other.
        fence(Ordering::SeqCst);
        let (mut started, mut busy) = (0, 0);
        for seat in &self.seats {
            let (starts, is_busy) = seat.starts_and_busy();
            started += starts;
            busy += usize::from(is_busy);
        }
        to_count(self.ledger.counters.queued(started)) > workers.saturating_sub(busy)
    }

    /// Workers that have nothing to do and nothing to come, or could be started.
    pub(crate) fn idle_workers(&self) -> usize {
        let idle = self.idle.free().load(Ordering::Relaxed);
        if idle > 0 && self.queue.is_empty() { idle } else { 0 }
    }

    /// Workers with a task, or with several on top of each other, or with what comes after one.
    fn busy_workers(&self) -> usize {
        self.seats.iter().filter(|seat| seat.starts_and_busy().1).count()
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        let sum = |count: fn(&WorkerCounters) -> u64| self.seats.iter().map(|seat| count(seat)).sum::<u64>();
        // Ends before starts before submissions, so that no difference is negative.
        stats.completed = sum(WorkerCounters::completed);
        stats.failed = sum(WorkerCounters::failed);
        let over = stats.completed + stats.failed;
        let started = sum(WorkerCounters::started);
        let counters = &self.ledger.counters;
        stats.failed += counters.expired();
        stats.cancelled = counters.cancelled();
        stats.queued = to_count(counters.queued(started));
        stats.running = to_count(started.saturating_sub(over));
        stats.workers = self.alive.load(Ordering::Relaxed);
        stats.idle = stats.workers.saturating_sub(self.busy_workers());
        stats
    }
}

impl Crew {
    /// Workers that take tasks.
    fn at_work(&self) -> usize {
        self.alive - self.retiring
    }
}

fn to_count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(not(any(loom, shuttle)))]
fn thread_builder(settings: &Settings, seat: usize) -> thread::Builder {
    thread::Builder::new().name(settings.thread_name(seat)).stack_size(settings.stack_size)
}

#[cfg(any(loom, shuttle))]
fn thread_builder(settings: &Settings, seat: usize) -> thread::Builder {
    thread::Builder::new().name(settings.thread_name(seat))
}

#[cfg(not(any(loom, shuttle)))]
fn is_finished(thread: &thread::JoinHandle<()>) -> bool {
    thread.is_finished()
}

/// A model's threads are kept until they are joined.
#[cfg(any(loom, shuttle))]
fn is_finished(_thread: &thread::JoinHandle<()>) -> bool {
    false
}
