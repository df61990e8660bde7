//! What a worker process runs before its first task.

use super::{Function, Job, Phase, Trampoline, frame};
use crate::executor::Portable;
use crate::info::{TaskId, TaskInfo};
use crate::output::Output;
use std::any::type_name;
use std::error::Error;
use std::fmt::{self, Display};
use std::panic::Location;

/// A function and its packed argument, for every worker process to run first.
///
/// ```
/// use executor_core::remote::Initializer;
///
/// fn load(table: u32) -> Result<(), String> {
///     if table == 0 { Err("there is no table 0".to_owned()) } else { Ok(()) }
/// }
///
/// // What a worker is to run, and with which bytes; they are encoded in the parent, once.
/// let initializer = Initializer::with(load, &7)?;
/// assert_eq!(initializer.input, [7]);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug)]
pub struct Initializer {
    /// What to run.
    pub function: Function,
    /// Its packed argument.
    pub input: Vec<u8>,
}

/// What an initializer said, or its panic.
///
/// See the example of [`Initializer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitializerError(String);

impl Display for InitializerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InitializerError {}

impl Initializer {
    /// Without an argument.
    ///
    /// See the example of [`Initializer`].
    #[must_use]
    pub fn new<E: Into<Box<dyn Error + Send + Sync>>>(f: fn() -> Result<(), E>) -> Self {
        let trampoline = const { &Trampoline::new(types::<fn(), E>, run::<E>) };
        Self { function: Function { trampoline, code: f as *const () }, input: Vec::new() }
    }

    /// With an argument, which is encoded here and now.
    ///
    /// # Errors
    ///
    /// What the argument's `Serialize` said.
    ///
    /// See the example of [`Initializer`].
    pub fn with<A, E>(f: fn(A) -> Result<(), E>, args: &A) -> Result<Self, String>
    where
        A: Portable,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let trampoline = const { &Trampoline::new(types::<A, E>, run_with::<A, E>) };
        let mut input = Vec::new();
        frame::encode(args, &mut Output::new(&mut input))?;
        Ok(Self { function: Function { trampoline, code: f as *const () }, input })
    }

    /// Reads the reply of a worker that ran it.
    ///
    /// # Errors
    ///
    /// The initializer's own.
    ///
    /// See the example of [`Initializer`].
    #[track_caller]
    pub fn read_reply(reply: &[u8]) -> Result<(), InitializerError> {
        let info = || TaskInfo::new(TaskId::next(), None, Location::caller());
        match frame::read_outcome::<Result<(), String>>(reply, info) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(text)) => Err(InitializerError(text)),
            Err(crate::TaskError::Panicked(panic)) => Err(InitializerError(format!(
                "it panicked at {}: {}",
                panic.location().unwrap_or("?"),
                panic.message()
            ))),
            Err(crate::TaskError::Codec(error)) => {
                Err(InitializerError(format!("{} failed: {}", error.phase(), error.message())))
            }
            Err(error) => Err(InitializerError(error.to_string())),
        }
    }
}

/// Returns the words of an initializer's error, which are what crosses to the parent.
fn text(error: impl Into<Box<dyn Error + Send + Sync>>) -> String {
    error.into().to_string()
}

fn types<A, E>() -> (&'static str, &'static str) {
    (type_name::<(A, Initializer)>(), type_name::<E>())
}

/// # Safety
/// `code` is the address of a `fn() -> Result<(), E>`.
unsafe fn run<E: Into<Box<dyn Error + Send + Sync>>>(code: *const (), job: &mut Job<'_>) {
    // SAFETY: by contract.
    let f = unsafe { std::mem::transmute::<*const (), fn() -> Result<(), E>>(code) };
    job.progress.enter(Phase::Running);
    let outcome = frame::call(job.stop, || f().map_err(text));
    job.progress.returned();
    frame::push_outcome(outcome, job.worker, &mut job.output, job.progress);
}

/// # Safety
/// `code` is the address of a `fn(A) -> Result<(), E>`.
unsafe fn run_with<A: Portable, E: Into<Box<dyn Error + Send + Sync>>>(code: *const (), job: &mut Job<'_>) {
    // SAFETY: by contract.
    let f = unsafe { std::mem::transmute::<*const (), fn(A) -> Result<(), E>>(code) };
    job.progress.enter(Phase::Running);
    match frame::decode::<A>(job.input) {
        Ok(args) => {
            let outcome = frame::call(job.stop, || f(args).map_err(text));
            job.progress.returned();
            frame::push_outcome(outcome, job.worker, &mut job.output, job.progress);
        }
        Err(text) => frame::push_codec_error(crate::error::CodecPhase::DecodeArgument, &text, &mut job.output),
    }
}
