//! Why an argument or a result could not be carried between processes.

use crate::info::TaskInfo;
use executor_wire::CodecPhase;
use std::error::Error;
use std::fmt;

/// An argument or a result that could not be carried: the task's own error, which concerns no other task.
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

    /// The task.
    ///
    /// ```
    /// fn task_of(error: &executor_core::CodecError) -> executor_core::TaskId {
    ///     error.info().id()
    /// }
    /// # let _ = task_of;
    /// ```
    #[must_use]
    pub fn info(&self) -> &TaskInfo {
        &self.0.info
    }

    /// Which half of which journey it was.
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

    /// What the type's serde code, or the codec, said.
    ///
    /// ```
    /// fn print(error: &executor_core::CodecError) {
    ///     println!("{}", error.message());
    /// }
    /// # let _ = print;
    /// ```
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
