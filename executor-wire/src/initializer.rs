//! [`Initializer`]: what a worker process runs before its first task.

use crate::call;
use crate::codec_phase::CodecPhase;
use crate::job::{Job, Phase};
use crate::output::Output;
use crate::portable::Portable;
use crate::reply::{self, Failure};
use crate::trampoline::{Function, Trampoline};
use std::any::type_name;
use std::error::Error;
use std::fmt::{self, Display};

/// A function and its packed argument, which every worker process runs first.
///
/// ```
/// use executor_wire::Initializer;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitializerError(String);

impl Display for InitializerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InitializerError {}

impl Initializer {
    /// Returns an initializer without an argument.
    #[must_use]
    pub fn new<E: Into<Box<dyn Error + Send + Sync>>>(f: fn() -> Result<(), E>) -> Self {
        let trampoline = const { &Trampoline::new(types::<fn(), E>, run::<E>) };
        Self { function: Function { trampoline, code: f as *const () }, input: Vec::new() }
    }

    /// Returns an initializer with an argument, which is encoded here and now.
    ///
    /// # Errors
    ///
    /// What the argument's `Serialize` said.
    pub fn with<A, E>(f: fn(A) -> Result<(), E>, args: &A) -> Result<Self, String>
    where
        A: Portable,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let trampoline = const { &Trampoline::new(types::<A, E>, run_with::<A, E>) };
        let mut input = Vec::new();
        call::encode(args, &mut Output::new(&mut input))?;
        Ok(Self { function: Function { trampoline, code: f as *const () }, input })
    }

    /// Reads the reply of a worker that ran it.
    ///
    /// # Errors
    ///
    /// The initializer's own.
    pub fn read_reply(reply: &[u8]) -> Result<(), InitializerError> {
        let text = match reply::read::<Result<(), String>>(reply) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(text)) => text,
            Err(Failure::Panicked(panic)) => {
                format!("it panicked at {}: {}", panic.location.as_deref().unwrap_or("?"), panic.message)
            }
            Err(Failure::Codec(phase, text)) => format!("{phase} failed: {text}"),
            Err(Failure::Cancelled) => "it was stopped".to_owned(),
        };
        Err(InitializerError(text))
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
    let outcome = call::call(job.stop, || f().map_err(text));
    job.progress.returned();
    reply::push_outcome(outcome, job.worker, &mut job.output, job.progress);
}

/// # Safety
/// `code` is the address of a `fn(A) -> Result<(), E>`.
unsafe fn run_with<A: Portable, E: Into<Box<dyn Error + Send + Sync>>>(code: *const (), job: &mut Job<'_>) {
    // SAFETY: by contract.
    let f = unsafe { std::mem::transmute::<*const (), fn(A) -> Result<(), E>>(code) };
    job.progress.enter(Phase::Running);
    match call::decode::<A>(job.input) {
        Ok(args) => {
            let outcome = call::call(job.stop, || f(args).map_err(text));
            job.progress.returned();
            reply::push_outcome(outcome, job.worker, &mut job.output, job.progress);
        }
        Err(text) => reply::push_codec_error(CodecPhase::DecodeArgument, &text, &mut job.output),
    }
}
