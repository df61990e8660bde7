//! The regular files under a path, in byte order of their paths, found as they are asked for.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::vec;

use crate::digest::Failure;
use crate::stop;

/// A file to hash, or what stands in its place.
///
/// The path is an `OsString`, which serde carries whole; it refuses a `Path` that is not UTF-8.
/// Errors travel through the tasks like the files, so they come out in their place in the order.
pub(crate) type Found = Result<OsString, Failure>;

/// Lazy depth-first walk. Holds the sorted rest of one listing per level, and no open directory.
#[derive(Debug)]
pub(crate) struct Walk {
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    directory: PathBuf,
    entries: vec::IntoIter<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// A directory's name ends with its slash: this sorts `a.txt` before `a/b`, as the bytes of the paths do.
    name: OsString,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    File,
    Directory,
    Faulty(String),
}

impl Walk {
    /// Begins at `root`, which may be a directory, a file, or a link to either.
    pub(crate) fn new(root: &Path) -> Self {
        let kind = match fs::metadata(root) {
            Ok(metadata) if metadata.is_dir() => Kind::Directory,
            Ok(metadata) if metadata.is_file() => Kind::File,
            Ok(_) => Kind::Faulty("neither a directory nor a regular file".to_owned()),
            Err(error) => Kind::Faulty(reason(&error)),
        };
        let entry = Entry { name: root.into(), kind };
        Self { levels: vec![Level { directory: PathBuf::new(), entries: vec![entry].into_iter() }] }
    }
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        while !stop::requested() {
            let level = self.levels.last_mut()?;
            let Some(entry) = level.entries.next() else {
                self.levels.pop();
                continue;
            };
            let path = level.directory.join(&entry.name);
            match entry.kind {
                Kind::File => return Some(Ok(path.into())),
                Kind::Faulty(reason) => return Some(Err(Failure::new(path, reason))),
                Kind::Directory => match list(&path) {
                    Ok(entries) => self.levels.push(Level { directory: path, entries }),
                    Err(error) => return Some(Err(Failure::new(path, reason(&error)))),
                },
            }
        }
        None
    }
}

/// Returns the entries of a directory, sorted.
fn list(directory: &Path) -> io::Result<vec::IntoIter<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        entries.extend(match entry {
            Ok(entry) => examine(&entry),
            // The listing ends here. The error has no name, so it is the directory's.
            Err(error) => Some(Entry { name: OsString::new(), kind: Kind::Faulty(reason(&error)) }),
        });
    }
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(entries.into_iter())
}

/// Returns what to do with one entry: nothing, for sound links and for what is not a file.
fn examine(entry: &fs::DirEntry) -> Option<Entry> {
    let mut name = entry.file_name();
    let kind = match entry.file_type() {
        Ok(kind) if kind.is_file() => Kind::File,
        Ok(kind) if kind.is_dir() => {
            name.push("/");
            Kind::Directory
        }
        Ok(kind) if kind.is_symlink() => Kind::Faulty(broken_link(&entry.path())?),
        Ok(_) => return None,
        Err(error) => Kind::Faulty(reason(&error)),
    };
    Some(Entry { name, kind })
}

/// Returns why a link leads nowhere, if it does.
fn broken_link(link: &Path) -> Option<String> {
    let error = fs::metadata(link).err()?;
    Some(match fs::read_link(link) {
        Ok(target) => format!("broken link to {target:?}: {}", reason(&error)),
        Err(_) => format!("broken link: {}", reason(&error)),
    })
}

/// Returns the system's words without the number that Rust appends.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(code) => text.trim_end_matches(&format!(" (os error {code})")).to_owned(),
        None => text,
    }
}
