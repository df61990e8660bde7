//! What a worker is told when it begins.

use process_core::function::FunctionName;
use serde::{Deserialize, Serialize};

/// The settings of one worker, as they cross.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WorkerSettings {
    /// The worker's name, for thread names and `ps`.
    pub(crate) name: String,
    /// Trampoline, code and fingerprint of the initializer, and its packed argument.
    pub(crate) initializer: Option<([u64; 3], Vec<u8>)>,
    /// There is another processor, so that spinning for work before a sleep can pay.
    pub(crate) may_spin: bool,
    /// To be added to the scheduling priority.
    pub(crate) nice: i32,
}

impl WorkerSettings {
    pub(crate) fn initializer_name(words: [u64; 3]) -> FunctionName {
        let [trampoline, code, fingerprint] = words;
        FunctionName { trampoline, code, fingerprint }
    }
}
