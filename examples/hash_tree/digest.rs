//! The task: takes one file, and returns its digest or the reason why there is none.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::stop;
use crate::walk::{Found, reason};

/// Files are read in pieces of this size, so memory does not depend on how large they are.
const PIECE: usize = 1 << 20;

thread_local! {
    // One per worker: allocating (and zeroing) it for every file would cost more than hashing a small one.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE]);
}

/// A hashed file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Digest {
    pub(crate) path: OsString,
    pub(crate) sha256: [u8; 32],
    pub(crate) bytes: u64,
}

/// A path that could not be hashed. An error's text rather than the error: the task may run in another process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) path: OsString,
    pub(crate) reason: String,
}

impl Failure {
    pub(crate) fn new(path: impl Into<OsString>, reason: String) -> Self {
        Self { path: path.into(), reason }
    }
}

/// Hashes one file; a failure of the walk passes through.
pub(crate) fn digest(found: Found) -> Result<Digest, Failure> {
    let path = found?;
    match BUFFER.with_borrow_mut(|buffer| sha256(Path::new(&path), buffer)) {
        Ok((sha256, bytes)) => Ok(Digest { path, sha256, bytes }),
        Err(error) => Err(Failure::new(path, reason(&error))),
    }
}

fn sha256(path: &Path, buffer: &mut [u8]) -> io::Result<([u8; 32], u64)> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut bytes = 0;
    loop {
        // For tasks in this process; those in another are ended with it.
        if stop::requested() {
            return Err(io::Error::other("stopped before its end"));
        }
        match file.read(buffer) {
            Ok(0) => return Ok((hasher.finalize().into(), bytes)),
            Ok(length) => {
                hasher.update(&buffer[..length]);
                bytes += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
