//! Bytes as replies of workers, and as inputs in a worker.

use crate::cell::owner::{Dequeued, Owner, TaskOwner};
use crate::cell::remote_work::{Cause, Reply};
use crate::cell::task::Task;
use crate::error::{BrokenExecutor, CodecPhase, TimedOut};
use crate::executor::{Admission, Executor, Rejected, Shutdown};
use crate::map::MapOptions;
use crate::remote::{Initializer, Job, Output, Phase, Progress, Remains, Rest, Trampoline, skip_items};
use crate::submit::ExecutorExt;
use crate::{Death, TaskError};
use arbitrary::Unstructured;
use executor_wire::fuzzing::memory::{peak_of, room_for};
use executor_wire::fuzzing::values::{Bush, Moody, Tree};
use executor_wire::{Portable, call_trampoline, chunk_trampoline};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The first bytes say what is done and to tasks of which type; what is left are replies, or an input.
///
/// # Panics
///
/// If a task does not end, ends twice, or takes more memory than its reply is worth.
pub fn reply(bytes: &[u8]) {
    let mut script = Unstructured::new(bytes);
    let step = [call_of, chunk_of, input_of_a_call, input_of_a_chunk];
    match byte(&mut script) {
        4 => drop(Initializer::read_reply(rest(&mut script))),
        5 => skip(&mut script),
        number => {
            let step = step[usize::from(number) % step.len()];
            step(&mut script);
        }
    }
}

/// Runs a step with tasks whose results are of the type that the script chooses.
macro_rules! for_each_type {
    ($($step:ident: $generic:ident)*) => {$(
        fn $step(script: &mut Unstructured<'_>) {
            match byte(script) % 7 {
                0 => $generic::<u64>(script),
                1 => $generic::<Vec<u8>>(script),
                2 => $generic::<String>(script),
                3 => $generic::<Tree>(script),
                4 => $generic::<Vec<Bush>>(script),
                5 => $generic::<Moody>(script),
                _ => $generic::<()>(script),
            }
        }
    )*};
}

for_each_type! { call_of: call chunk_of: chunk input_of_a_call: call_in_worker input_of_a_chunk: chunk_in_worker }

fn byte(script: &mut Unstructured<'_>) -> u8 {
    script.arbitrary().unwrap_or(0)
}

/// Any number, the most telling ones often.
fn number(script: &mut Unstructured<'_>) -> usize {
    match byte(script) {
        255 => usize::MAX,
        254 => script.arbitrary().unwrap_or(0),
        few => usize::from(few),
    }
}

fn part<'a>(script: &mut Unstructured<'a>) -> &'a [u8] {
    let length = usize::from(script.arbitrary::<u16>().unwrap_or(0)).min(script.len());
    script.bytes(length).unwrap_or_default()
}

/// Why a task is over, as often as not because its worker said so.
fn cause(script: &mut Unstructured<'_>) -> Cause {
    match byte(script) {
        1 => Cause::Died(vec![Death::new(0, 1, "ended", "running")]),
        2 => Cause::TimedOut(Duration::from_secs(1), Remains::Nothing),
        3 => Cause::Stopped(Remains::Nothing),
        4 => Cause::Codec(CodecPhase::EncodeArgument, "no".to_owned()),
        5 => Cause::Broken(BrokenExecutor::new("it broke", TimedOut::after(Duration::ZERO))),
        6 => Cause::Retry,
        _ => Cause::Replied,
    }
}

/// Returns a reply, of as many bytes as the script says.
fn next_reply<'a>(script: &mut Unstructured<'a>) -> Reply<'a> {
    let items = number(script);
    let elapsed = Duration::new(number(script) as u64, 0);
    let attached = byte(script) & 1 != 0;
    Reply { items, elapsed, attached, bytes: part(script) }
}

/// Keeps the tasks that are submitted, as an executor whose workers are elsewhere.
#[derive(Default)]
struct Elsewhere(Mutex<Vec<Task>>);

impl Executor for Elsewhere {
    fn submit_task(&self, task: Task, _admission: Admission) -> Result<(), Rejected> {
        self.0.lock().push(task);
        Ok(())
    }

    fn poll_ready(&self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn workers(&self) -> usize {
        1
    }

    fn shutdown(&self, _how: Shutdown) {}

    fn shutdown_timeout(&self, _limit: Duration) -> Result<(), TimedOut> {
        Ok(())
    }

    fn poll_shutdown(&self, _how: Shutdown, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl TaskOwner for Elsewhere {
    fn task_dequeued(&self, _how: Dequeued) -> Vec<Waker> {
        Vec::new()
    }
}

impl Elsewhere {
    /// Returns the task that was submitted last, packed for a worker.
    fn send(&self, owner: &Owner) -> (Task, Vec<u8>) {
        let task = self.0.lock().pop().expect("was submitted just now");
        // SAFETY: the owner outlives the task, which is ended before any function here returns.
        assert!(unsafe { task.set_remote_owner(owner) }, "nobody has cancelled it");
        let mut input = Vec::new();
        task.pack(&mut Output::new(&mut input)).expect("numbers have an encoding");
        (task, input)
    }
}

fn owner() -> Owner {
    Owner::new(Arc::new(Elsewhere::default()))
}

/// Ends a task; what it says of memory is checked. `extra`: what else there is to keep.
fn finish(task: Task, reply: Reply<'_>, cause: Cause, extra: usize) -> Option<Rest> {
    let bytes = reply.bytes.len();
    let (rest, most) = peak_of(|| task.finish(reply, cause, &|_| {}));
    assert!(most <= room_for(bytes) + extra, "a reply of {bytes} bytes took {most} bytes of memory");
    rest
}

/// The reply of a call.
fn call<R: Portable>(script: &mut Unstructured<'_>) {
    let (elsewhere, owner) = (Elsewhere::default(), owner());
    let future = elsewhere.submit(no_result::<R>, 0).expect("takes every task");
    let (mut task, _) = elsewhere.send(&owner);
    let future = (byte(script) & 1 == 0).then_some(future);
    loop {
        let cause = cause(script);
        let again = matches!(cause, Cause::Retry);
        match finish(task, next_reply(script), cause, 0) {
            // With the script at its end, its cause is a reply.
            Some(rest) => {
                assert!(again && rest.over == 0, "only a task that is to run again is left");
                task = rest.task;
            }
            None => break assert!(!again, "a task that is to run again was lost"),
        }
    }
    if let Some(future) = future {
        assert!(future.is_done());
        drop(future.result());
    }
}

fn no_result<R>(_: u8) -> R {
    unreachable!("runs elsewhere")
}

/// The replies of a chunk, one after the other until all items are over.
fn chunk<R: Portable>(script: &mut Unstructured<'_>) {
    let count = 1 + usize::from(byte(script)) % 40;
    let (elsewhere, owner) = (Elsewhere::default(), owner());
    let options = MapOptions::new().chunk_size(count + 1);
    let outcomes = elsewhere.map_with(options, no_result::<R>, (0..count).map(|number| number as u8));
    let (task, mut input) = elsewhere.send(&owner);
    // An outcome each, and a text for those that are errors.
    let extra = count * (size_of::<R>() + 1024);
    let mut task = Some(task);
    let mut left = count;
    while let Some(running) = task.take() {
        // What the script leaves open is stopped, item by item.
        let cause = if script.is_empty() { Cause::Stopped(Remains::Nothing) } else { cause(script) };
        let progress = !matches!(cause, Cause::Retry);
        let Some(rest) = finish(running, next_reply(script), cause, extra) else { break };
        assert!(rest.over < left, "{} of {left} items are over, and the task is not", rest.over);
        assert!(rest.over > 0 || !progress, "a reply that brings nothing is the end of an item");
        assert!(skip_items(&mut input, rest.over), "the input has as many items");
        left -= rest.over;
        task = Some(rest.task);
    }
    assert!(!skip_items(&mut input, left + 1), "the input has no more items than are left");
    assert_eq!(outcomes.count(), count);
}

/// What a chunk leaves behind in its worker.
#[derive(Default)]
struct Outcomes {
    items: usize,
    begun: usize,
    /// So many have room.
    most: usize,
}

impl Progress for Outcomes {
    fn enter(&mut self, _phase: Phase) {}

    fn begin_items(&mut self) {}

    fn begin_item(&mut self) {
        self.begun += 1;
        assert_eq!(self.begun, self.items + 1, "one after the other");
    }

    fn end_item(&mut self, output: &mut Output<'_>) -> bool {
        self.items += 1;
        assert!(!output.has_failed(), "there is memory");
        self.items < self.most
    }
}

fn same<R>(value: R) -> R {
    value
}

/// Runs an input that may be none, as a worker does. Returns the reply, or all outcomes.
fn run<R: Portable>(trampoline: &Trampoline, input: &[u8], outcomes: &mut Outcomes) -> Vec<u8> {
    assert!(trampoline.is_genuine());
    let mut reply = Vec::new();
    let (stop, output) = (AtomicU32::new(0), Output::new(&mut reply));
    let mut job = Job { input, output, stop: &stop, timed: true, worker: "fuzzed", progress: outcomes };
    // SAFETY: a genuine trampoline of functions of this type.
    unsafe { trampoline.run(same::<R> as fn(R) -> R as *const (), &mut job) };
    drop(job);
    reply
}

/// A call in its worker. Whatever its input, the parent understands the reply.
fn call_in_worker<R: Portable>(script: &mut Unstructured<'_>) {
    let reply = run::<R>(call_trampoline::<R, R>(), rest(script), &mut Outcomes::default());
    let (elsewhere, owner) = (Elsewhere::default(), owner());
    let future = elsewhere.submit(no_result::<R>, 0).expect("takes every task");
    let (task, _) = elsewhere.send(&owner);
    assert!(task.finish(Reply { bytes: &reply, ..Reply::NONE }, Cause::Replied, &|_| {}).is_none());
    check(&future.result());
}

/// A chunk in its worker. Whatever its input, the parent understands what comes back.
fn chunk_in_worker<R: Portable>(script: &mut Unstructured<'_>) {
    let mut outcomes = Outcomes { most: number(script).max(1), ..Outcomes::default() };
    let bytes = run::<R>(chunk_trampoline::<R, R>(), rest(script), &mut outcomes);
    let Outcomes { items: items @ 1.., .. } = outcomes else { return };
    let (elsewhere, owner) = (Elsewhere::default(), owner());
    let options = MapOptions::new().chunk_size(items + 1);
    let read = elsewhere.map_with(options, no_result::<R>, (0..items).map(|number| number as u8));
    let (task, _) = elsewhere.send(&owner);
    assert!(task.finish(Reply { bytes: &bytes, items, ..Reply::NONE }, Cause::Replied, &|_| {}).is_none());
    assert_eq!(read.inspect(check).count(), items);
}

/// The parent can tell what went wrong, in the worker or before.
fn check<R>(outcome: &Result<R, TaskError>) {
    if let Err(error) = outcome {
        let TaskError::Codec(error) = error else { panic!("an outcome of its own: {error}") };
        assert!(matches!(error.phase(), CodecPhase::EncodeArgument | CodecPhase::DecodeArgument), "{error}");
    }
}

/// Items taken off an input that may be none.
fn skip(script: &mut Unstructured<'_>) {
    let items = number(script);
    let mut input = rest(script).to_vec();
    let before = input.clone();
    if skip_items(&mut input, items) {
        assert!(input.len() + items * size_of::<u32>() <= before.len(), "each item has a head");
    } else {
        assert_eq!(input, before);
    }
}

fn rest<'a>(script: &mut Unstructured<'a>) -> &'a [u8] {
    script.bytes(script.len()).unwrap_or_default()
}
