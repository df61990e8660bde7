//! [`CodecPhase`]: where on its way a value was lost.

use std::fmt;

/// Where on its way a value was lost.
///
/// ```
/// assert_eq!(executor_wire::CodecPhase::EncodeArgument.to_string(), "encoding the argument");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecPhase {
    /// The argument's `Serialize`, in the submitting process. The task did not run.
    EncodeArgument,
    /// The argument's `Deserialize`, in the worker. The task did not run.
    DecodeArgument,
    /// The result's `Serialize`, in the worker. The task has run.
    EncodeResult,
    /// The result's `Deserialize`, in the submitting process. The task has run.
    DecodeResult,
}

impl CodecPhase {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::EncodeArgument => 0,
            Self::DecodeArgument => 1,
            Self::EncodeResult => 2,
            Self::DecodeResult => 3,
        }
    }

    /// Returns the phase of a number that another process wrote: any number has one.
    pub(crate) fn from_number(number: u8) -> Self {
        match number {
            0 => Self::EncodeArgument,
            1 => Self::DecodeArgument,
            2 => Self::EncodeResult,
            _ => Self::DecodeResult,
        }
    }
}

impl fmt::Display for CodecPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EncodeArgument => "encoding the argument",
            Self::DecodeArgument => "decoding the argument in the worker",
            Self::EncodeResult => "encoding the result in the worker",
            Self::DecodeResult => "decoding the result",
        })
    }
}
