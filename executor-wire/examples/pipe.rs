//! One process calls a function in another of the same executable, over a pipe, with nothing but this crate.
//!
//! ```sh
//! cargo run -p concurrent-futures-wire --example pipe
//! ```

use executor_wire::{CodecPhase, Failure, Job, Output, Phase, Progress, call_trampoline, pack, read};
use std::env;
use std::error::Error;
use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicU32;

/// The function that is called over there: how often each letter of a text occurs.
fn letters(text: String) -> Vec<(char, usize)> {
    let mut counts: Vec<(char, usize)> = Vec::new();
    for letter in text.chars().filter(|letter| letter.is_alphabetic()) {
        match counts.iter_mut().find(|(known, _)| *known == letter) {
            Some((_, count)) => *count += 1,
            None => counts.push((letter, 1)),
        }
    }
    counts
}

/// Tells nobody how far the worker has come: if it dies, this caller hears of it by the end of the pipe.
struct Untold;

impl Progress for Untold {
    fn enter(&mut self, _phase: Phase) {}
    fn begin_items(&mut self) {}
    fn begin_item(&mut self) {}
    fn end_item(&mut self, _output: &mut Output<'_>) -> bool {
        true
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().nth(1).as_deref() == Some("worker") { work() } else { call() }
}

/// The caller: packs a call, hands it to a worker, and reads the reply.
fn call() -> Result<(), Box<dyn Error>> {
    let mut input = Vec::new();
    let text = "the quick brown fox".to_owned();
    let function = pack(letters, text, &mut Output::new(&mut input)).map_err(|error| explain(&error))?;

    let mut worker =
        Command::new(env::current_exe()?).arg("worker").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut to_worker = worker.stdin.take().ok_or("the worker has no input")?;
    // This worker knows one function. One that knows all is told the offsets of `function.trampoline` and `function.code`.
    to_worker.write_all(&function.trampoline.fingerprint().to_le_bytes())?;
    to_worker.write_all(&input)?;
    drop(to_worker);
    let reply = worker.wait_with_output()?.stdout;

    match read::<Vec<(char, usize)>>(&reply) {
        Ok(counts) => writeln!(io::stdout(), "{counts:?}")?,
        Err(Failure::Panicked(panic)) => return Err(format!("{} panicked: {}", panic.worker, panic.message).into()),
        Err(Failure::Codec(phase, text)) => return Err(explain(&(phase, text)).into()),
        Err(Failure::Cancelled) => return Err("the call was stopped".into()),
    }
    Ok(())
}

/// The worker: reads a call from standard input, runs it, and writes the reply to standard output.
fn work() -> Result<(), Box<dyn Error>> {
    let mut message = Vec::new();
    io::stdin().read_to_end(&mut message)?;
    let (fingerprint, input) = message.split_first_chunk().ok_or("the call is too short")?;
    let trampoline = call_trampoline::<String, Vec<(char, usize)>>();
    if trampoline.fingerprint() != u64::from_le_bytes(*fingerprint) {
        return Err("the call is of a function with other types".into());
    }
    let (mut reply, stop) = (Vec::new(), AtomicU32::new(0));
    let output = Output::new(&mut reply);
    let mut job = Job { input, output, stop: &stop, timed: false, worker: "pipe", progress: &mut Untold };
    // SAFETY: the trampoline is of this function's types.
    unsafe { trampoline.run(letters as fn(String) -> Vec<(char, usize)> as *const (), &mut job) };
    drop(job);
    Ok(io::stdout().write_all(&reply)?)
}

fn explain((phase, text): &(CodecPhase, String)) -> String {
    format!("{phase} failed: {text}")
}
