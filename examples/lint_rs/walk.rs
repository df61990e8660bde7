//! The Rust files under a directory, in byte order of their paths.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A directory that could not be read.
pub(crate) type Unread = (PathBuf, io::Error);

/// Every `.rs` file below `root`, links not followed, and what could not be read. `root` itself may be a file.
pub(crate) fn rust_files(root: &Path) -> (Vec<PathBuf>, Vec<Unread>) {
    let (mut files, mut unread) = (Vec::new(), Vec::new());
    let mut directories = vec![root.to_owned()];
    if root.is_file() {
        files.extend(directories.pop());
    }
    while let Some(directory) = directories.pop() {
        if let Err(error) = list(&directory, &mut files, &mut directories) {
            unread.push((directory, error));
        }
    }
    files.sort_unstable();
    unread.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    (files, unread)
}

fn list(directory: &Path, files: &mut Vec<PathBuf>, directories: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            directories.push(path);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
