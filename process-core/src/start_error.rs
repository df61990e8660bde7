//! Why a process could not be started: which call failed, whether that may pass, and what can be done about it.

use std::fmt;
use std::io;

/// A call that failed while a process was being started.
#[derive(Debug)]
pub struct StartError {
    call: String,
    error: io::Error,
}

/// Names the call that an error comes from.
pub trait Calling<T> {
    /// Adds the name of the call to its error.
    ///
    /// # Errors
    ///
    /// The call failed.
    fn calling(self, call: &str) -> Result<T, StartError>;
}

impl<T, E: Into<io::Error>> Calling<T> for Result<T, E> {
    fn calling(self, call: &str) -> Result<T, StartError> {
        self.map_err(|error| StartError { call: call.to_owned(), error: error.into() })
    }
}

/// What an error of the system means here: whether it may pass, and the advice.
struct Meaning {
    code: i32,
    may_pass: bool,
    advice: &'static str,
}

const fn passing(code: i32, advice: &'static str) -> Meaning {
    Meaning { code, may_pass: true, advice }
}

const fn lasting(code: i32, advice: &'static str) -> Meaning {
    Meaning { code, may_pass: false, advice }
}

/// Errors that are not in the table last.
const MEANINGS: [Meaning; 17] = [
    passing(libc::EAGAIN, "raise the limit on processes and threads (ulimit -u, pids.max), or use fewer workers"),
    passing(libc::ENOMEM, "free memory, or raise the limit on it (ulimit -v, memory.max)"),
    passing(libc::EMFILE, "raise the program's limit on open files (ulimit -n)"),
    passing(libc::ENFILE, "raise the system's limit on open files (fs.file-max)"),
    passing(libc::ENOBUFS, "free memory of the kernel"),
    passing(libc::ETOOMANYREFS, "raise the program's limit on open files (ulimit -n)"),
    passing(libc::ENOSPC, "raise the limit on watched files (fs.epoll.max_user_watches), or free shared memory"),
    passing(libc::EINTR, "try again"),
    passing(libc::ETXTBSY, "somebody is writing to the executable; try again when that is over"),
    lasting(libc::ENOENT, "mount /proc, through which a worker finds its executable and the libraries that it needs"),
    lasting(libc::EACCES, "let this user execute the program; is its file system mounted noexec?"),
    lasting(libc::EPERM, "allow the call in the sandbox (seccomp, AppArmor, SELinux) that forbids it"),
    lasting(libc::ENOSYS, "use Linux 5.3 or newer, and allow the call in the sandbox that hides it"),
    lasting(libc::E2BIG, "make the environment smaller, or raise the limit on the stack (ulimit -s), which bounds it"),
    lasting(libc::ENOEXEC, "run the program on the system that it was built for"),
    lasting(libc::EINVAL, "allow the call's arguments in the sandbox, or use a newer kernel"),
    lasting(libc::EFBIG, "raise the limit on the size of files (ulimit -f)"),
];

impl StartError {
    fn meaning(&self) -> Option<&'static Meaning> {
        // What has words of its own, too.
        let out_of_memory = (self.error.kind() == io::ErrorKind::OutOfMemory).then_some(libc::ENOMEM);
        let code = self.error.raw_os_error().or(out_of_memory)?;
        MEANINGS.iter().find(|meaning| meaning.code == code)
    }

    /// Returns whether the same may succeed a moment later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.meaning().is_some_and(|meaning| meaning.may_pass)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.call, self.error)?;
        // Where a folder is named, the name says enough.
        match self.meaning().filter(|_| !self.call.starts_with(CHDIR)) {
            Some(meaning) => write!(f, "; {}", meaning.advice),
            None => Ok(()),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// How the name of a call begins that is about the folder of the new process.
pub const CHDIR: &str = "chdir to ";

#[cfg(test)]
mod tests {
    use super::{Calling, MEANINGS};
    use std::io;

    #[test]
    fn an_error_names_the_call_and_says_what_to_do() {
        for (code, may_pass, word) in [
            (libc::EAGAIN, true, "limit on processes"),
            (libc::EMFILE, true, "ulimit -n"),
            (libc::ENOENT, false, "/proc"),
            (libc::EPERM, false, "seccomp"),
            (libc::ENOSYS, false, "Linux 5.3"),
            (libc::E2BIG, false, "environment"),
            (libc::EACCES, false, "noexec"),
        ] {
            let error = Err::<(), _>(io::Error::from_raw_os_error(code)).calling("posix_spawn").unwrap_err();
            assert_eq!(error.may_pass(), may_pass, "{error}");
            let text = error.to_string();
            assert!(text.starts_with("posix_spawn failed: ") && text.contains(word), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_lasts() {
        let error = Err::<(), _>(io::Error::other("a NUL byte")).calling("posix_spawn").unwrap_err();
        assert!(!error.may_pass());
        assert_eq!(error.to_string(), "posix_spawn failed: a NUL byte");
        let codes: std::collections::HashSet<_> = MEANINGS.iter().map(|meaning| meaning.code).collect();
        assert_eq!(codes.len(), MEANINGS.len());
    }
}
