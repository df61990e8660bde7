//! [`Remains`]: what is left of a worker that was ended, as the error of its task says it.

use std::fmt;

/// What is left of a worker that was ended because of its task.
///
/// ```
/// use executor_core::remote::Remains;
///
/// assert!(Remains::Unreaped(17).to_string().contains("not yet reaped (pid 17)"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Remains {
    /// Nothing.
    #[default]
    Nothing,
    /// Its process, of this number: it was killed, but the system has not let it end yet.
    Unreaped(u32),
}

impl fmt::Display for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Unreaped(pid) => {
                write!(f, ", but is not yet reaped (pid {pid}): the system has not let it end so far")
            }
        }
    }
}
