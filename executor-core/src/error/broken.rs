//! [`BrokenExecutor`]: why an executor takes no more tasks although nobody shut it down.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The reason why an executor takes no more tasks although it was not shut down. Cheap to clone.
///
/// ```
/// use executor_core::BrokenExecutor;
///
/// let broken = BrokenExecutor::new("the initializer failed", "no database");
/// assert_eq!(broken.to_string(), "the executor is broken: the initializer failed: no database");
/// ```
#[derive(Clone)]
pub struct BrokenExecutor(Arc<Broken>);

struct Broken {
    event: String,
    cause: Box<dyn Error + Send + Sync>,
}

impl BrokenExecutor {
    /// Says what happened, and which error caused it. For executors.
    ///
    /// ```
    /// # use executor_core::BrokenExecutor;
    /// let cause = std::io::Error::other("disk gone");
    /// let broken = BrokenExecutor::new("the initializer of worker 3 failed", cause);
    /// assert!(broken.cause().is::<std::io::Error>());
    /// ```
    pub fn new(event: impl Into<String>, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::new(Broken { event: event.into(), cause: cause.into() }))
    }

    /// Returns the error that broke the executor, for instance the initializer's own.
    #[must_use]
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0.cause
    }
}

impl fmt::Display for BrokenExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the executor is broken: {}: {}", self.0.event, self.0.cause)
    }
}

impl fmt::Debug for BrokenExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokenExecutor").field("event", &self.0.event).field("cause", &self.0.cause).finish()
    }
}

impl Error for BrokenExecutor {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0.cause)
    }
}
