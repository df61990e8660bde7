//! What a process that is started begins with, and what it ends with.

use crate::connection::Connection;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;

/// In the environment of a process that was started, until it is taken over.
pub(crate) const MARKER: &CStr = c"CONCURRENT_FUTURES_WORKER_PROCESS";

/// Returns [`MARKER`] as the standard library takes it.
pub(crate) fn marker() -> &'static OsStr {
    OsStr::from_bytes(MARKER.to_bytes())
}

/// What a process that was started ends with; 0 is success.
///
/// It is not std's, which does not tell its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitCode(u8);

impl ExitCode {
    /// All went well.
    pub const SUCCESS: Self = Self(0);
    /// Something went wrong.
    pub const FAILURE: Self = Self(1);

    pub(crate) fn number(self) -> i32 {
        self.0.into()
    }
}

impl From<u8> for ExitCode {
    fn from(code: u8) -> Self {
        Self(code)
    }
}

/// Where a process begins: a function of the executable, called on its main thread instead of `main`.
///
/// The process ends when it returns, or by exit code 101 when it panics, after the exit handlers.
pub type Entry = fn(Connection) -> ExitCode;
