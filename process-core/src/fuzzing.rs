//! What is done with frames and descriptors that mean ill: by the fuzzer `connection` in `fuzz/` at the repository's root, and by the
//! tests, which replay what it has found.

use crate::attachments::Attachment;
use crate::connection::{Connection, REFUSED, VALUE};
use crate::frame::{self, LENGTH};
use crate::handle::Handle;
use crate::memory::{Buffer, SharedBuffer};
use crate::system;
use arbitrary::{Arbitrary, Unstructured};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use serde::de::DeserializeOwned;
use std::io;

/// Returns the next number of a script; 0 at its end.
pub fn take<'a, T: Arbitrary<'a> + Default>(script: &mut Unstructured<'a>) -> T {
    script.arbitrary().unwrap_or_default()
}

/// Returns the next number of a script, below `end`.
pub fn below(script: &mut Unstructured<'_>, end: usize) -> usize {
    usize::from(take::<u8>(script)) % end
}

/// What is in all memory that is no value.
const CONTENTS: u8 = 7;
/// A value itself is shorter, and so is memory whose bytes stand in it.
const MOST_INLINE: usize = 64;
/// Longer memory than any machine has.
const IMMENSE: usize = usize::MAX >> 20;

/// Takes the bytes as a script of what a process that was started sends, and of the types that its parent expects.
///
/// # Panics
///
/// If memory is found that is not as it was announced, if what has come is not the end when there is no more, or if a process could send
/// itself nothing.
pub fn connection(bytes: &[u8]) {
    read_all(bytes);
}

/// Returns how many values were read.
fn read_all(bytes: &[u8]) -> usize {
    let mut script = Unstructured::new(bytes);
    let (ours, theirs) = system::socket_pair().expect("there are descriptors");
    for _ in 0..below(&mut script, 16) {
        if !say(&theirs, &mut script) {
            break;
        }
    }
    drop(theirs);
    let connection = Connection::of_parent(ours);
    let mut values = 0;
    loop {
        let received = match below(&mut script, 4) {
            0 => receive::<Vec<u8>>(&connection, |_| ()),
            1 => receive::<(SharedBuffer, String)>(&connection, |(memory, _)| check(&memory)),
            2 => receive::<Vec<Handle>>(&connection, |handles| {
                assert!(
                    handles.iter().all(|handle| rustix::io::fcntl_getfd(handle).is_ok()),
                    "open as long as it is held"
                );
            }),
            _ => receive::<Option<(Handle, SharedBuffer)>>(&connection, |both| {
                both.iter().for_each(|(_, memory)| check(memory));
            }),
        };
        match received {
            Ok(()) => values += 1,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return values,
            Err(_) => {}
        }
    }
}

fn check(memory: &SharedBuffer) {
    let is_inline = memory.len() < MOST_INLINE;
    assert!(is_inline || memory.iter().all(|byte| *byte == CONTENTS), "other bytes than were sent");
}

fn receive<T: DeserializeOwned + 'static>(connection: &Connection, look: impl FnOnce(T)) -> io::Result<()> {
    connection.receive().map(look)
}

/// Sends something; false if the socket is full.
fn say(socket: &OwnedFd, script: &mut Unstructured<'_>) -> bool {
    match below(script, 6) {
        0 => bytes(socket, script),
        1 => {
            let (file, length) = file(script);
            frame::send(socket, [REFUSED, length, take::<u8>(script).into(), 0], &[file.as_fd()]).is_ok()
        }
        2 => {
            let words = [VALUE, take::<u64>(script), take::<u64>(script), 0];
            frame::send(socket, words, &[file(script).0.as_fd()]).is_ok()
        }
        _ => value(socket, script),
    }
}

/// Any bytes, with a few descriptors.
fn bytes(socket: &OwnedFd, script: &mut Unstructured<'_>) -> bool {
    let (file, _) = file(script);
    let count = below(script, 5);
    let length = (below(script, 2 * LENGTH) + 1).min(script.len());
    let bytes = script.bytes(length).unwrap_or_default();
    bytes.is_empty() || system::send(socket, bytes, &[file.as_fd(); 4][..count]).is_ok_and(|sent| sent == bytes.len())
}

/// A value as `Connection::send` sends it, but for what is in it: any bytes, and attachments that are most often as they are said to be.
fn value(socket: &OwnedFd, script: &mut Unstructured<'_>) -> bool {
    let attachments: Vec<_> = (0..below(script, 4)).map(|_| (u64::from(take::<u8>(script)), file(script))).collect();
    let length = below(script, MOST_INLINE).min(script.len());
    let mut contents = script.bytes(length).unwrap_or_default().to_vec();
    for (id, (_, length)) in &attachments {
        contents.extend(id.to_le_bytes());
        contents.extend(length.to_le_bytes());
    }
    let memory = Buffer::copy_of(&contents).expect("there is memory");
    let mut files: Vec<BorrowedFd<'_>> = vec![memory.file().as_fd()];
    files.extend(attachments.iter().map(|(_, (file, _))| file.as_fd()));
    let said = if take::<u8>(script) < 16 { take::<u8>(script).into() } else { attachments.len() as u64 };
    frame::send(socket, [VALUE, length as u64, said, 0], &files).is_ok()
}

/// Memory, or something else, and what is said of its length.
fn file(script: &mut Unstructured<'_>) -> (OwnedFd, u64) {
    let length = below(script, 200);
    let (file, honest) = match below(script, 8) {
        0..4 => {
            let buffer = Buffer::copy_of(&vec![CONTENTS; length]).expect("there is memory");
            let length = buffer.sealed_length().unwrap_or_default();
            (system::duplicate(buffer.file()).expect("there are descriptors"), length)
        }
        // It can be written to.
        4 => (system::anonymous_memory("fuzzing", length).expect("there is memory"), length as u64),
        // There is nothing behind it.
        5 => {
            let file = system::anonymous_memory("fuzzing", IMMENSE).expect("there are descriptors");
            system::seal_for_reading(&file).expect("can be sealed");
            (file, IMMENSE as u64)
        }
        _ => (system::socket_pair().expect("there are descriptors").0, u64::MAX),
    };
    let said = if take::<u8>(script) < 16 { take::<u64>(script) } else { honest };
    (file, said)
}

#[cfg(test)]
mod tests {
    /// Each input takes sockets and memory of its own: fewer of them than where bytes are only read.
    #[test]
    fn what_a_process_sends() {
        executor_wire::fuzzing::replay::replay("connection", 32, 20_000, super::connection);
    }

    /// Else nothing that is decoded is ever wrong.
    #[test]
    fn inputs_that_are_values_are_read_as_values() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/connection/");
        for (name, values) in
            [("bytes", 1), ("memory-and-text", 1), ("handle-and-memory", 1), ("handles", 1), ("two-values", 2)]
        {
            let input = std::fs::read(format!("{folder}{name}")).unwrap();
            assert_eq!(super::read_all(&input), values, "{name}");
        }
    }
}
