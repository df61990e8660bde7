//! The rules: each worker gets them once, before its first file.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

static RULES: OnceLock<Rules> = OnceLock::new();

/// What is counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rules {
    /// Words in comments, such as `TODO`.
    pub(crate) markers: Vec<String>,
    /// A function of more lines is long.
    pub(crate) longest_function: u32,
}

/// The initializer of a worker: keeps the rules for all of its files.
pub(crate) fn adopt(rules: Rules) -> Result<(), &'static str> {
    RULES.set(rules).map_err(|_| "the rules were set before")
}

/// Returns the rules of this worker.
pub(crate) fn rules() -> &'static Rules {
    RULES.get().expect("the initializer runs before the first task")
}
