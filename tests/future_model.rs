//! Random sequences of operations on a promise and its future, each compared with a model after every step.
//!
//! ```text
//!  Vec<Op> ──► Real  { promise, handle, wakers, .. }   what the library does
//!         └──► Model { state, waiting, fired, .. }     what it should do
//!                          compared after each step, and once more when both sides are gone
//! ```
//! One thread runs it all, so every step has exactly one right answer.

use std::future::Future as StdFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use concurrent_futures::{CancelOnDrop, Future, Promise, SharedFuture, Stop, TaskError};
use futures::task::{ArcWake, waker};
use parking_lot::Mutex;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestCaseError};
use proptest::{collection, prop_assert, prop_assert_eq, proptest};

const WAKERS: usize = 3;

#[derive(Debug, Clone, Copy)]
enum Op {
    // The producer's side; without a promise they do nothing.
    Start,
    SetResult,
    SetException,
    DropPromise,
    // The consumer's side; without a handle, or with one that cannot do it, they do nothing.
    Cancel,
    Stop,
    AddCallback { panics: bool },
    Poll { waker: usize },
    ResultNow,
    Share,
    CloneShared,
    DropHandle,
    CancelOnDrop,
    Detach,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => Just(Op::Start),
        1 => Just(Op::SetResult),
        1 => Just(Op::SetException),
        1 => Just(Op::DropPromise),
        1 => Just(Op::Cancel),
        1 => Just(Op::Stop),
        4 => any::<bool>().prop_map(|panics| Op::AddCallback { panics }),
        4 => (0..WAKERS).prop_map(|waker| Op::Poll { waker }),
        1 => Just(Op::ResultNow),
        1 => Just(Op::Share),
        2 => Just(Op::CloneShared),
        1 => Just(Op::DropHandle),
        1 => Just(Op::CancelOnDrop),
        2 => Just(Op::Detach),
    ]
}

/// The outcome of a future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Value,
    Failed,
    Cancelled,
    Abandoned,
    /// Not an outcome of the task: the handle has given its outcome away.
    Taken,
}

fn outcome_of<V>(outcome: &Result<V, TaskError>) -> Outcome {
    match outcome {
        Ok(_) => Outcome::Value,
        Err(error) => outcome_of_error(error),
    }
}

fn outcome_of_error(error: &TaskError) -> Outcome {
    match error {
        TaskError::Cancelled(_) => Outcome::Cancelled,
        TaskError::Abandoned(_) => Outcome::Abandoned,
        TaskError::Taken => Outcome::Taken,
        _ => Outcome::Failed,
    }
}

/// A value that counts how often it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[derive(Default)]
struct CountingWaker(AtomicUsize);

impl ArcWake for CountingWaker {
    fn wake_by_ref(woken: &Arc<Self>) {
        woken.0.fetch_add(1, Relaxed);
    }
}

/// The callbacks that have run, in order, each with the outcome it was lent.
type Fired = Vec<(usize, Outcome)>;

/// Returns an error that is neither a cancel nor an abandoned promise, and needs no executor.
fn some_error() -> TaskError {
    use concurrent_futures::{ExecutorExt, SerialExecutor};
    fn fail((): ()) {
        std::panic::resume_unwind(Box::new("on purpose, and silently"));
    }
    SerialExecutor::new().submit(fail, ()).expect("a new executor accepts").result().expect_err("it panics")
}

/// The consumer's side.
enum Handle {
    Unique(Future<Counted>),
    Guard(CancelOnDrop<Counted>),
    /// The clones, oldest first.
    Shared(Vec<SharedFuture<Counted>>),
    Gone,
}

struct Real {
    promise: Option<Promise<Counted>>,
    handle: Handle,
    wakers: [Arc<CountingWaker>; WAKERS],
    fired: Arc<Mutex<Fired>>,
    drops: Arc<AtomicUsize>,
    /// Held by every callback that still exists.
    callback_probe: Arc<()>,
}

/// What the library should do, as plain data.
#[derive(Debug, Default)]
struct Model {
    promised: bool,
    running: bool,
    outcome: Option<Outcome>,
    stop: bool,
    /// Registered callbacks that have not run.
    waiting: Vec<usize>,
    fired: Fired,
    callbacks: usize,
    made: usize,
    dropped: usize,
    shape: Shape,
    /// Which waker each handle left behind: one entry for a unique handle, one per clone for shared ones.
    armed: Vec<Option<usize>>,
    woken: [usize; WAKERS],
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Shape {
    #[default]
    Unique,
    Taken,
    Guard,
    TakenGuard,
    Shared,
    Gone,
}

impl Shape {
    fn is_taken(self) -> bool {
        matches!(self, Self::Taken | Self::TakenGuard)
    }
}

impl Model {
    fn new() -> Self {
        Self { promised: true, armed: vec![None], ..Self::default() }
    }

    /// Completes the future: callbacks in order, then the wakers. A value that no handle can read is dropped at once.
    fn complete(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
        self.running = false;
        self.fired.extend(self.waiting.drain(..).map(|id| (id, outcome)));
        for armed in &mut self.armed {
            if let Some(waker) = armed.take() {
                self.woken[waker] += 1;
            }
        }
        if self.shape == Shape::Gone {
            self.drop_value();
        }
    }

    /// The value leaves the future: a reader drops it, or it goes with the last handle.
    fn drop_value(&mut self) {
        if self.outcome == Some(Outcome::Value) && self.dropped < self.made {
            self.dropped += 1;
        }
    }

    fn cancel(&mut self) -> bool {
        if self.outcome.is_none() && !self.running {
            self.complete(Outcome::Cancelled);
        }
        self.outcome == Some(Outcome::Cancelled)
    }

    fn stop(&mut self) -> Stop {
        if self.cancel() {
            return Stop::Cancelled;
        }
        self.stop |= self.running;
        if self.running { Stop::Requested } else { Stop::Done }
    }

    /// Returns how many places hold each waker.
    fn holders(&self, waker: usize) -> usize {
        self.armed.iter().filter(|armed| **armed == Some(waker)).count()
    }

    /// Drops the handle, with all its clones.
    fn let_go(&mut self) {
        if self.shape == Shape::Guard {
            self.stop();
        }
        self.armed.clear();
        self.shape = Shape::Gone;
        if self.outcome.is_some() {
            self.drop_value();
        }
    }
}

impl Real {
    fn new() -> Self {
        let (promise, future) = Promise::new();
        Self {
            promise: Some(promise),
            handle: Handle::Unique(future),
            wakers: Default::default(),
            fired: Arc::default(),
            drops: Arc::default(),
            callback_probe: Arc::default(),
        }
    }

    fn callback(&self, id: usize, panics: bool) -> impl FnOnce(&Result<Counted, TaskError>) + Send + 'static + use<> {
        let (fired, probe) = (Arc::clone(&self.fired), Arc::clone(&self.callback_probe));
        move |outcome| {
            fired.lock().push((id, outcome_of(outcome)));
            drop(probe);
            if panics {
                // Without the panic hook: it would print.
                std::panic::resume_unwind(Box::new(()));
            }
        }
    }
}

type Step = Result<(), TestCaseError>;

fn producer_step(real: &mut Real, model: &mut Model, op: Op) -> Step {
    let Some(promise) = real.promise.take() else {
        return Ok(());
    };
    let wanted = model.outcome.is_none();
    match op {
        Op::Start => {
            prop_assert_eq!(promise.start(), wanted);
            real.promise = Some(promise);
            model.running |= wanted;
        }
        Op::SetResult => {
            model.made += 1;
            let given_back = promise.set_result(Counted(Arc::clone(&real.drops)));
            prop_assert_eq!(given_back.is_ok(), wanted);
            // The value that came back is dropped here.
            model.dropped += usize::from(!wanted);
            finish(model, wanted, Outcome::Value);
        }
        Op::SetException => {
            prop_assert_eq!(promise.set_exception(some_error()).is_ok(), wanted);
            finish(model, wanted, Outcome::Failed);
        }
        _ => {
            drop(promise);
            finish(model, wanted, Outcome::Abandoned);
        }
    }
    Ok(())
}

fn finish(model: &mut Model, wanted: bool, outcome: Outcome) {
    model.promised = false;
    if wanted {
        model.complete(outcome);
    }
}

/// Calls a method that unique and shared handles both have.
macro_rules! on_handle {
    ($real:expr, $handle:ident => $call:expr) => {
        match &$real.handle {
            Handle::Unique($handle) => Some($call),
            Handle::Guard(guard) => {
                let $handle: &Future<Counted> = guard;
                Some($call)
            }
            Handle::Shared(clones) => clones.last().map(|$handle| $call),
            Handle::Gone => None,
        }
    };
}

fn consumer_step(real: &mut Real, model: &mut Model, op: Op) -> Step {
    match op {
        Op::Cancel => {
            if let Some(cancelled) = on_handle!(real, handle => handle.cancel()) {
                prop_assert_eq!(cancelled, model.cancel());
            }
        }
        Op::Stop => {
            if let Some(stop) = on_handle!(real, handle => handle.stop()) {
                prop_assert_eq!(stop, model.stop());
            }
        }
        Op::AddCallback { panics } => add_callback(real, model, panics),
        Op::Poll { waker } => poll(real, model, waker)?,
        Op::ResultNow => result_now(real, model)?,
        _ => change_shape(real, model, op),
    }
    Ok(())
}

fn add_callback(real: &Real, model: &mut Model, panics: bool) {
    let id = model.callbacks;
    let callback = real.callback(id, panics);
    if on_handle!(real, handle => handle.add_done_callback(callback)).is_none() {
        return;
    }
    model.callbacks += 1;
    match model.outcome {
        None => model.waiting.push(id),
        Some(_) if model.shape.is_taken() => model.fired.push((id, Outcome::Taken)),
        Some(outcome) => model.fired.push((id, outcome)),
    }
}

fn poll(real: &mut Real, model: &mut Model, index: usize) -> Step {
    let waker = waker(Arc::clone(&real.wakers[index]));
    let mut cx = Context::from_waker(&waker);
    let ready = match &mut real.handle {
        Handle::Unique(future) => Pin::new(future).poll(&mut cx).map(|outcome| outcome_of(&outcome)),
        Handle::Guard(guard) => Pin::new(guard).poll(&mut cx).map(|outcome| outcome_of(&outcome)),
        Handle::Shared(clones) => match clones.last_mut() {
            Some(clone) => Pin::new(clone).poll(&mut cx).map(|done| outcome_of_shared(&done)),
            None => return Ok(()),
        },
        Handle::Gone => return Ok(()),
    };
    let Some(outcome) = model.outcome else {
        prop_assert!(ready.is_pending());
        *model.armed.last_mut().expect("a handle was polled") = Some(index);
        return Ok(());
    };
    let expected = if model.shape.is_taken() { Outcome::Taken } else { outcome };
    prop_assert_eq!(ready, Poll::Ready(expected));
    match model.shape {
        Shape::Unique => model.shape = Shape::Taken,
        Shape::Guard => model.shape = Shape::TakenGuard,
        _ => return Ok(()),
    }
    model.drop_value();
    Ok(())
}

fn outcome_of_shared(future: &SharedFuture<Counted>) -> Outcome {
    match future.result() {
        Ok(_) => Outcome::Value,
        Err(error) => outcome_of_error(error),
    }
}

/// Reads without waiting. A unique handle is consumed by the outcome, or comes back.
fn result_now(real: &mut Real, model: &mut Model) -> Step {
    match std::mem::replace(&mut real.handle, Handle::Gone) {
        Handle::Unique(future) => match future.result_timeout(Duration::ZERO) {
            Err(future) => {
                prop_assert!(model.outcome.is_none());
                real.handle = Handle::Unique(future);
            }
            Ok(outcome) => {
                let expected = if model.shape.is_taken() { Some(Outcome::Taken) } else { model.outcome };
                prop_assert_eq!(Some(outcome_of(&outcome)), expected);
                model.let_go();
            }
        },
        Handle::Shared(clones) => {
            let read = clones.last().map(|clone| clone.result_timeout(Duration::ZERO).is_ok());
            prop_assert!(read.is_none_or(|read| read == model.outcome.is_some()));
            real.handle = Handle::Shared(clones);
        }
        other => real.handle = other,
    }
    Ok(())
}

/// Applies the operations that make one kind of handle of another.
fn change_shape(real: &mut Real, model: &mut Model, op: Op) {
    let handle = std::mem::replace(&mut real.handle, Handle::Gone);
    real.handle = match (op, handle) {
        (Op::Share, Handle::Unique(future)) if !model.shape.is_taken() => {
            model.shape = Shape::Shared;
            // The task that polled the unique handle has given it away, and no longer waits.
            model.armed = vec![None];
            Handle::Shared(vec![future.share()])
        }
        (Op::CloneShared, Handle::Shared(mut clones)) => {
            clones.extend(clones.first().cloned());
            model.armed.push(None);
            Handle::Shared(clones)
        }
        (Op::DropHandle, Handle::Shared(mut clones)) if clones.len() > 1 => {
            clones.pop();
            model.armed.pop();
            Handle::Shared(clones)
        }
        (Op::DropHandle, handle) => {
            if !matches!(handle, Handle::Gone) {
                model.let_go();
            }
            drop(handle);
            Handle::Gone
        }
        (Op::CancelOnDrop, Handle::Unique(future)) => {
            model.shape = if model.shape.is_taken() { Shape::TakenGuard } else { Shape::Guard };
            Handle::Guard(future.cancel_on_drop())
        }
        (Op::Detach, Handle::Guard(guard)) => {
            model.shape = if model.shape.is_taken() { Shape::Taken } else { Shape::Unique };
            Handle::Unique(guard.detach())
        }
        (_, handle) => handle,
    };
}

/// Compares everything that can be seen from outside.
fn compare(real: &Real, model: &Model) -> Step {
    prop_assert_eq!(&*real.fired.lock(), &model.fired, "callbacks, in order, with what they saw");
    prop_assert_eq!(real.drops.load(Relaxed), model.dropped, "values dropped");
    prop_assert_eq!(Arc::strong_count(&real.callback_probe) - 1, model.waiting.len(), "callbacks kept");
    for (index, waker) in real.wakers.iter().enumerate() {
        prop_assert_eq!(waker.0.load(Relaxed), model.woken[index], "wake-ups of waker {}", index);
        prop_assert_eq!(Arc::strong_count(waker) - 1, model.holders(index), "places that keep waker {}", index);
    }
    if let Some(promise) = &real.promise {
        prop_assert_eq!(promise.is_cancelled(), model.outcome == Some(Outcome::Cancelled));
        prop_assert_eq!(promise.is_stop_requested(), model.stop);
    }
    compare_handle(real, model)
}

fn compare_handle(real: &Real, model: &Model) -> Step {
    let state = on_handle!(real, handle => {
        (handle.is_done(), handle.is_running(), handle.is_cancelled(), handle.wait_timeout(Duration::ZERO))
    });
    if let Some(state) = state {
        let done = model.outcome.is_some();
        prop_assert_eq!(state, (done, model.running, model.outcome == Some(Outcome::Cancelled), done));
    }
    let unique = match &real.handle {
        Handle::Unique(future) => Some(future),
        Handle::Guard(guard) => Some(&**guard),
        _ => None,
    };
    if let Some(future) = unique {
        let seen = future.exception_timeout(Duration::ZERO).map(|error| error.map(outcome_of_error)).ok();
        let expected = model.outcome.map(|outcome| (outcome != Outcome::Value).then_some(outcome));
        if !model.shape.is_taken() {
            prop_assert_eq!(seen, expected);
        }
    }
    Ok(())
}

fn run(ops: &[Op]) -> Step {
    let (mut real, mut model) = (Real::new(), Model::new());
    compare(&real, &model)?;
    for &op in ops {
        match op {
            Op::Start | Op::SetResult | Op::SetException | Op::DropPromise => {
                producer_step(&mut real, &mut model, op)?;
            }
            _ => consumer_step(&mut real, &mut model, op)?,
        }
        compare(&real, &model)?;
    }
    // Drops both sides, in the order that leaves most to the second.
    producer_step(&mut real, &mut model, Op::DropPromise)?;
    compare(&real, &model)?;
    while !matches!(real.handle, Handle::Gone) {
        change_shape(&mut real, &mut model, Op::DropHandle);
        compare(&real, &model)?;
    }
    prop_assert_eq!(model.dropped, model.made, "every value is dropped once");
    prop_assert_eq!(model.fired.len(), model.callbacks, "every callback has run");
    Ok(())
}

proptest! {
    // A failure prints its shortest sequence, which is then made a test of its own; no file of it is kept.
    #![proptest_config(Config { cases: 2_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_future_does_what_the_model_says(ops in collection::vec(op(), 0..40)) {
        run(&ops)?;
    }
}
