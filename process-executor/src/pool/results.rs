//! Where tasks come back: batches of them are finished outside the lock.

use super::faults::FaultPoint;
use super::reply_buffers::ReplyBuffers;
use super::thread_role;
use super::{Pool, SPARE, Unprepared};
use crate::dispatch::Dispatch;
use crate::dispatch::batch::{Batch, Body, Collected, OutOfBand};
use crate::dispatch::entry::{Entry, Parts, Payload};
use crate::dispatch::wakes::Wakes;
use crate::dispatch::whereabouts::Whereabouts;
use crate::protocol::attachments::{self, Source};
use executor_core::remote::{Cause, Part, Remains, Reply, Rest, skip_items};
use executor_core::task::{Ended, Task, contain, guarded, wake_all};
use executor_core::{BrokenExecutor, CodecPhase};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Pool {
    /// Counts the tasks of a batch as under way; under the lock, so that the end is not seen too soon. Tombstones count as well:
    /// their cancellers may be using the pool until they are dropped.
    pub(crate) fn take_in_hand(&self, batch: &Batch) {
        self.take_up(batch.collected.len() + batch.tombstones.len());
    }

    /// Counts that many tasks as under way.
    pub(super) fn take_up(&self, tasks: usize) {
        if tasks > 0 {
            self.in_hand.fetch_add(tasks, Ordering::Relaxed);
        }
    }

    /// Counts that many tasks as under way no longer.
    pub(super) fn let_go(&self, tasks: usize) {
        // ORDERING: SeqCst, with `Pool::close` and `Pool::in_hand`: either the closing of the pool is seen here, or the supervisor
        // sees that these tasks are gone.
        let before = self.in_hand.fetch_sub(tasks, Ordering::SeqCst);
        if before == tasks && tasks > 0 && self.closed.load(Ordering::SeqCst) {
            // They may have been the last that the end waited for.
            self.call_supervisor();
        }
    }

    /// Returns how many tasks are under way.
    pub(crate) fn in_hand(&self) -> usize {
        // ORDERING: SeqCst, with `let_go`: what finishing the tasks has put back into the queue is seen.
        self.in_hand.load(Ordering::SeqCst)
    }

    /// Ends the tasks of a batch, and empties it. User code runs here, so no lock is held. Unless this is a callback thread,
    /// tasks whose end runs callbacks or wakers are left to one.
    ///
    /// A panic of the pool's own code breaks the pool. The tasks count as under way until their futures have ended with that, so
    /// that the pool does not end before them.
    pub(crate) fn finish(self: &Arc<Self>, batch: &mut Batch, is_callback_thread: bool) {
        let mut held = Held { pool: self, tasks: batch.collected.len() + batch.tombstones.len() };
        let thread = if is_callback_thread { "callbacks" } else { "results" };
        let Err(broken) = guarded(thread, || self.finish_held(batch, is_callback_thread, &mut held)) else { return };
        self.break_batch(batch, &broken);
        drop(held);
        self.break_down(broken);
    }

    fn finish_held(self: &Arc<Self>, batch: &mut Batch, is_callback_thread: bool, held: &mut Held<'_>) {
        if is_callback_thread {
            self.may_panic_at(FaultPoint::Callbacks);
        }
        self.see_to_what_the_supervisor_left(batch);
        let mut rests: Vec<(Vec<Entry>, bool)> = Vec::new();
        let mut left = Batch::default();
        let mut had_memory = false;
        // A callback that runs here cannot wait for the end, which waits for it.
        thread_role::running_callbacks_of(self.id, || {
            for tombstone in batch.tombstones.drain(..) {
                if !is_callback_thread && tombstone.task.is_pending() && tombstone.task.has_listeners() {
                    left.tombstones.push(tombstone);
                } else {
                    drop_tombstone(self, tombstone);
                }
            }
            for collected in batch.collected.drain(..) {
                if !is_callback_thread && (collected.entry.task.has_listeners() || !collected.can_finish_here()) {
                    left.adopt(collected, &batch.bytes);
                } else {
                    let has_failed = collected.has_failed();
                    had_memory |= matches!(collected.entry.payload, Payload::Buffer(_));
                    rests.extend(finish_one(self, collected, &batch.bytes).map(|rest| (rest, has_failed)));
                }
            }
        });
        batch.clear();
        if !left.is_empty() {
            held.tasks -= left.collected.len() + left.tombstones.len();
            self.callback_threads.push(left);
        }
        if !rests.is_empty() {
            self.run_rests(rests);
        }
        if had_memory {
            // It tells the worker, which would otherwise keep the memory until the next message.
            self.call_supervisor();
        }
    }

    /// Ends the tasks of a batch that was not finished, and wakes whom it was to wake. A task that was to be prepared goes back
    /// to the queue, where the breaking of the pool finds it.
    fn break_batch(&self, batch: &mut Batch, broken: &BrokenExecutor) {
        wake_all(std::mem::take(&mut batch.wakers));
        if let Some(entry) = batch.prepare.take() {
            self.put_back_unprepared(entry);
        }
        let collected = batch.collected.drain(..).map(|collected| collected.entry);
        for entry in collected.chain(batch.tombstones.drain(..)) {
            let _ = contain(|| {
                end_all_items(entry.into_parts().0, || Cause::Broken(broken.clone()), &|ended| self.note_end(ended))
            });
        }
    }

    /// Does what the supervisor must not do itself.
    fn see_to_what_the_supervisor_left(&self, batch: &mut Batch) {
        wake_all(std::mem::take(&mut batch.wakers));
        if let Some(entry) = batch.prepare.take() {
            self.prepare_all(Unprepared::new(self, entry));
        }
    }

    /// Queues what is left of chunks, and what runs again; ends it if no worker will come for it any more. Each rest says whether a
    /// part of it has failed.
    fn run_rests(&self, rests: Vec<(Vec<Entry>, bool)>) {
        let ended = self.with_dispatch(|dispatch, wakes| {
            if dispatch.stopping {
                return rests;
            }
            let entries: Vec<_> = rests.into_iter().flat_map(|(entries, _)| entries).collect();
            for entry in entries.into_iter().rev() {
                if !entry.begun {
                    dispatch.note_queued();
                }
                dispatch.put_back(entry);
            }
            dispatch.deal(wakes);
            Vec::new()
        });
        for (entries, has_failed) in ended {
            for entry in entries {
                self.end_rest(entry, has_failed);
            }
        }
    }

    /// Ends what is left of a chunk that will not go on. A chunk of which a part has failed has failed.
    fn end_rest(&self, mut entry: Entry, has_failed: bool) {
        let deaths = entry.take_deaths();
        let has_failed = has_failed || !deaths.is_empty();
        let mut first = (!deaths.is_empty()).then_some(Cause::Died(deaths));
        let cause = || {
            let broken =
                || self.broken().map_or(Cause::Stopped(Remains::Nothing), |broken| Cause::Broken(broken.clone()));
            first.take().unwrap_or_else(broken)
        };
        end_all_items(entry.into_parts().0, cause, &|ended| {
            self.note_end(if has_failed && ended == Ended::Cancelled { Ended::Failed } else { ended });
        });
    }

    pub(super) fn finish_and_keep(self: &Arc<Self>, mut batch: Batch) {
        self.finish(&mut batch, false);
        SPARE.replace(batch);
    }

    /// Takes all results there are into a batch, and deals what workers have room for now.
    pub(crate) fn gather(&self, dispatch: &mut Dispatch, batch: &mut Batch, wakes: &mut Wakes) {
        dispatch.collect(batch, wakes);
        self.take_in_hand(batch);
        dispatch.deal(wakes);
    }
}

/// Tasks that are under way until this is dropped: by a panic, too, or the pool would never end.
struct Held<'a> {
    pool: &'a Pool,
    tasks: usize,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.pool.let_go(self.tasks);
    }
}

/// Ends one task. Returns what is left of a chunk, in parts if other workers could run it as well.
fn finish_one(pool: &Arc<Pool>, collected: Collected, bytes: &[u8]) -> Option<Vec<Entry>> {
    let Collected { entry, bytes: range, items, elapsed, cause, out_of_band } = collected;
    let cause = cause.map_or(Cause::Replied, |cause| *cause);
    if matches!(cause, Cause::Codec(..)) {
        // Its input cannot cross.
        end_all_items(entry.into_parts().0, || cause.clone(), &|ended| pool.note_end(ended));
        return None;
    }
    let (task, parts) = entry.into_parts();
    let elapsed = Duration::from_nanos(elapsed.into());
    let reply = Reply { bytes: bytes.get(range).unwrap_or_default(), items: items as usize, elapsed, attached: false };
    let has_replied = matches!(cause, Cause::Replied);
    let rest = match out_of_band {
        None => task.finish(reply, cause, &|ended| pool.note_end(ended)),
        Some(out_of_band) => finish_with(pool, *out_of_band, task, reply, cause),
    };
    let rest = rest?;
    if let Some(cause) = parts.forsaken() {
        end_all_items(rest.task, || cause.clone(), &|ended| pool.note_end(ended));
        return None;
    }
    what_is_left(rest, parts, |rest, input| {
        let idle = if has_replied { pool.dispatch.lock().count_idle() } else { 0 };
        if idle > 0 { rest.share(input, elapsed, idle) } else { Vec::new() }
    })
}

/// Ends a task whose reply came on another way, or brought something along.
#[cold]
fn finish_with(pool: &Arc<Pool>, out_of_band: OutOfBand, task: Task, reply: Reply<'_>, cause: Cause) -> Option<Rest> {
    let replies = ReplyBuffers::new(pool.clone(), out_of_band.link, out_of_band.number);
    let source: Arc<dyn Source> = replies.clone();
    let reply = Reply { attached: out_of_band.attached, ..reply };
    let mut held = Some((task, cause));
    let mut rest = None;
    let mut finish = |bytes: Result<&[u8], String>| {
        let Some((task, cause)) = held.take() else { return };
        let (bytes, cause) = match (bytes, cause) {
            (Ok(bytes), cause) => (bytes, cause),
            (Err(reason), Cause::Replied) => {
                let text = format!("the memory with the result is not there: {reason}");
                (&[][..], Cause::Codec(CodecPhase::DecodeResult, text))
            }
            // The task is over for another reason.
            (Err(_), cause) => (&[][..], cause),
        };
        rest = attachments::unpacking(&source, || {
            task.finish(Reply { bytes, ..reply }, cause, &|ended| pool.note_end(ended))
        });
    };
    match out_of_band.body {
        Body::InBatch => finish(Ok(reply.bytes)),
        Body::Buffer(id) => {
            let buffer = replies.buffer(id);
            finish(buffer.as_ref().map(|buffer| buffer.bytes()).map_err(Clone::clone));
        }
        Body::Relayed { relay, number } => {
            relay.read_reply(number, &|id| replies.buffer(id), &mut finish);
            let reason = "its message could not be taken in: it was not as ipc-channel writes them, or there are no descriptors left";
            finish(Err(reason.to_owned()));
        }
    }
    rest
}

/// Returns the rest of a chunk, as it goes on.
#[cold]
fn what_is_left(rest: Rest, parts: Parts, share: impl FnOnce(&Rest, &mut Vec<u8>) -> Vec<Part>) -> Option<Vec<Entry>> {
    let mut input = Vec::new();
    let mut cut_off = Vec::new();
    if rest.over > 0 {
        input = parts.payload().bytes().to_vec();
        if !skip_items(&mut input, rest.over) {
            return None;
        }
        cut_off = share(&rest, &mut input);
    }
    let Rest { task, over } = rest;
    let mut entry = parts.with_task(task);
    entry.begun = true;
    if over > 0 {
        entry.payload = Payload::new(&mut input);
    }
    let others: Vec<Entry> = cut_off.into_iter().map(|part| entry.cut_off(part.task, part.input)).collect();
    Some(std::iter::once(entry).chain(others).collect())
}

/// Ends a task without a reply; of a chunk every item that is left, each for its own reason.
pub(super) fn end_all_items(mut task: Task, mut cause: impl FnMut() -> Cause, on_end: &dyn Fn(Ended)) {
    while let Some(rest) = task.finish(Reply::NONE, cause(), on_end) {
        task = rest.task;
    }
}

/// Ends what is left of a task that was revoked, or stopped before it could run again.
fn drop_tombstone(pool: &Pool, entry: Entry) {
    let stopped = entry.begun || entry.stopping;
    let (task, _) = entry.into_parts();
    if Whereabouts::Withdrawn.has(task.token()) {
        let _ = task.cancel();
    } else if stopped && task.is_pending() {
        end_all_items(task, || Cause::Stopped(Remains::Nothing), &|ended| pool.note_end(ended));
    }
}
