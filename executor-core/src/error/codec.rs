//! [`CodecError`]: why an argument or a result could not be carried between processes.

use crate::info::TaskInfo;
use executor_wire::CodecPhase;
use std::error::Error;
use std::fmt;

/// An argument or a result could not be carried. Only its own task fails.
///
/// ```
/// fn explain(error: &executor_core::CodecError) -> String {
///     format!("{} failed: {}", error.phase(), error.message())
/// }
/// # let _ = explain;
/// ```
pub struct CodecError(Box<Inner>);

struct Inner {
    info: TaskInfo,
    phase: CodecPhase,
    message: String,
}

impl CodecError {
    pub(crate) fn new(info: TaskInfo, phase: CodecPhase, message: String) -> Self {
        Self(Box::new(Inner { info, phase, message }))
    }

    /// Returns the task.
    #[must_use]
    pub fn info(&self) -> &TaskInfo {
        &self.0.info
    }

    /// Returns where on its way the value was lost.
    ///
    /// ```
    /// fn did_run(error: &executor_core::CodecError) -> bool {
    ///     use executor_core::CodecPhase::{DecodeResult, EncodeResult};
    ///     matches!(error.phase(), EncodeResult | DecodeResult)
    /// }
    /// # let _ = did_run;
    /// ```
    #[must_use]
    pub fn phase(&self) -> CodecPhase {
        self.0.phase
    }

    /// Returns the message of the type's serde code, or of the codec.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn for_input(&self, input: u64) -> Self {
        Self::new(self.0.info.for_input(input), self.0.phase, self.0.message.clone())
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { info, phase, message } = &*self.0;
        write!(f, "{info}, failed while {phase}: {message}")
    }
}

impl fmt::Debug for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { info, phase, message } = &*self.0;
        f.debug_struct("CodecError").field("info", info).field("phase", phase).field("message", message).finish()
    }
}

impl Error for CodecError {}
