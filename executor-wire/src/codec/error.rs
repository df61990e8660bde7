//! [`Error`]: why a value has no encoding, or bytes are not a value.

use super::limits::{FREE_ELEMENTS, LEVELS};
use std::borrow::Cow;
use std::fmt;

/// A text. Boxed, so that the results on the way of every number are small.
#[derive(Debug)]
pub(super) struct Error(Box<Cow<'static, str>>);

impl Error {
    #[cold]
    pub(super) fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(text.into()))
    }

    #[cold]
    pub(super) fn too_deep() -> Self {
        Self::new(format!("the value is nested more than {} levels deep", LEVELS))
    }

    #[cold]
    pub(super) fn too_many_free_elements() -> Self {
        let limit = FREE_ELEMENTS;
        Self::new(format!("the value has more than {limit} elements that are without bytes of their own"))
    }

    #[cold]
    pub(super) fn no_memory() -> Self {
        Self::new("there is no memory for so large an encoding")
    }

    #[cold]
    pub(super) fn ended() -> Self {
        Self::new("the bytes end before the value does")
    }

    #[cold]
    pub(super) fn number_too_large() -> Self {
        Self::new("the bytes have a number that is too large for its type")
    }

    #[cold]
    pub(super) fn not_bool() -> Self {
        Self::new("the bytes have a bool that is neither true nor false")
    }

    #[cold]
    pub(super) fn not_char() -> Self {
        Self::new("the bytes have a char that is none")
    }

    #[cold]
    pub(super) fn not_utf8() -> Self {
        Self::new("the bytes have a string that is not UTF-8")
    }

    #[cold]
    pub(super) fn into_text(self) -> String {
        self.0.into_owned()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl serde::ser::Error for Error {
    #[cold]
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(text.to_string())
    }
}

impl serde::de::Error for Error {
    #[cold]
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(text.to_string())
    }
}
