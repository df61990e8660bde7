//! Why a process that has the marker in its environment is not taken over, by the code with which it ends.

use crate::system;

/// Why a process that has the marker does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was asked to by its parent, as it seems, and failed; what failed has been said, if there was a way.
    Failed,
    /// Its rights are not those of its parent.
    Privileged,
    /// No process of this library has started it.
    NotAsked,
}

impl Refusal {
    /// Returns what the process ends with.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Failed => 70,
            Self::Privileged => 77,
            Self::NotAsked => 78,
        }
    }

    /// Returns what a process that ended with that code was refused for.
    #[must_use]
    pub fn of_code(code: i32) -> Option<Self> {
        [Self::Failed, Self::Privileged, Self::NotAsked].into_iter().find(|refusal| refusal.code() == code)
    }

    /// Says it in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Failed => "it could not begin as a worker",
            Self::Privileged => {
                "a program that is started with rights of its file (set-user-ID, set-group-ID, capabilities) or of a \
                 security module does not become a worker"
            }
            Self::NotAsked => {
                "CONCURRENT_FUTURES_WORKER_PROCESS is in the environment, but no pool of processes has started this \
                 program as a worker; take it out of the environment"
            }
        }
    }

    /// Ends the process, with these words on its standard error.
    pub fn end(self, words: &str) -> ! {
        // If nobody hears it, there is the code.
        let _ = system::write_error(&format!("{words}\n"));
        self.end_silently()
    }

    /// Ends the process. No destructor of statics and no exit handler runs: those belong to a `main` that never ran.
    pub fn end_silently(self) -> ! {
        system::end_at_once(self.code())
    }
}
