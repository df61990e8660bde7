//! [`Outcome`]: what a future resolves to.

use crate::error::TaskError;

/// What a future resolves to.
pub(crate) type Outcome<T> = Result<T, TaskError>;
