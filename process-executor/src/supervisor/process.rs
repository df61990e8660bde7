//! Starting a worker: the memory that it shares, the words that it is told, its process.

use crate::link::Link;
use crate::protocol::layout::{SIZE, Shared};
use crate::protocol::message::Message;
use crate::protocol::worker_settings::WorkerSettings;
use crate::settings::{Settings, WorkerOutput};
use executor_core::remote::Initializer;
use process_core::image::Image;
use process_core::memory::Buffer;
use process_core::memory::{Access, Mapping};
use process_core::start_error::Calling;
use process_core::system::{self, Credentials};
use process_core::{Entry, NotStarted, Process, StandardOutput};
use rustix::fd::{AsFd, OwnedFd};
use std::ffi::OsString;
use std::io;
use std::sync::Arc;

/// A worker that was started, and the ways to it.
pub(crate) struct Started {
    pub(crate) process: Process,
    pub(crate) shared: Shared,
    pub(crate) link: Arc<Link>,
    pub(crate) welcome: Welcome,
    /// The rights with which it runs.
    pub(crate) credentials: Credentials,
}

/// The order to begin. A worker waits for it, and runs nothing of the user's before.
pub(crate) struct Welcome {
    /// How many bytes its settings have.
    settings: u64,
}

impl Welcome {
    /// Sends the order; never blocks. A worker that has ended is no error here: its end is an event that follows, and says why.
    pub(crate) fn send(&self, link: &Link) -> io::Result<()> {
        match (Message::Welcome { settings: self.settings }).send(link.socket(), &[]) {
            Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
            sent => sent,
        }
    }
}

/// The system calls that make shared memory.
const MAKING_MEMORY: &str = "memfd_create, ftruncate or fcntl(F_ADD_SEALS)";

/// Starts a worker: the memory it shares, and the process with the socket to it. It begins when it is welcomed.
pub(crate) fn start(
    entry: Entry,
    settings: &Settings,
    image: &Image,
    index: usize,
    environment: &[(OsString, OsString)],
    worker_ends: &[OwnedFd],
) -> Result<Started, NotStarted> {
    let credentials = Credentials::now();
    let memory = system::anonymous_memory("concurrent-futures-ring", SIZE).calling(MAKING_MEMORY)?;
    let mapping = Mapping::new(&memory, SIZE, Access::ReadWrite).calling("mmap")?;
    mapping.keep_out_of_forks();
    let shared = Shared::new(mapping).ok_or(io::ErrorKind::InvalidData).calling("mmap")?;
    let words = settings_for(settings, image, index).calling("naming the initializer")?;
    let words = Buffer::copy_of(&words).calling(MAKING_MEMORY)?;
    let mut attachments = vec![memory.as_fd(), words.file().as_fd()];
    attachments.extend(worker_ends.iter().map(AsFd::as_fd));
    let how = process_core::Settings {
        name: Some(name_for_ps(settings, index)),
        environment: environment.to_vec(),
        current_dir: settings.current_dir.clone(),
        stdout: output(settings.stdout),
        stderr: output(settings.stderr),
    };
    let process_core::Started { process, connection } = process_core::start(entry, &how, &attachments)?;
    let link = Arc::new(Link::new(connection.into_parts().socket));
    Ok(Started { process, shared, link, welcome: Welcome { settings: words.length() }, credentials })
}

fn output(output: WorkerOutput) -> StandardOutput {
    match output {
        WorkerOutput::Inherit => StandardOutput::Inherit,
        WorkerOutput::Null => StandardOutput::Null,
    }
}

fn settings_for(settings: &Settings, image: &Image, index: usize) -> io::Result<Vec<u8>> {
    let initializer = settings.initializer.as_ref().map(|initializer| name_of(initializer, image)).transpose()?;
    let settings = WorkerSettings {
        name: settings.worker_name(index),
        initializer,
        may_spin: num_cpus::get() > 1,
        nice: settings.nice,
    };
    postcard::to_stdvec(&settings).map_err(io::Error::other)
}

fn name_of(initializer: &Initializer, image: &Image) -> io::Result<([u64; 3], Vec<u8>)> {
    let name = process_core::function::FunctionName::of(initializer.function, image)
        .ok_or_else(|| io::Error::other("the initializer is not part of the executable"))?;
    Ok(([name.trampoline, name.code, name.fingerprint], initializer.input.clone()))
}

fn name_for_ps(settings: &Settings, index: usize) -> OsString {
    let program = std::env::args_os().next().unwrap_or_default();
    let program = std::path::Path::new(&program).file_name().unwrap_or_default();
    let mut name = program.to_owned();
    name.push(format!(" (worker {} of {})", settings.worker_name(index), std::process::id()));
    name
}

#[cfg(test)]
mod tests {
    use super::Welcome;
    use crate::link::{Event, Link};
    use process_core::system;

    fn welcome() -> Welcome {
        Welcome { settings: 1 }
    }

    /// That it has ended, and why, is told by its end.
    #[test]
    fn a_worker_that_has_ended_may_be_welcomed() {
        let (ours, theirs) = system::socket_pair().unwrap();
        let link = Link::new(ours);
        drop(theirs);
        welcome().send(&link).unwrap();
        assert_eq!(link.read(), [Event::Closed]);
    }

    /// It ended with something unread.
    #[test]
    fn a_worker_whose_connection_was_reset_may_be_welcomed() {
        let (ours, theirs) = system::socket_pair().unwrap();
        let link = Link::new(ours);
        welcome().send(&link).unwrap();
        drop(theirs);
        welcome().send(&link).unwrap();
    }
}
