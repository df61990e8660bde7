//! Processes that are started at an entry point of this program: what they are handed, what they answer, and how they end.

use process_core::{
    Connection, ExitCode, Handle, MOST_ATTACHMENTS, Settings, SharedBuffer, StandardOutput, Started, start,
};
use rustix::process::Signal;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Runs `test` on a thread of its own; says that it hangs instead of hanging.
fn watched(test: impl FnOnce() + Send + 'static) {
    const LIMIT: Duration = Duration::from_secs(300);
    let (done, is_done) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _done = done;
        test();
    });
    assert_ne!(is_done.recv_timeout(LIMIT), Err(mpsc::RecvTimeoutError::Timeout), "it hangs");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// What the tests start writes nothing.
fn quiet() -> Settings {
    Settings { stdout: StandardOutput::Null, stderr: StandardOutput::Null, ..Settings::default() }
}

fn started(entry: process_core::Entry) -> Started {
    start(entry, &quiet(), &[]).unwrap()
}

fn end_of(mut started: Started) -> ExitStatus {
    started.process.wait().unwrap().unwrap()
}

fn code(result: io::Result<()>) -> ExitCode {
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A handle of one end of a pipe.
fn handle(end: impl Into<OwnedFd>) -> Handle {
    Handle::from(end.into())
}

fn file(handle: &Handle) -> File {
    handle.duplicate().unwrap().into()
}

/// Sends every value back that it gets, until there are no more.
fn echo(connection: Connection) -> ExitCode {
    while let Ok(value) = connection.receive::<Vec<u8>>() {
        if connection.send(&value).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

#[test]
fn values_of_any_length_come_back() {
    watched(|| {
        let started = started(echo);
        for length in [0, 1, 31, 32, 33, 5000, 3 << 20] {
            let value: Vec<u8> = (0..=250).cycle().take(length).collect();
            started.connection.send(&value).unwrap();
            assert!(
                started.connection.receive::<Vec<u8>>().unwrap() == value,
                "other bytes than {length} that were sent"
            );
        }
        drop(started.connection);
        let mut process = started.process;
        assert_eq!(process.wait().unwrap().unwrap().code(), Some(0));
    });
}

/// Reads what comes from one file, writes it to another, and sends the other end of a pipe of its own.
fn copier(connection: Connection) -> ExitCode {
    let copy = || -> io::Result<()> {
        let (from, to): (Handle, Option<Handle>) = connection.receive()?;
        let mut text = String::new();
        file(&from).read_to_string(&mut text)?;
        file(&to.expect("there are two")).write_all(text.as_bytes())?;
        let (reader, mut writer) = pipe()?;
        writer.write_all(b"from the child")?;
        connection.send(&vec![handle(reader)])
    };
    code(copy())
}

#[test]
fn descriptors_travel_inside_values_both_ways() {
    watched(|| {
        let started = started(copier);
        let ((theirs, mut input), (mut output, to)) = (pipe().unwrap(), pipe().unwrap());
        started.connection.send(&(handle(theirs), Some(handle(to)))).unwrap();
        input.write_all(b"through the child").unwrap();
        drop(input);
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through the child");
        let theirs = started.connection.receive::<Vec<Handle>>().unwrap();
        text.clear();
        file(&theirs[0]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "from the child");
        assert_eq!(end_of(started).code(), Some(0));
    });
}

/// Adds numbers in shared memory, and answers with memory of its own.
fn adder(connection: Connection) -> ExitCode {
    let add = || -> io::Result<()> {
        let (numbers, same): (SharedBuffer, SharedBuffer) = connection.receive()?;
        let sum: u64 = numbers.typed::<u64>().unwrap_or_default().iter().sum();
        let is_one = numbers.as_ptr() == same.as_ptr();
        connection.send(&(SharedBuffer::from_typed(&[sum])?, is_one))
    };
    code(add())
}

#[test]
fn memory_travels_inside_values_and_is_mapped_once() {
    watched(|| {
        let started = started(adder);
        let numbers = SharedBuffer::from_typed(&[1_u64, 2, 3]).unwrap();
        started.connection.send(&(&numbers, numbers.clone())).unwrap();
        let (sum, is_one) = started.connection.receive::<(SharedBuffer, bool)>().unwrap();
        assert_eq!((sum.typed::<u64>(), is_one), (Some(&[6][..]), true));
        assert_eq!(end_of(started).code(), Some(0));
    });
}

/// Writes to what it was started with.
fn writer(connection: Connection) -> ExitCode {
    let write = || -> io::Result<()> {
        for (number, file) in connection.attachments().iter().enumerate() {
            write!(File::from(file.try_clone()?), "{number}")?;
        }
        Ok(())
    };
    code(write())
}

#[test]
fn a_process_has_the_descriptors_that_it_is_started_with() {
    watched(|| {
        let pipes: Vec<(PipeReader, PipeWriter)> = (0..20).map(|_| pipe().unwrap()).collect();
        let files: Vec<_> = pipes.iter().map(|(_, writer)| writer.as_fd()).collect();
        let started = start(writer, &quiet(), &files).unwrap();
        assert_eq!(end_of(started).code(), Some(0));
        for (number, (mut reader, writer)) in pipes.into_iter().enumerate() {
            drop(writer);
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, number.to_string());
        }
    });
}

fn seven(_: Connection) -> ExitCode {
    ExitCode::from(7)
}

fn panics(_: Connection) -> ExitCode {
    panic!("on purpose")
}

fn waits(connection: Connection) -> ExitCode {
    let _ = connection.receive::<()>();
    ExitCode::FAILURE
}

#[test]
fn a_process_ends_as_its_entry_point_does() {
    watched(|| {
        assert_eq!(end_of(started(seven)).code(), Some(7));
        assert_eq!(end_of(started(panics)).code(), Some(101));
        let mut waiting = started(waits);
        assert!(waiting.process.try_reap().is_none());
        assert_eq!(waiting.process.signal(Signal::TERM), process_core::Signalled::Sent);
        assert_eq!(waiting.process.wait().unwrap().unwrap().signal(), Some(libc::SIGTERM));
        // Its end is the end of the connection, whatever it has said.
        let error = waiting.connection.receive::<()>().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    });
}

/// Says whether a variable is there, in which folder it is, and how `ps` calls it.
fn teller(connection: Connection) -> ExitCode {
    let tell = || -> io::Result<()> {
        let variable = std::env::var("PROCESS_CORE_TEST").unwrap_or_default();
        let folder = std::env::current_dir()?;
        let name = std::env::args().next().unwrap_or_default();
        let marker = std::env::var_os("CONCURRENT_FUTURES_WORKER_PROCESS").is_some();
        connection.send(&(variable, folder, name, marker))
    };
    code(tell())
}

#[test]
fn a_process_begins_as_it_is_told() {
    watched(|| {
        let settings = Settings {
            name: Some("teller".into()),
            environment: vec![("PROCESS_CORE_TEST".into(), "set".into())],
            current_dir: Some("/".into()),
            ..quiet()
        };
        let started = start(teller, &settings, &[]).unwrap();
        let told: (String, std::path::PathBuf, String, bool) = started.connection.receive().unwrap();
        assert_eq!(told, ("set".to_owned(), "/".into(), "teller".to_owned(), false));
    });
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let settings = Settings { current_dir: Some("/nowhere/at/all".into()), ..quiet() };
    let error = start(seven, &settings, &[]).unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all") && error.process.is_none(), "{error}");
}

#[test]
fn what_cannot_be_sent_is_an_error_and_sends_nothing() {
    watched(|| {
        let started = started(echo);
        let (reader, _writer) = pipe().unwrap();
        let reader = handle(reader);
        let many: Vec<Handle> = (0..=MOST_ATTACHMENTS).map(|_| handle(reader.duplicate().unwrap())).collect();
        let error = started.connection.send(&many).unwrap_err().to_string();
        assert!(error.contains("253 attachments, at most 252"), "{error}");
        // The process does not hear of it.
        started.connection.send(&vec![1_u8]).unwrap();
        assert_eq!(started.connection.receive::<Vec<u8>>().unwrap(), [1]);
        // As many as travel.
        started.connection.send(&many[..MOST_ATTACHMENTS]).unwrap();
        let error = postcard::to_stdvec(&reader).unwrap_err().to_string();
        assert!(!error.is_empty());
    });
}

/// Says what is no value of the type that the parent expects.
fn liar(connection: Connection) -> ExitCode {
    code(connection.send("seven").and_then(|()| connection.send(&7_u64)))
}

#[test]
fn a_value_of_another_type_is_an_error_and_the_next_one_is_read() {
    watched(|| {
        let started = started(liar);
        let error = started.connection.receive::<Vec<Handle>>().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(started.connection.receive::<u64>().unwrap(), 7);
    });
}
