//! [`WorkerCount`]: how many workers, as given in code, by the environment, or by the machine, in this order.

use crate::error::BuildError;
use std::env;
use std::fmt;
use std::str::FromStr;

/// The environment variable that sets the number of workers where the code does not.
///
/// ```
/// assert_eq!(executor_core::WORKERS_VARIABLE, "CONCURRENT_FUTURES_WORKERS");
/// ```
pub const WORKERS_VARIABLE: &str = "CONCURRENT_FUTURES_WORKERS";

/// The most workers: as many threads as a usual system can number.
const MOST: usize = 32_768;

const EXPECTED: &str = "a number from 1 to 32768, a share such as \"50%\", or \"physical\"";

/// A number of workers, absolute or relative to the machine.
///
/// As text: `8`, `50%` (of the processors this process may use), `physical` (one for each physical core it may use).
///
/// ```
/// use executor_core::WorkerCount;
///
/// assert_eq!("8".parse::<WorkerCount>()?.resolve()?, 8);
/// assert!("50%".parse::<WorkerCount>()?.resolve()? >= 1);
/// assert!("none".parse::<WorkerCount>().is_err());
/// # Ok::<(), executor_core::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerCount {
    /// This many.
    Exactly(usize),
    /// This share of the usable processors, in percent, rounded to the nearest, at least one. May exceed 100.
    Percent(u32),
    /// One for each physical core, as far as the process may use them.
    Physical,
}

impl WorkerCount {
    /// Returns the default: the value of [`WORKERS_VARIABLE`] if it is set, else one worker for each processor that this process
    /// may use by CPU affinity and the quota of its cgroup.
    ///
    /// # Errors
    ///
    /// The variable has no valid value; the text names it.
    ///
    /// ```
    /// assert!(executor_core::WorkerCount::from_environment()?.resolve()? >= 1);
    /// # Ok::<(), executor_core::BuildError>(())
    /// ```
    pub fn from_environment() -> Result<Self, BuildError> {
        let Some(value) = env::var_os(WORKERS_VARIABLE) else {
            return Ok(Self::Percent(100));
        };
        let text = value.to_string_lossy();
        Self::parse(&text)
            .ok_or_else(|| BuildError::invalid(format!("environment variable {WORKERS_VARIABLE}"), text, EXPECTED))
    }

    /// Returns the number of workers on this machine.
    ///
    /// # Errors
    ///
    /// None, or more than 32,768.
    ///
    /// ```
    /// assert!(executor_core::WorkerCount::Exactly(0).resolve().is_err());
    /// ```
    pub fn resolve(self) -> Result<usize, BuildError> {
        let count = match self {
            Self::Exactly(count) => count,
            Self::Percent(0) => 0,
            Self::Percent(share) => share_of(num_cpus::get(), share),
            Self::Physical => num_cpus::get_physical().min(num_cpus::get()).max(1),
        };
        if (1..=MOST).contains(&count) {
            Ok(count)
        } else {
            Err(BuildError::invalid("workers", self.to_string(), EXPECTED))
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let count = match text.strip_suffix('%') {
            _ if text == "physical" => Self::Physical,
            Some(share) => Self::Percent(share.trim_end().parse().ok()?),
            None => Self::Exactly(text.parse().ok()?),
        };
        (!matches!(count, Self::Exactly(0) | Self::Percent(0))).then_some(count)
    }
}

fn share_of(processors: usize, share: u32) -> usize {
    let share = usize::try_from(share).unwrap_or(usize::MAX);
    (processors.saturating_mul(share).saturating_add(50) / 100).max(1)
}

impl FromStr for WorkerCount {
    type Err = BuildError;

    fn from_str(text: &str) -> Result<Self, BuildError> {
        Self::parse(text).ok_or_else(|| BuildError::invalid("workers", text, EXPECTED))
    }
}

impl fmt::Display for WorkerCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(count) => count.fmt(f),
            Self::Percent(share) => write!(f, "{share}%"),
            Self::Physical => f.write_str("physical"),
        }
    }
}

impl From<usize> for WorkerCount {
    fn from(count: usize) -> Self {
        Self::Exactly(count)
    }
}

#[cfg(test)]
mod tests {
    use super::{WorkerCount, share_of};

    #[test]
    fn shares_round_to_the_nearest_and_never_to_zero() {
        assert_eq!([share_of(8, 50), share_of(3, 50), share_of(1, 10), share_of(2, 200)], [4, 2, 1, 4]);
    }

    #[test]
    fn texts_that_are_counts_and_texts_that_are_not() {
        assert_eq!(WorkerCount::parse(" 50 % "), Some(WorkerCount::Percent(50)));
        assert_eq!(WorkerCount::parse("physical"), Some(WorkerCount::Physical));
        for bad in ["", "0", "0%", "-1", "%", "8 workers", "1e3"] {
            assert_eq!(WorkerCount::parse(bad), None, "{bad:?}");
        }
    }
}
