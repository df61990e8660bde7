//! D1 to D15, P5 to P7: an error, a panic, an exit, an abort, a segmentation fault, each while the argument is encoded or
//! decoded, while the task runs, while its result is encoded or decoded. Each costs the one task, as a task of its own and
//! as an item in the midst of a chunk.

use crate::support::{assert_works, double, exit, outcome, pool, write_to_nowhere};
use crate::watchdog::{step, watched};
use executor_conformance::OnPurpose;
use executor_core::{CodecPhase, Executor, ExecutorExt, MapOptions, Shutdown, TaskError};
use process_executor::ProcessPoolExecutor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::Display;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Fault {
    Nothing,
    Error,
    Panic,
    Exit,
    Abort,
    NullWrite,
}

/// The others are the end of the program, in which these run.
const IN_THE_PARENT: [Fault; 2] = [Fault::Error, Fault::Panic];
const IN_A_WORKER: [Fault; 5] = [Fault::Error, Fault::Panic, Fault::Exit, Fault::Abort, Fault::NullWrite];

impl Fault {
    fn happen(self) -> Result<(), &'static str> {
        match self {
            Self::Nothing => Ok(()),
            Self::Error => Err("an error on purpose"),
            Self::Panic => panic!("a panic on purpose"),
            Self::Exit => exit(7),
            Self::Abort => std::process::abort(),
            Self::NullWrite => write_to_nowhere(),
        }
    }

    /// How a process ends by it; `None` if it does not.
    fn death(self) -> Option<&'static str> {
        match self {
            Self::Nothing | Self::Error | Self::Panic => None,
            Self::Exit => Some("exited with code 7"),
            Self::Abort => Some("SIGABRT"),
            Self::NullWrite => Some("SIGSEGV"),
        }
    }
}

/// A value in which something goes wrong when it is encoded, or decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trap {
    encode: Fault,
    decode: Fault,
    number: u64,
}

impl Trap {
    fn harmless(number: u64) -> Self {
        Self { encode: Fault::Nothing, decode: Fault::Nothing, number }
    }
}

impl Serialize for Trap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::{Error, SerializeTuple};
        let mut tuple = serializer.serialize_tuple(3)?;
        // In the middle: something is written already.
        tuple.serialize_element(&self.number)?;
        self.encode.happen().map_err(S::Error::custom)?;
        tuple.serialize_element(&self.encode)?;
        tuple.serialize_element(&self.decode)?;
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Trap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let (number, encode, decode) = <(u64, Fault, Fault)>::deserialize(deserializer)?;
        decode.happen().map_err(D::Error::custom)?;
        Ok(Self { encode, decode, number })
    }
}

/// An argument: a trap, and what is to happen later.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Plan {
    argument: Trap,
    run: Fault,
    result: (Fault, Fault),
}

impl Plan {
    fn harmless(number: u64) -> Self {
        Self { argument: Trap::harmless(number), run: Fault::Nothing, result: (Fault::Nothing, Fault::Nothing) }
    }

    /// The plan in which that goes wrong in that stage.
    fn with(stage: Stage, fault: Fault, number: u64) -> Self {
        let mut plan = Self::harmless(number);
        match stage {
            Stage::EncodeArgument => plan.argument.encode = fault,
            Stage::DecodeArgument => plan.argument.decode = fault,
            Stage::Run => plan.run = fault,
            Stage::EncodeResult => plan.result.0 = fault,
            Stage::DecodeResult => plan.result.1 = fault,
        }
        plan
    }
}

fn run(plan: Plan) -> Result<Trap, String> {
    plan.run.happen()?;
    let (encode, decode) = plan.result;
    Ok(Trap { encode, decode, number: 2 * plan.argument.number })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    EncodeArgument,
    DecodeArgument,
    Run,
    EncodeResult,
    DecodeResult,
}

impl Stage {
    fn faults(self) -> &'static [Fault] {
        match self {
            Self::EncodeArgument | Self::DecodeResult => &IN_THE_PARENT,
            _ => &IN_A_WORKER,
        }
    }

    fn codec_phase(self) -> Option<CodecPhase> {
        match self {
            Self::EncodeArgument => Some(CodecPhase::EncodeArgument),
            Self::DecodeArgument => Some(CodecPhase::DecodeArgument),
            Self::Run => None,
            Self::EncodeResult => Some(CodecPhase::EncodeResult),
            Self::DecodeResult => Some(CodecPhase::DecodeResult),
        }
    }
}

type Outcome = Result<Result<Trap, String>, TaskError>;

#[track_caller]
fn assert_outcome(stage: Stage, fault: Fault, outcome: &Outcome) {
    let what = format!("{fault:?} in {stage:?} gave {outcome:?}");
    match (stage.codec_phase(), fault.death(), outcome) {
        (_, Some(death), Err(TaskError::WorkerDied(error))) => {
            assert_eq!(error.deaths().len(), 1, "{what}");
            assert!(error.deaths()[0].exit().contains(death), "{what}");
        }
        (Some(phase), None, Err(TaskError::Codec(error))) => {
            assert_eq!(error.phase(), phase, "{what}");
            assert!(error.message().contains("on purpose"), "{what}");
        }
        (None, None, Err(TaskError::Panicked(panic))) => {
            assert_eq!(fault, Fault::Panic);
            assert_eq!(panic.message(), "a panic on purpose");
            assert!(panic.location().is_some_and(|location| location.contains("matrix.rs")), "{what}");
        }
        (None, None, Ok(Err(text))) => {
            assert_eq!(fault, Fault::Error);
            assert_eq!(text, "an error on purpose");
        }
        _ => panic!("{what}"),
    }
}

#[track_caller]
fn assert_right(number: u64, outcome: &Outcome) {
    match outcome {
        Ok(Ok(result)) => assert_eq!(*result, Trap::harmless(2 * number)),
        other => panic!("the sibling {number}: {other:?}"),
    }
}

/// As a task among others.
fn submitted(stage: Stage) {
    let pool = pool(2);
    for &fault in stage.faults() {
        let submit = |plan| pool.submit(run, plan).unwrap();
        let before: Vec<_> = (0..4).map(|number| submit(Plan::harmless(number))).collect();
        let bad = submit(Plan::with(stage, fault, 99));
        let after: Vec<_> = (4..8).map(|number| submit(Plan::harmless(number))).collect();
        assert_outcome(stage, fault, &outcome(&format!("{fault:?} in {stage:?}"), bad));
        for (number, future) in (0..).zip(before.into_iter().chain(after)) {
            assert_right(number, &outcome("a sibling", future));
        }
        assert_works(&pool);
    }
    let deaths = stage.faults().iter().filter(|fault| fault.death().is_some()).count();
    assert_eq!(pool.stats().deaths, deaths as u64);
}

/// As items of chunks of five: the first of one, in the middle, the last, and a chunk where two go wrong.
fn mapped(stage: Stage) {
    const BAD: [u64; 5] = [5, 12, 19, 21, 23];
    let pool = pool(2);
    for &fault in stage.faults() {
        let plans = (0..30).map(|number| match BAD.contains(&number) {
            true => Plan::with(stage, fault, number),
            false => Plan::harmless(number),
        });
        step(format!("a map with {fault:?} in {stage:?}"));
        let outcomes: Vec<Outcome> = pool.map_with(MapOptions::new().chunk_size(5), run, plans).collect();
        assert_eq!(outcomes.len(), 30);
        for (number, outcome) in (0..).zip(&outcomes) {
            if !BAD.contains(&number) {
                assert_right(number, outcome);
                continue;
            }
            assert_outcome(stage, fault, outcome);
            if let Err(error) = outcome {
                assert_eq!(error.info().and_then(executor_core::TaskInfo::input), Some(number));
            }
        }
        assert_works(&pool);
    }
}

#[test]
fn d1_p5_encoding_the_argument() {
    watched(|| submitted(Stage::EncodeArgument));
}

#[test]
fn d2_d3_d4_p7_decoding_the_argument() {
    watched(|| submitted(Stage::DecodeArgument));
}

#[test]
fn d5_d6_d7_p4_running() {
    watched(|| submitted(Stage::Run));
}

#[test]
fn d8_d9_d10_p6_encoding_the_result() {
    watched(|| submitted(Stage::EncodeResult));
}

#[test]
fn d11_p7_decoding_the_result() {
    watched(|| submitted(Stage::DecodeResult));
}

#[test]
fn m5_d1_encoding_items() {
    watched(|| mapped(Stage::EncodeArgument));
}

#[test]
fn m5_d4_decoding_items() {
    watched(|| mapped(Stage::DecodeArgument));
}

#[test]
fn m5_d5_running_items() {
    watched(|| mapped(Stage::Run));
}

#[test]
fn m5_d8_encoding_the_results_of_items() {
    watched(|| mapped(Stage::EncodeResult));
}

#[test]
fn m5_d11_decoding_the_results_of_items() {
    watched(|| mapped(Stage::DecodeResult));
}

/// Every item of a map kills its worker, and the next item needs another.
#[test]
fn m5_every_item_is_fatal() {
    watched(|| {
        let pool = pool(2);
        step("a map of fatal items");
        let plans = (0..12).map(|number| Plan::with(Stage::Run, Fault::Abort, number));
        let outcomes: Vec<Outcome> = pool.map_with(MapOptions::new().chunk_size(4), run, plans).collect();
        assert_eq!(outcomes.len(), 12);
        outcomes.iter().for_each(|outcome| assert_outcome(Stage::Run, Fault::Abort, outcome));
        assert_eq!(pool.stats().deaths, 12);
        assert_works(&pool);
    });
}

/// What is thrown need not be text; it stays in the worker.
#[test]
fn d7_a_panic_without_words() {
    watched(|| {
        let pool = pool(1);
        let task = pool.submit(|_: ()| -> u32 { std::panic::panic_any(OnPurpose) }, ()).unwrap();
        let Err(TaskError::Panicked(panic)) = outcome("a panic without words", task) else { panic!("it ended well") };
        assert!(panic.message().contains("not text"), "{}", panic.message());
        assert_works(&pool);
        assert_eq!(pool.stats().deaths, 0);
    });
}

/// A stack that overflows is a death as any other.
#[test]
fn d5_a_stack_overflow() {
    #[expect(unconditional_recursion, reason = "that is the test")]
    fn endless(number: u64) -> u64 {
        let deeper = std::hint::black_box(number);
        endless(deeper) + endless(deeper + 1)
    }
    watched(|| {
        let pool = pool(1);
        let death = crate::support::only_death(outcome("endless recursion", pool.submit(endless, 1).unwrap()));
        assert!(death.contains("SIGSEGV") || death.contains("SIGABRT"), "{death}");
        assert_works(&pool);
    });
}

/// P2, P3: each failed future has an error of its own, which tells of its own worker.
#[test]
fn p2_p3_an_error_for_each() {
    watched(|| {
        let pool = pool(2);
        let tasks: Vec<_> = (0..4)
            .map(|number| {
                let plan = Plan::with(Stage::Run, Fault::Exit, number);
                pool.submit_with(executor_core::TaskOptions::new().name(format!("task {number}")), run, plan).unwrap()
            })
            .collect();
        let mut pids = Vec::new();
        for (number, task) in tasks.into_iter().enumerate() {
            let Err(TaskError::WorkerDied(death)) = outcome("an exit", task) else { panic!("it lives") };
            assert_eq!(death.info().name(), Some(&*format!("task {number}")));
            let text = death.to_string();
            let pid = death.deaths()[0].pid();
            for part in [&format!("pid {pid}"), "exited with code 7", "matrix.rs"] {
                assert!(text.contains(part), "{part:?} is missing in {text:?}");
            }
            pids.push(pid);
        }
        pids.sort_unstable();
        pids.dedup();
        assert_eq!(pids.len(), 4);
    });
}

/// D13: what goes wrong after `shutdown(no_wait)` is told as before, and the pool ends.
#[test]
fn d13_after_shutdown() {
    fn shut(stage: Stage, fault: Fault) {
        let pool: ProcessPoolExecutor = pool(1);
        let bad = pool.submit(run, Plan::with(stage, fault, 1)).unwrap();
        let good = pool.submit(run, Plan::harmless(2)).unwrap();
        pool.shutdown(Shutdown::no_wait());
        assert_outcome(stage, fault, &outcome(&format!("{fault:?} in {stage:?} after shutdown"), bad));
        assert_right(2, &outcome("the last task", good));
        step(format!("the end after {fault:?} in {stage:?}"));
        pool.shutdown(Shutdown::wait());
        assert_eq!(pool.stats().workers, 0);
    }
    watched(|| {
        use Stage::{DecodeArgument, DecodeResult, EncodeArgument, EncodeResult, Run};
        for stage in [EncodeArgument, DecodeArgument, Run, EncodeResult, DecodeResult] {
            stage.faults().iter().for_each(|&fault| shut(stage, fault));
        }
    });
}

/// D15: nothing that a busy pool does makes `submit` wait.
#[test]
fn d15_submit_does_not_block() {
    fn hold(pass: crate::support::Pass) {
        pass.go();
    }
    watched(|| {
        let pool = pool(1);
        let gate = crate::support::Gate::new();
        let first = pool.submit(hold, gate.pass()).unwrap();
        gate.wait_arrivals(1);
        step("a hundred thousand submissions while the only worker is busy");
        let futures: Vec<_> = (0..100_000).map(|number| pool.submit(double, number).unwrap()).collect();
        gate.open();
        outcome("the first", first).unwrap();
        for (number, future) in (0..).zip(futures) {
            assert_eq!(outcome("one of many", future).unwrap(), 2 * number);
        }
    });
}

/// An error of a type's own serde code is told in its own words, whatever they are.
#[test]
fn p5_words_are_kept() {
    #[derive(Debug, Deserialize)]
    struct Wordy;
    impl Serialize for Wordy {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            fn custom<E: serde::ser::Error>(text: impl Display) -> E {
                E::custom(text)
            }
            Err(custom("ünïcode, \"quotes\", and\nlines"))
        }
    }
    watched(|| {
        let pool = pool(1);
        let results = [
            pool.submit(|_: Wordy| (), Wordy).unwrap().result().unwrap_err(),
            pool.submit(|_: ()| Wordy, ()).unwrap().result().unwrap_err(),
        ];
        for error in results {
            assert!(error.to_string().contains("ünïcode, \"quotes\", and\nlines"), "{error}");
        }
    });
}
